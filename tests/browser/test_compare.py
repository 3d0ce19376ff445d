"""Up to ten jobs beside one another: each in its colour everywhere, what sets them apart, and the same reloaded."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from playwright.sync_api import Locator, Page, Request, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme
from .past import Entry, loss_at, metrics, past_job

STEPS = 400
SVG = "{http://www.w3.org/2000/svg}"
MOST = 10
RATES = (1e-4, 2e-4, 3e-4, 5e-4, 1e-3)


def trained(k: int) -> Iterator[Entry]:
    """One of several trainings, each a bit better than the one before."""
    yield 0, "segment", {"step": 0, "total_steps": STEPS, "total_epochs": 1, "checkpoints": True}
    for step in range(1, STEPS + 1):
        loss = loss_at(step + 40 * k, STEPS, least=0.9 - 0.05 * k, noise=0.03)
        values = {"loss": loss, "grad_norm": 1 + loss / 3, "learning_rate": RATES[k % 5] * (1 - step / STEPS)}
        yield metrics(step, step * 0.5, step / STEPS, **values)
        if step % 50 == 0:
            yield metrics(step, step * 0.5, step / STEPS, eval_loss=loss + 0.1)


def name_of(k: int) -> str:
    return "<b>bold</b> \u202e" if k == 3 else "twins" if k in (7, 8) else f"docs-sft-r{2**k}"


def rgb(color: str) -> str:
    """As the browser says a colour."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def compare(page: Page, *job_ids: str) -> Locator:
    execute(page, "trainlive:compare", job_ids=list(job_ids))
    comparison = page.locator("section.tl-compare:visible")
    expect(comparison).to_have_attribute("data-points", str(STEPS * len(job_ids)))
    return comparison


def swatches(rows: Locator) -> dict[str, str]:
    """The colour of each job as its mark has it."""
    return {
        row.locator(".tl-cut").first.inner_text(): row.locator(".tl-swatch").evaluate(
            "mark => getComputedStyle(mark).backgroundColor"
        )
        for row in rows.all()
    }


def curves(page: Page, comparison: Locator, title: str) -> tuple[dict[str, str], list[str]]:
    """From a chart's drawing: the colour of each job in its legend, and those of the lines that are drawn, in order."""
    chart = comparison.locator(".tl-chart").filter(has=page.locator("figcaption").get_by_text(title, exact=True))
    chart.hover()
    chart.get_by_role("button", name="Options of").click()
    with page.expect_download() as download:
        page.get_by_role("group", name="Options of the chart").get_by_role("button", name="Save as SVG").click()
    (picture,) = ET.fromstring(download.value.path().read_bytes())
    outer = list(picture)
    legend = {
        after.text or "": rgb(line.attrib["stroke"])
        for line, after in itertools.pairwise(outer)
        if line.get("stroke-width") == "2" and after.tag == SVG + "text"
    }
    inner = picture.findall(f"{SVG}svg")[-1]
    lines = [path for path in inner.iter(SVG + "path") if path.get("stroke-width") == "1.4"]
    return legend, [rgb(line.attrib["stroke"]) for line in lines]


def written_down(request: Request, job_ids: list[str]) -> bool:
    """Whether JupyterLab notes that these are compared."""
    return "workspaces" in request.url and all(job_id in (request.post_data or "") for job_id in job_ids)


def table(comparison: Locator) -> dict[str, list[str]]:
    """The rows of what sets the jobs apart, by their titles."""
    rows = comparison.locator(".tl-standings tr:has(td)")
    cells = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    return {first.strip(): [each.strip() for each in rest] for first, *rest in cells}


