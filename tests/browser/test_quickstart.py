"""The quickstart as a newcomer runs it: real JupyterLab, real Chromium, a real fine-tune."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ..real_server import RealServer
from .conftest import open_notebook, run_all, shoot, theme


def test_the_quickstart_shows_its_curve_grow_and_its_job_complete(lab: RealServer, page: Page) -> None:
    open_notebook(page, lab, "quickstart.ipynb")
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    expect(widget).to_have_attribute("data-live", "live")

    def points() -> int:
        return int(widget.get_attribute("data-points") or 0)

    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 20", timeout=60_000)
    few = points()
    # The cell behind waits for the end, so the notebook's kernel is busy: the curve grows all the same.
    expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "busy")
    page.wait_for_function("few => +document.querySelector('section.tl').dataset.points > few + 30", arg=few)
    widget.scroll_into_view_if_needed()
    shoot(page, "quickstart-running-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "quickstart-running-dark")
    theme(page, "JupyterLab Light")

    expect(widget).to_have_attribute("data-status", "completed", timeout=120_000)
    expect(widget.get_by_text("Completed", exact=True).first).to_be_visible()
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output").all_inner_texts()
    assert any("The loss fell from" in text for text in outputs)
    assert not page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count()
    (job,) = lab.http().get("api/training/jobs", params={"q": "quickstart"}).json()["jobs"]
    assert points() == job["total_steps"]
    assert job["loss"] < 4
    widget.scroll_into_view_if_needed()
    shoot(page, "quickstart-completed-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "quickstart-completed-dark")
