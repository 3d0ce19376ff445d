"""The jobs in JupyterLab: panel, tabs, status bar, running list, notifications; and what Notebook 7 has room for."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme, write_notebook

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
#: A page that is not in front, and that remembers what the system was told and how many tones were played.
LISTENED = """
    document.hasFocus = () => false;
    window.told = [];
    window.tones = 0;
    const shown = window.Notification;
    window.Notification = class extends shown {
      constructor(title, options) { super(title, options); window.told.push([title, options.body]); }
    };
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) { window.tones += 1; return start.apply(this, when); };
"""


def row(page: Page, job_id: str) -> Locator:
    return page.locator(f".tl-panel [data-job={job_id}]")


def tab(page: Page, name: str) -> Locator:
    return page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)


def toasts(page: Page) -> Locator:
    return page.locator(".Toastify__toast")


def test_jobs_are_seen_all_over_the_lab_from_their_start_to_their_end(
    lab: RealServer, page: Page, tmp_path: Path
) -> None:
    settings = lab.home / "config" / "lab" / "user-settings" / "jupyter-trainlive" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"notifyEnded": false, "sound": true, "systemNotifications": true}')
    before = lab.submit("raise RuntimeError('long ago')", name="long-ago")
    base, other = (lab.submit(DONE, name=name) for name in ("docs-base", "qa-lora-r16"))
    lab.wait(before, "failed")
    lab.wait(base, "completed")
    page.context.grant_permissions(["notifications"])
    page.add_init_script(LISTENED)
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    expect(page.locator(".jp-LauncherCard").filter(has_text="New Fine-Tune")).to_be_visible()
    execute(page, "trainlive:show-jobs")
    expect(row(page, base)).to_contain_text("0.156")
    expect(row(page, base).locator(".tl-spark path")).to_have_attribute("d", re.compile("^M.+L"))
    expect(page.get_by_label("Search jobs")).to_be_focused()
    # The machine is read by the same poll, and the settings were before.
    expect(page.locator(".tl-machine").get_by_role("meter", name="CPU and memory Memory")).to_be_visible()

    # They are submitted by somebody else, and appear by themselves.
    job_id = lab.submit(ENDLESS, name="docs-sft")
    failed = lab.submit(UNLUCKY, name="docs-sft-bs64", cwd=str(tmp_path), keep_kernel=300)
    expect(row(page, job_id)).to_contain_text("%", timeout=20_000)
    expect(row(page, job_id).locator(".tl-progress")).to_be_visible()
    page.get_by_label("Search jobs").focus()
    for _ in ("the filter", "Compare…", "the first row"):
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect(page.locator(".tl-panel .tl-job").last).to_be_focused()
    row(page, job_id).press("Enter")
    job = page.locator(".tl-tab section.tl")
    expect(job).to_have_attribute("data-status", "running")
    expect(row(page, job_id)).to_have_attribute("aria-current", "true")
    expect(tab(page, "docs-sft")).to_have_text(re.compile(r"^\d+\s% · docs-sft$"))
    expect(toasts(page)).to_contain_text("docs-sft-bs64: The loss was NaN")

    # Asked from its row's menu.
    row(page, job_id).click(button="right")
    page.get_by_role("menuitem", name="Hold").click()
    expect(job).to_have_attribute("data-status", "paused")
    expect(row(page, job_id)).to_contain_text("held at", timeout=10_000)
    expect(tab(page, "docs-sft").locator("svg .trainlive-amber")).to_be_visible()

    # One fails, which is told in the page, by the system and with two tones; so was the alert.
    (tmp_path / "end").touch()
    expect(toasts(page)).to_have_count(2, timeout=15_000)
    failure = toasts(page).filter(has_text="failed")
    expect(failure).to_contain_text("docs-sft-bs64 failed: RuntimeError: <b>out</b> of [luck](http://here)")
    told = page.evaluate("() => window.told")
    assert told[1] == ["docs-sft-bs64", "docs-sft-bs64 failed: RuntimeError: <b>out</b> of [luck](http://here)"]
    assert [title for title, _ in told] == ["docs-sft-bs64"] * 2
    page.wait_for_function("() => window.tones === 4")
    shoot(page, "lab-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "lab-dark")
    theme(page, "JupyterLab Light")

    # The list is narrowed by what is typed, and by state.
    page.get_by_label("Search jobs").fill(base.upper())
    expect(page.locator(".tl-panel .tl-job")).to_have_count(1)
    expect(row(page, base)).to_be_visible()
    page.get_by_label("Search jobs").fill("")
    page.get_by_label("State").select_option("failed")
    expect(row(page, base)).to_have_count(0)
    expect(row(page, before)).to_be_visible()
    page.get_by_label("State").select_option("all")

    # Two are chosen and compared.
    row(page, base).click(modifiers=["ControlOrMeta"])
    expect(row(page, base)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Choose two or more")).to_be_visible()
    row(page, other).click()
    page.get_by_role("button", name="Compare 2").click()
    comparison = page.locator("section.tl-compare")
    expect(comparison).to_contain_text("docs-base")
    expect(comparison).to_contain_text("qa-lora-r16")
    row(page, other).press("Escape")
    expect(page.get_by_role("button", name="Compare…")).to_be_focused()
    shoot(page, "lab-compare")

    # From the palette to the form, and from the status bar to the panel.
    comparison.press("ControlOrMeta+Shift+C")
    page.locator(".lm-CommandPalette-input").fill("new fine-tune")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Dry run")).to_be_visible()
    execute(page, "application:toggle-left-area")
    expect(row(page, base)).to_be_hidden()
    expect(page.locator(".trainlive-status")).to_have_text(re.compile(r"^\d+ (paused|running)"))
    page.locator(".trainlive-status").click()
    expect(row(page, base)).to_be_visible()

    # After a reload everything is where it was, and what has happened is no news.
    with page.expect_request_finished(
        lambda request: "workspaces" in request.url and f'"current":"trainlive:{failed}"' in (request.post_data or "")
    ):
        failure.get_by_role("button", name="Open").click()
    expect(tab(page, "docs-sft-bs64")).to_have_class(re.compile("lm-mod-current"))
    open_lab(page, lab, "lab")
    expect(row(page, job_id)).to_contain_text("held at")
    expect(tab(page, "docs-sft-bs64")).to_have_class(re.compile("lm-mod-current"))
    for name in ("%", "Comparison of 2 jobs", "New fine-tune"):
        expect(tab(page, name)).to_be_visible()
    expect(toasts(page)).to_have_count(0)

    # The menu of a row, as the keyboard opens it too: a console on its kernel, and its end.
    row(page, failed).focus()
    page.keyboard.press("Shift+F10")
    expect(page.get_by_role("menuitem", name="Copy Job ID")).to_be_visible()
    page.keyboard.press("Escape")
    row(page, failed).click(button="right")
    page.get_by_role("menuitem", name="Open Console").click()
    expect(page.locator(".jp-CodeConsole-promptCell")).to_be_visible()
    shoot(page, "lab-console")
    row(page, failed).click(button="right")
    page.get_by_role("menuitem", name="End Kept Kernel…").click()
    page.get_by_role("button", name="End it").click()
    expect(row(page, failed)).not_to_contain_text("kernel kept", timeout=20_000)
    row(page, failed).click(button="right")
    page.get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("button", name="Delete").click()
    expect(row(page, failed)).to_have_count(0, timeout=10_000)
    assert not (lab.jobs_dir / failed).exists()

    # Among what runs it can be shut down, which is to cancel it.
    execute(page, "running:show-panel")
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
    expect(item).to_be_hidden(timeout=15_000)
    # That one ended the settings keep quiet.
    expect(toasts(page)).to_have_count(0)
    settings.unlink()


def test_notebook_shows_the_jobs_in_a_tab_of_its_files_and_beside_a_notebook(lab: RealServer, page: Page) -> None:
    job_id = lab.submit(ENDLESS, name="docs-sft")
    kept = lab.submit(DONE, name="docs-kept", keep_kernel=300)
    log_in(page, lab)
    page.goto(f"{lab.url}tree")
    page.get_by_role("tab", name="Training").click()
    expect(row(page, job_id)).to_contain_text("%", timeout=20_000)
    shoot(page, "notebook-panel")
    row(page, job_id).click()
    expect(page.locator("section.tl")).to_have_attribute("data-status", "running")
    expect(page.get_by_role("tab", name="docs-sft")).to_have_text(re.compile(r"^\d+\s% · docs-sft$"))
    shoot(page, "notebook-job")
    page.get_by_role("tab", name="Running").click()
    expect(
        page.get_by_role("region", name="Training Section").get_by_role("treeitem", name="docs-sft").first
    ).to_be_visible()

    page.goto(f"{lab.url}notebooks/{write_notebook(lab, 'beside.ipynb', '1 + 1')}")
    page.wait_for_selector(".jp-Cell")
    page.get_by_role("menuitem", name="View").click()
    page.get_by_text("Show Training Jobs").click()
    row(page, job_id).click()
    job = page.locator("section.tl")
    expect(job.locator(".tl-main-chart")).to_be_in_viewport()
    job.get_by_role("button", name="Cancel…").click()
    job.get_by_role("button", name="Stop it").click()
    expect(job).to_have_attribute("data-status", "cancelled")
    expect(toasts(page)).to_contain_text("docs-sft was cancelled", timeout=15_000)
    shoot(page, "notebook-beside")
    expect(row(page, kept)).to_be_visible()
    lab.wait(job_id, "cancelled")
    with lab.http() as http:
        http.post(f"api/training/jobs/{kept}/end_kernel")
