"""The charts of a job: in groups, read together, looked at in many ways, arranged, and taken out as files."""

from __future__ import annotations

import csv
import itertools
import math
import re
import struct
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Download, Locator, Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme
from .past import BEGAN, Entry, loss_at, metrics, past_job

#: A tenth of a second each, in two epochs.
STEPS = 10_000
NAN, INFINITE, OUTLIER = 3_333, 7_777, 2_500
HOSTILE = "</title><script>alert(1)</script>&\u202e\x00"
SVG = "{http://www.w3.org/2000/svg}"
#: What a drawing may consist of.
DRAWN = {"svg", "title", "rect", "path", "text", "g", "circle"}


def rate(step: int) -> float:
    return 2e-4 * (1 - step / STEPS)


def trained() -> Iterator[Entry]:
    """All that charts have to show of a training, and more charts than fit on a screen."""
    yield 0, "segment", {"step": 0, "total_steps": STEPS, "total_epochs": 2, "checkpoints": True}
    odd = {NAN: math.nan, INFINITE: math.inf}
    for step in range(1, STEPS + 1):
        at, epoch = step * 0.1, 2 * step / STEPS
        gradient = 900.0 if step == OUTLIER else 1 + 0.2 * math.sin(step * 78.233)
        loss = odd.get(step, loss_at(step, STEPS))
        yield metrics(step, at, epoch, loss=loss, learning_rate=rate(step), grad_norm=gradient)
        if step % 100 == 0:
            own = {HOSTILE: float(step), **{f"own/{k}": step * math.sin(k) for k in range(14)}}
            yield metrics(step, at, epoch, weight_decay=0.1, gpu_memory_allocated_gb=18 + step % 3 * 0.1, **own)
        if step % 1_000 == 0:
            yield metrics(step, at, epoch, eval_loss=loss_at(step, STEPS, noise=0) + 0.15, eval_accuracy=step / STEPS)
        if step in (3_000, 6_000, 9_000):
            yield at, "checkpoint", {"step": step, "path": f"checkpoints/checkpoint-{step}"}
        if step == NAN:
            yield at, "alert", {"name": "non_finite", "message": "The loss was <b>NaN</b>", "step": step}
        if step == 5_000:
            yield at, "held", {"request": 1, "step": step}
            yield at + 0.05, "resumed", {"step": step}


def chart(widget: Locator, title: str) -> Locator:
    """A chart by its title, or the main one by any of its curves."""
    return widget.locator(".tl-chart").filter(has=widget.page.locator("figcaption").get_by_text(title, exact=True))


def canvas(chart: Locator) -> Locator:
    """What the keyboard goes to."""
    return chart.locator(".tl-canvas")


def choose(page: Page, chart: Locator, what: str) -> None:
    """Something of a chart's menu."""
    chart.hover()
    chart.get_by_role("button", name="Options of").click()
    page.get_by_role("group", name="Options of the chart").get_by_role("button", name=what, exact=True).click()


def look(page: Page, widget: Locator, *boxes: str) -> None:
    """Tick boxes of the toolbar's menu, or take their ticks away."""
    widget.get_by_role("button", name="Charts and axes").click()
    for box in boxes:
        page.get_by_role("group", name="Charts and axes").get_by_label(box, exact=True).click()
    page.keyboard.press("Escape")


def saved(page: Page, chart: Locator, what: str) -> Download:
    with page.expect_download() as download:
        choose(page, chart, what)
    return download.value


def drawing(page: Page, chart: Locator) -> ET.Element:
    """A chart as it is drawn, of nothing but shapes and text."""
    return parsed(saved(page, chart, "Save as SVG").path())


def parsed(path: Path) -> ET.Element:
    root = ET.fromstring(path.read_bytes())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= DRAWN
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    return root


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", text)]


