"""The jobs in JupyterLab: panel, tabs, status bar, running list, notifications; and what Notebook 7 has room for."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import log_in, shoot, theme

#: Logs until it is told to stop.
ENDLESS = (
    "import itertools, time, jupyter_trainlive as t\n"
    "for step in itertools.count(1):\n"
    "    t.log({'loss': 5 / step ** 0.5}, step=step, total_steps=3000)\n"
    "    time.sleep(0.02)\n"
)
DONE = "import jupyter_trainlive as t\nfor step in range(1, 33): t.log({'loss': 5 / step}, step=step)\n"
#: Raises an alert, and ends in an error that looks like markup, once there is a file.
UNLUCKY = (
    "import os, time, jupyter_trainlive as t\n"
    "for step in range(1, 9): t.log({'loss': float('nan') if step > 4 else 1.0}, step=step)\n"
    "while not os.path.exists('end'): time.sleep(0.05)\n"
    "raise RuntimeError('<b>out</b> of [luck](http://here)')\n"
)


def open_lab(page: Page, server: RealServer, query: str = "") -> None:
    page.goto(f"{server.url}lab{query}")
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("() => window.jupyterapp.restored")


def run(page: Page, command: str, **args: object) -> None:
    page.evaluate("([command, args]) => { void window.jupyterapp.commands.execute(command, args) }", [command, args])


def row(page: Page, name: str) -> Locator:
    return page.locator(".tl-panel .tl-job").filter(has=page.get_by_text(name, exact=True))


def tab(page: Page, name: str) -> Locator:
    return page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)


def toasts(page: Page) -> Locator:
    return page.locator(".Toastify__toast")


def test_a_job_is_seen_all_over_the_lab_from_its_start_to_its_end(lab: RealServer, page: Page) -> None:
    before = lab.submit("raise RuntimeError('long ago')", name="long-ago")
    base = lab.submit(DONE, name="docs-base")
    lab.wait(before, "failed")
    lab.wait(base, "completed")
    log_in(page, lab)
    open_lab(page, lab, "?reset")
    theme(page, "JupyterLab Light")
    run(page, "trainlive:show-jobs")
    expect(row(page, "docs-base")).to_contain_text("0.156")
    expect(page.get_by_label("Search jobs")).to_be_focused()

    # It is submitted by somebody else, and appears by itself.
    job_id = lab.submit(ENDLESS, name="docs-sft")
    lab.submit(UNLUCKY, name="docs-sft-bs64", cwd=str(lab.home))
    expect(row(page, "docs-sft")).to_contain_text("%", timeout=20_000)
    status = page.locator(".trainlive-status")
    expect(status).to_contain_text("2 running")
    page.get_by_label("Search jobs").focus()
    for _ in ("the filter", "Compare…", "the first row"):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect(row(page, "long-ago")).to_be_focused()
    page.keyboard.press("Home")
    row(page, "docs-sft").focus()
    page.keyboard.press("Enter")
    job = page.locator(".tl-tab section.tl")
    expect(job).to_have_attribute("data-status", "running")
    expect(tab(page, "docs-sft")).to_have_text(re.compile(r"^\d+\s% · docs-sft$"))
    expect(toasts(page)).to_have_count(1)
    expect(toasts(page)).to_contain_text("docs-sft-bs64: The loss was NaN")

    # Asked from its row's menu, as the keyboard opens it.
    row(page, "docs-sft").click(button="right")
    page.get_by_role("menuitem", name="Hold").click()
    expect(job).to_have_attribute("data-status", "paused")
    expect(row(page, "docs-sft")).to_contain_text("held at", timeout=10_000)
    expect(tab(page, "docs-sft").locator("svg .trainlive-amber")).to_be_visible()

    (lab.home / "end").touch()
    expect(toasts(page)).to_have_count(2, timeout=15_000)
    failure = toasts(page).filter(has_text="failed")
    expect(failure).to_contain_text("docs-sft-bs64 failed: RuntimeError: <b>out</b> of [luck](http://here)")
    shoot(page, "lab-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "lab-dark")
    theme(page, "JupyterLab Light")
    failure.get_by_role("button", name="Open").click()
    expect(tab(page, "docs-sft-bs64")).to_have_class(re.compile("lm-mod-current"))

    # After a reload everything is where it was, and what has happened is no news.
    page.wait_for_timeout(1500)  # JupyterLab writes down where things are a second after they changed.
    open_lab(page, lab)
    expect(row(page, "docs-sft")).to_contain_text("held at")
    expect(tab(page, "docs-sft-bs64")).to_have_class(re.compile("lm-mod-current"))
    expect(tab(page, "%")).to_be_visible()
    expect(toasts(page)).to_have_count(0)

    run(page, "running:show-panel")
    item = page.get_by_role("region", name="Training Section").get_by_role("treeitem", name="docs-sft")
    expect(item).to_contain_text("held at")
    shoot(page, "lab-running")
    item.hover()
    item.get_by_title("Cancel Training").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep going").click()
    assert lab.job(job_id)["status"] == "paused"
    item.hover()
    item.get_by_title("Cancel Training").click()
    dialog.get_by_role("button", name="Stop it").click()
    lab.wait(job_id, "cancelled")
    expect(toasts(page)).to_contain_text("docs-sft was cancelled", timeout=15_000)
    expect(status).to_be_hidden()
    expect(item).to_be_hidden()