def test_jobs_are_compared_each_in_a_colour_of_its_own(lab: RealServer, page: Page) -> None:
    ids = [
        past_job(lab.jobs_dir, name_of(k), trained(k), learning_rate=RATES[k % 5], lora_r=2**k, seed=42)
        for k in range(MOST)
    ]
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    comparison = compare(page, *ids[:2])
    expect(comparison.locator(".tl-standings")).to_contain_text("grad norm")
    names = [*table(comparison)][1:]
    assert names == ["learning_rate", "lora_r", "loss", "eval loss", "grad norm", "learning rate"], names
    shoot(page, "compare-two-light")
    comparison.locator(".tl-mains .u-over").first.hover()
    expect(comparison.locator(".tl-mains .tl-readout-row .tl-key").first).to_have_text("docs-sft-r1")
    shoot(page, "compare-two-read")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")

    # Nine, and a tenth from the list of jobs; no more than ten.
    comparison = compare(page, *ids[:9])
    rows = comparison.locator(".tl-contestants li")
    expect(rows).to_have_count(9)
    add = comparison.get_by_role("button", name="Add a job…")
    add.click()
    page.get_by_label("Find a job").fill("r512")
    page.get_by_role("group", name="Jobs to add").get_by_role("button").click()
    expect(rows).to_have_count(MOST)
    expect(add).to_be_disabled()
    expect(comparison).to_have_attribute("data-points", str(STEPS * MOST))
    names = [row.locator(".tl-cut").first.inner_text() for row in rows.all()]
    assert names[3] == "<b>bold</b> \ufffd"
    assert names[7:9] == [f"twins ({job_id[-4:]})" for job_id in ids[7:9]]
    expect(rows.nth(0)).to_contain_text(re.compile(r"Completed.*loss \d\.\d{3}", re.DOTALL))

    see_one_colour_each(page, comparison, rows)
    # What the tenth was asked for comes by a request of its own.
    asked = comparison.locator(".tl-standings tr:has(td)").filter(has_text="learning_rate")
    expect(asked.locator("td").last).to_have_text(str(RATES[(MOST - 1) % 5]))
    parts = table(comparison)
    assert parts["learning_rate"] == [str(RATES[k % 5]) for k in range(MOST)]
    assert parts["lora_r"] == [str(2**k) for k in range(MOST)]
    assert "seed" not in parts
    assert parts["loss"] == [
        f"{loss_at(STEPS + 40 * k, STEPS, least=0.9 - 0.05 * k, noise=0.03):.3f}" for k in range(MOST)
    ]
    shoot(page, "compare-ten-light")
    comparison.locator(".tl-standings").scroll_into_view_if_needed()
    shoot(page, "compare-ten-standings")
    comparison.locator(".tl-mains .u-over").first.hover()
    shoot(page, "compare-ten-read")

    # One goes, and its colour is free; the others keep theirs, also when it is there again.
    before = swatches(rows)
    out = comparison.get_by_role("button", name="Take docs-sft-r4 out of the comparison")
    out.focus()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(9)
    expect(comparison.get_by_role("button", name="Take <b>bold</b> \ufffd out")).to_be_focused()
    assert swatches(rows) == {name: color for name, color in before.items() if name != "docs-sft-r4"}
    see_one_colour_each(page, comparison, rows)
    assert "docs-sft-r4" not in comparison.locator(".tl-standings thead").inner_text()
    add.click()
    page.get_by_label("Find a job").fill("r4")
    with page.expect_request_finished(lambda request: written_down(request, ids)):
        page.get_by_role("group", name="Jobs to add").get_by_role("button", name="docs-sft-r4").click()
    expect(rows).to_have_count(MOST)
    assert swatches(rows) == before
    see_one_colour_each(page, comparison, rows)

    open_lab(page, lab, "lab")
    comparison = page.locator("section.tl-compare:visible")
    expect(comparison).to_have_attribute("data-points", str(STEPS * MOST))
    assert swatches(comparison.locator(".tl-contestants li")) == before
    theme(page, "JupyterLab Dark")
    see_one_colour_each(page, comparison, comparison.locator(".tl-contestants li"))
    shoot(page, "compare-ten-dark")
    page.set_viewport_size({"width": 400, "height": 1000})
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight() }")
    page.wait_for_function("() => (w => w > 280 && w <= 400)(document.querySelector('section.tl-compare').clientWidth)")
    assert page.evaluate("() => (s => s.scrollWidth <= s.clientWidth)(document.querySelector('section.tl-compare'))")
    shoot(page, "compare-ten-narrow")


def see_one_colour_each(page: Page, comparison: Locator, rows: Locator) -> None:
    """The same in the list of jobs, in the table, in a chart's legend and for its lines; no two alike."""
    colors = swatches(rows)
    assert len(set(colors.values())) == len(colors) == rows.count()
    assert swatches(comparison.locator(".tl-standings thead th")) == colors
    for title in ("loss", "grad norm"):
        legend, lines = curves(page, comparison, title)
        assert legend == colors, (legend, colors)
        assert lines == list(colors.values())
