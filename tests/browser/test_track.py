"""A training in the notebook's own kernel: the page shows it live though the kernel is busy with it, and obeys."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ..real_server import RealServer
from .conftest import open_notebook, run_all, shoot, theme, write_notebook

BUSY = """import jupyter_trainlive as trainlive, time
with trainlive.track("in the notebook"):
    for step in range(1, 4000):
        trainlive.log({"loss": 1 / step}, step=step, total_steps=4000)
        time.sleep(0.03)"""


def test_it_is_live_while_the_kernel_is_busy_and_can_be_held_and_cancelled(lab: RealServer, page: Page) -> None:
    open_notebook(page, lab, write_notebook(lab, "busy kernel.ipynb", BUSY, "run = trainlive.track('between cells')"))
    theme(page, "JupyterLab Light")
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    widget.scroll_into_view_if_needed()
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 60", timeout=60_000)
    expect(page.locator(".jp-Cell .jp-InputPrompt").first).to_have_text("[*]:")
    assert page.evaluate("() => document.querySelector('section.tl').dataset.live") == "live"
    shoot(page, "track-busy")
    job = lab.job(widget.locator("code").first.inner_text())
    assert (job["kind"], job["name"]) == ("track", "in the notebook")
    assert job["spec"]["path"] == str(lab.home / "root" / "busy kernel.ipynb")

    widget.get_by_role("button", name="Hold").click()
    expect(widget).to_have_attribute("data-status", "paused", timeout=20_000)
    widget.get_by_role("button", name="Resume").click()
    expect(widget).to_have_attribute("data-status", "running", timeout=20_000)
    widget.get_by_role("button", name="Cancel").click()
    widget.get_by_role("button", name="Stop it").click()
    expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
    assert lab.job(job["job_id"])["cancelled_by"] == "flag"
    expect(page.locator(".jp-Cell").first).to_contain_text("KeyboardInterrupt", timeout=20_000)

    # One that goes on from cell to cell; the kernel, which runs none of them now, hears no interrupt.
    second = page.locator(".jp-Cell").nth(1)
    # The failed cell has taken it along.
    expect(second.locator(".jp-InputPrompt")).to_have_text("[ ]:")
    second.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    between = page.locator("section.tl").nth(1)
    expect(between).to_have_attribute("data-status", "running", timeout=60_000)
    with lab.http() as http:
        job_id = between.locator("code").first.inner_text()
        assert http.post(f"api/training/jobs/{job_id}/cancel").status_code == 202
    expect(between).to_have_attribute("data-status", "cancelled", timeout=40_000)