def ticks(root: ET.Element, *, across: bool) -> dict[float, float]:
    """The numbers along an axis, and where they stand."""
    found = {}
    for text in root.iter(SVG + "text"):
        number = (text.text or "").replace(",", "").replace("−", "-")
        if text.get("text-anchor") == ("middle" if across else "end") and re.fullmatch(r"-?[\d.]+(e-?\d+)?", number):
            found[float(number)] = float(text.attrib["x" if across else "y"])
    return found


def texts(root: ET.Element) -> list[str]:
    return [text.text or "" for text in root.iter(SVG + "text")]


def heights(root: ET.Element) -> list[float]:
    """The y of each point of the longest line that is drawn in full: a curve itself, or the smoothed one."""
    lines = [path.attrib["d"] for path in root.iter(SVG + "path") if path.get("stroke-opacity") == "1"]
    return [float(y) for y in re.findall(r"L[\d.]+ (-?[\d.]+)", max(lines, key=len))]


def roughness(root: ET.Element) -> float:
    """How far a curve goes up and down from point to point."""
    return sum(abs(b - a) for a, b in itertools.pairwise(heights(root)))


def reading(page: Page, chart: Locator, key: str = "End") -> str:
    canvas(chart).focus()
    page.keyboard.press(key)
    return canvas(chart).get_attribute("aria-valuetext") or ""


def until_reading(page: Page, chart: Locator, pattern: str, key: str = "End") -> re.Match[str]:
    """Wait until what is read at an end of a chart is such: what is finer comes from the server."""
    deadline = time.monotonic() + 20
    while (found := re.search(pattern, reading(page, chart, key))) is None:
        assert time.monotonic() < deadline, reading(page, chart, key)
        page.wait_for_timeout(50)
    return found


def place(chart: Locator, share: float) -> tuple[float, float]:
    """A place in the middle of a plot, by the share of its width."""
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * share, box["y"] + box["height"] / 2


def open_charts(page: Page, server: RealServer) -> tuple[str, Locator]:
    job_id = past_job(server.jobs_dir, "docs <sft>", trained(), learning_rate=2e-4)
    log_in(page, server)
    open_lab(page, server)
    theme(page, "JupyterLab Light")
    execute(page, "trainlive:open-job", job_id=job_id)
    page.wait_for_function("n => +document.querySelector('section.tl')?.dataset.points === n", arg=STEPS)
    return job_id, page.locator("section.tl")


def test_curves_are_read_together_along_any_axis_and_looked_into(lab: RealServer, page: Page) -> None:
    _, widget = open_charts(page, lab)
    main, gradient, learning = (chart(widget, title) for title in ("loss", "grad norm", "learning rate"))
    see_the_groups(page, widget)
    read_all_at_once(page, main, learning)
    look_along_other_axes(page, widget, main)
    zoom_all_of_them(page, widget, main, gradient)
    smooth_them(page, widget, main)
    scale_them(page, widget, main, gradient)


