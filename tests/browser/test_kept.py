"""A kept kernel in the page: a line that says so, a console on it, and its end."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme

FAILS = """
import jupyter_trainlive as trainlive
for step in range(1, 40):
    trainlive.log({"loss": 1 / step}, step=step, total_steps=100)
def train(rate):
    raise ValueError(f"bad weights at {rate}")
train(0.25)
"""


def test_a_console_is_opened_on_the_kernel_of_a_failed_job_which_is_then_ended(page: Page, lab: RealServer) -> None:
    job_id = lab.submit(FAILS, name="kept", keep_kernel=600)
    lab.wait(job_id, "failed")
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    execute(page, "trainlive:open-job", job_id=job_id)
    job = page.locator("section.tl")
    kept = job.locator(".tl-kept")
    expect(kept).to_contain_text("Kernel kept until")
    expect(kept).to_contain_text("GB")
    kept.get_by_role("button", name="Open console").click()
    console = page.locator(".jp-CodeConsole")
    prompt = console.locator(".jp-CodeConsole-promptCell .cm-content")
    expect(prompt).to_be_visible()
    # What is entered before the kernel has said what it is, is cleared away with the greeting.
    expect(console).to_contain_text("IPython", timeout=20_000)
    prompt.click()
    page.keyboard.type("import sys; print(sys.last_value, train.__name__)")
    page.keyboard.press("Shift+Enter")
    expect(console).to_contain_text("bad weights at 0.25 train")
    shoot(page, "kept-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "kept-dark")
    kept.get_by_role("button", name="End kernel…").click()
    shoot(page, "kept-asks")
    kept.get_by_role("button", name="End it").click()
    expect(kept).to_be_hidden(timeout=20_000)
    assert lab.until(job_id, lambda job: job["kept"] is None)["status"] == "failed"