def see_the_groups(page: Page, widget: Locator) -> None:
    """What is important first, all else by what it is of; what is off screen is not even made."""
    expect(widget.locator(".tl-mains figcaption .tl-key > span")).to_have_text(["loss", "eval loss"])
    expect(widget.locator(".tl-overview figcaption .tl-key > span")).to_have_text(["learning rate", "grad norm"])
    heads = widget.locator(".tl-group-head:visible")
    expect(heads).to_have_text(["Evaluation 1", "Optimizer 1", "System 1", "Own metrics 15"])
    own = widget.get_by_role("region", name="Own metrics").locator(".tl-chart")
    expect(own).to_have_count(12)
    assert own.last.locator("canvas").count() == 0
    widget.get_by_role("button", name="Show 3 more").click()
    expect(own).to_have_count(15)
    own.last.scroll_into_view_if_needed()
    expect(own.last.locator("canvas")).to_have_count(1)
    heads.last.click()
    expect(own).to_have_count(0)
    heads.last.click()
    search = widget.locator(".tl-small").get_by_label("Find a chart")
    search.fill("own 13")
    expect(own.locator(".tl-key")).to_have_text(["own/13 4,202"])
    search.fill("")
    shown = chart(widget, HOSTILE.replace("\u202e\x00", "\ufffd␀"))
    expect(shown).to_have_count(1)
    assert widget.locator("script").count() == 0

    # While it is out of sight it is not drawn, however it is looked at meanwhile.
    page.evaluate(
        """() => {
          const { stroke } = CanvasRenderingContext2D.prototype
          CanvasRenderingContext2D.prototype.stroke = function (...rest) {
            this.canvas.dataset.strokes = +(this.canvas.dataset.strokes ?? 0) + 1
            return stroke.apply(this, rest)
          }
        }"""
    )
    strokes = "e => +(e.querySelector('canvas').dataset.strokes ?? 0)"
    shown.scroll_into_view_if_needed()
    main = widget.locator(".tl-main-chart")
    page.wait_for_function("() => document.querySelector('.tl-main-chart').getBoundingClientRect().bottom < -60")
    drawn = main.evaluate(strokes)
    for key in ("+", "0"):
        before = shown.evaluate(strokes)
        canvas(shown).press(key)
        page.wait_for_function(f"([e, before]) => ({strokes})(e) > before", arg=[shown.element_handle(), before])
    assert main.evaluate(strokes) == drawn
    main.scroll_into_view_if_needed()


def read_all_at_once(page: Page, main: Locator, learning: Locator) -> None:
    """One points at one curve and reads all of them; what happened there is said as well."""
    readout = main.locator(".tl-readout")
    page.mouse.move(*place(main, 0.5))
    expect(readout).to_contain_text("step 5,000")
    expect(readout).to_contain_text("paused 5,000")
    expect(readout).to_contain_text("resumed 5,000")
    expect(learning.locator("b")).to_have_text("9.95e-5")
    page.mouse.move(*place(main, 0.4515))
    expect(readout).to_contain_text("steps 4,512–4,543")
    lines = main.page.evaluate(
        """() => [...document.querySelectorAll('section.tl .u-over')].flatMap(over => {
          const { left, width, top } = over.getBoundingClientRect(), line = over.querySelector('.tl-cursor')
          return top < innerHeight ? [(line.getBoundingClientRect().left - left) / width] : [] })"""
    )
    assert len(lines) >= 5
    assert max(lines) - min(lines) < 0.01, lines
    page.mouse.move(*place(main, NAN / STEPS))
    expect(readout).to_contain_text("1 NaN")
    expect(readout).to_contain_text("The loss was <b>NaN</b>")
    page.mouse.move(*place(main, INFINITE / STEPS))
    expect(readout).to_contain_text("1 ∞")
    # In a small chart too, whose caption tells its own value.
    page.mouse.move(*place(learning, 0.9))
    expect(readout).to_contain_text("steps 8,992–9,023")
    expect(readout).to_contain_text("checkpoint 9,000")
    page.mouse.move(5, 5)
    expect(readout).to_be_hidden()
    expect(learning.locator("b")).to_have_text("0")

    said = canvas(main).get_attribute("aria-label") or ""
    assert re.fullmatch(r"Chart of loss and eval loss: loss \d\.\d+, falling; eval loss \d\.\d+, falling", said), said
    assert reading(page, main, "Home").startswith("steps 0–31, loss 3.")
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("steps 32–63")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("steps 0–31")
    page.keyboard.press("Escape")
    expect(readout).to_be_hidden()
    marked = texts(drawing(page, main))
    assert {"checkpoint 3,000", "checkpoint 6,000", "checkpoint 9,000", "paused 5,000", "alert"} <= set(marked)


def look_along_other_axes(page: Page, widget: Locator, main: Locator) -> None:
    axis = widget.get_by_role("radiogroup", name="Horizontal axis")
    axis.get_by_label("epoch").check()
    until_reading(page, main, r"^epoch (1\.99|2\.00)\d*, loss")
    axis.get_by_label("time").check()
    until_reading(page, main, r"^16\smin\s\d+\ss, loss")
    axis.get_by_label("clock").check()
    until_reading(page, main, rf"^{time.strftime('%H', time.localtime(BEGAN))}:16:\d\d, loss")
    shoot(page, "charts-clock")
    axis.get_by_label("step").check()
    until_reading(page, main, r"^step 10,000,")


def zoom_all_of_them(page: Page, widget: Locator, main: Locator, gradient: Locator) -> None:
    """By dragging in any chart, all come as fine as the server has it; wheel and hand only with a key held down."""
    page.mouse.move(*place(gradient, 0.235))
    page.mouse.down()
    page.mouse.move(*place(gradient, 0.25))
    page.mouse.move(*place(gradient, 0.265))
    shoot(page, "charts-choosing")
    page.mouse.up()
    first = int(until_reading(page, main, r"^step (2,3\d\d), loss", "Home")[1].replace(",", ""))
    last = int(until_reading(page, main, r"^step (2,6\d\d), loss")[1].replace(",", ""))
    assert 2_340 <= first <= 2_360
    assert 2_640 <= last <= 2_660
    page.mouse.move(*place(main, (OUTLIER - first) / (last - first)))
    expect(main.locator(".tl-readout")).to_contain_text(re.compile(r"^step 2,(499|50[01])loss"))
    expect(chart(widget, "learning rate").locator("b")).to_have_text("1.50e-4")
    # Narrower, it has them in pairs: of the greatest values one is still there.
    canvas(gradient).focus()
    assert re.match(r"steps 2,3\d\d–2,3\d\d, grad norm \d", reading(page, gradient, "Home"))
    assert max(ticks(drawing(page, gradient), across=False)) > 700
    page.mouse.move(*place(main, (OUTLIER - first) / (last - first)))
    shoot(page, "charts-zoomed")

    top = "() => document.querySelector('section.tl').getBoundingClientRect().top"
    before = page.evaluate(top)
    page.mouse.wheel(0, 40)
    page.wait_for_function(f"before => ({top})() < before", arg=before)
    page.mouse.wheel(0, -40)
    page.wait_for_function(f"before => ({top})() === before", arg=before)
    # Finer points may have come meanwhile, one step further out.
    first = int(until_reading(page, main, r"^step (2,3\d\d), loss", "Home")[1].replace(",", ""))
    assert 2_340 <= first <= 2_360
    page.mouse.move(*place(main, 0.5))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 100)
    page.keyboard.up("Shift")
    assert page.evaluate(top) == before
    moved = int(until_reading(page, main, rf"^step (?!{first:,})(2,\d\d\d)", "Home")[1].replace(",", ""))
    assert moved > first
    page.keyboard.down("Shift")
    page.mouse.move(*place(main, 0.3))
    page.mouse.down()
    page.mouse.move(*place(main, 0.5))
    page.mouse.up()
    page.keyboard.up("Shift")
    until_reading(page, main, r"^step 2,3[0-3]\d", "Home")
    page.mouse.move(*place(main, 0.5))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    until_reading(page, main, r"^step 2,(3[7-9]|40)\d", "Home")
    assert page.evaluate(top) == before

    canvas(main).press("0")
    until_reading(page, main, r"^steps 0–31", "Home")
    canvas(main).press("+")
    until_reading(page, main, r"^steps? (?!10,000)")
    canvas(main).press("-")
    until_reading(page, main, r"^step 10,000,")
    canvas(main).press("+")
    expect(main.get_by_role("button", name="Reset zoom")).to_be_visible()
    page.mouse.dblclick(*place(gradient, 0.5))
    until_reading(page, main, r"^step 10,000,")
    expect(main.get_by_role("button", name="Reset zoom")).to_be_hidden()


def smooth_them(page: Page, widget: Locator, main: Locator) -> None:
    """A smooth curve, with what was logged faint behind it."""
    rough = drawing(page, main)
    slider = widget.get_by_role("slider", name="smoothing")
    slider.fill("30")
    expect(slider).to_have_attribute("aria-valuetext", "0.97")
    page.mouse.move(*place(main, 0.6))
    expect(main.locator(".tl-readout")).to_contain_text("as logged")
    smooth = drawing(page, main)
    assert roughness(smooth) < roughness(rough) / 2
    opacities = {path.get("stroke-opacity") for path in smooth.iter(SVG + "path")}
    assert "0.3" in opacities
    assert "0.3" not in {path.get("stroke-opacity") for path in rough.iter(SVG + "path")}
    shoot(page, "charts-smoothed")


def scale_them(page: Page, widget: Locator, main: Locator, gradient: Locator) -> None:
    """On logarithmic axes as much lies between 10 and 100 as between 100 and 1,000."""
    widget.get_by_role("radiogroup", name="Vertical scale").get_by_label("log").check()
    look(page, widget, "Logarithmic horizontal axis")
    until_reading(page, main, r"^step 1, loss", "Home")
    page.mouse.move(5, 5)
    shoot(page, "charts-log-light")
    drawn = drawing(page, main)
    across, up = ticks(drawn, across=True), ticks(drawn, across=False)
    assert {1, 10, 100, 1_000, 10_000} <= set(across)
    gaps = [across[10 * k] - across[k] for k in (1, 10, 100, 1_000)]
    assert max(gaps) - min(gaps) < 0.1
    assert {1, 2, 4} <= set(up)
    assert abs((up[1] - up[2]) - (up[2] - up[4])) < 0.1
    look(page, widget, "Logarithmic horizontal axis")
    widget.get_by_role("radiogroup", name="Vertical scale").get_by_label("linear").check()
    widget.get_by_role("slider", name="smoothing").fill("0")

    # One outlier leaves all else a flat line, unless it is cut off.
    assert max(ticks(drawing(page, gradient), across=False)) > 100
    look(page, widget, "Outliers do not stretch the scale")
    assert max(ticks(drawing(page, gradient), across=False)) < 3
    theme(page, "JupyterLab Dark")
    shoot(page, "charts-clipped-dark")


def test_charts_are_hidden_pinned_enlarged_tabulated_and_saved_as_files(lab: RealServer, page: Page) -> None:
    job_id, widget = open_charts(page, lab)
    main, accuracy = chart(widget, "loss"), chart(widget, "eval accuracy")
    enlarge_and_tabulate(page, widget, accuracy)
    save_as_files(page, lab, widget, job_id)

    # What was arranged is still so after a reload.
    overview = widget.locator(".tl-overview figcaption .tl-key > span")
    choose(page, accuracy, "Pin to the top")
    expect(overview).to_have_text(["learning rate", "grad norm", "eval accuracy"])
    choose(page, chart(widget, "grad norm"), "Hide")
    choose(page, chart(widget, "learning rate"), "Take from the top")
    expect(overview).to_have_text(["eval accuracy"])
    expect(widget.locator(".tl-group-head:visible")).to_have_text(["Optimizer 2", "System 1", "Own metrics 15"])
    widget.get_by_role("radiogroup", name="Horizontal axis").get_by_label("epoch").check()
    open_lab(page, lab)
    execute(page, "trainlive:open-job", job_id=job_id)
    expect(overview).to_have_text(["eval accuracy"])
    expect(widget.get_by_label("epoch")).to_be_checked()
    expect(chart(widget, "grad norm")).to_have_count(0)
    look(page, widget, "grad norm")
    expect(overview).to_have_text(["grad norm", "eval accuracy"])

    # In a window as narrow as a phone's there is no more than what fits.
    page.set_viewport_size({"width": 400, "height": 1000})
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight() }")
    page.wait_for_function("() => (w => w > 280 && w <= 400)(document.querySelector('section.tl').clientWidth)")
    main.scroll_into_view_if_needed()
    assert page.evaluate("() => (s => s.scrollWidth <= s.clientWidth)(document.querySelector('section.tl'))")
    widget.get_by_role("button", name="Charts and axes").click()
    expect(page.get_by_role("group", name="Charts and axes")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    shoot(page, "charts-narrow")


def enlarge_and_tabulate(page: Page, widget: Locator, accuracy: Locator) -> None:
    """In place of all others, with axes and a table, and back on Escape to where it was."""
    canvas(accuracy).focus()
    page.keyboard.press("Enter")
    expect(widget.locator(".tl-chart:visible")).to_have_count(1)
    expect(canvas(accuracy)).to_be_focused()
    box = accuracy.locator(".u-over").bounding_box()
    assert box is not None
    assert box["height"] > 400
    page.keyboard.press("End")
    expect(accuracy.locator(".tl-readout")).to_contain_text("step 10,000")
    shoot(page, "charts-enlarged")
    choose(page, accuracy, "Data as a table")
    rows = accuracy.get_by_role("row")
    expect(rows).to_have_count(11)
    expect(rows.nth(0)).to_have_text("stepeval accuracy")
    expect(rows.nth(5)).to_have_text("step 5,0000.500")
    shoot(page, "charts-table")
    canvas(accuracy).focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(widget.locator(".tl-main-chart")).to_be_visible()
    expect(canvas(accuracy)).to_be_focused()
    expect(accuracy.get_by_role("row")).to_have_count(0)


def save_as_files(page: Page, server: RealServer, widget: Locator, job_id: str) -> None:
    file = saved(page, chart(widget, "eval accuracy"), "Save as CSV")
    assert file.suggested_filename == "eval_accuracy.csv"
    rows = list(csv.reader(file.path().read_text().splitlines()))
    assert rows == [["step", "eval accuracy"], *([str(k * 1_000), str(k / 10)] for k in range(1, 10)), ["10000", "1"]]

    file = saved(page, chart(widget, "loss"), "Save as PNG")
    content = file.path().read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width > 1_000
    assert height > 600

    hostile = chart(widget, HOSTILE.replace("\u202e\x00", "\ufffd␀"))
    file = saved(page, hostile, "Save as SVG")
    assert re.fullmatch(r"docs-sft-title-script-alert-1-script-curves\.svg", file.suggested_filename)
    root = parsed(file.path())
    titles = [title.text for title in root.iter(SVG + "title")]
    assert titles == [HOSTILE.replace("\u202e\x00", "\ufffd␀")]

    with page.expect_download() as download:
        widget.get_by_role("button", name="Charts and axes").click()
        page.get_by_role("group", name="Save").get_by_role("button", name="SVG").click()
    pictures = parsed(download.value.path()).findall(SVG + "svg")
    tops = [float(picture.get("y", 0)) for picture in pictures]
    assert len(pictures) == widget.locator(".tl-chart").count()
    assert tops == sorted(set(tops))

    with page.expect_download() as download:
        page.get_by_role("group", name="Save").get_by_role("button", name="CSV of all points").click()
    page.keyboard.press("Escape")
    assert download.value.suggested_filename in ("docs-sft-metrics.csv", f"{job_id}-metrics.csv")
    with download.value.path().open(newline="") as text:
        points = list(csv.DictReader(text))
    rates = [float(point["value"]) for point in points if point["name"] == "learning_rate"]
    assert rates == [rate(step) for step in range(1, STEPS + 1)]
    assert [point["value"] for point in points if point["step"] == str(NAN) and point["name"] == "loss"] == ["nan"]
    assert sum(point["name"] == HOSTILE for point in points) == STEPS // 100
