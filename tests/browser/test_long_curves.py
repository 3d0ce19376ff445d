"""A curve of 200,000 points: all of them counted, its one spike and its few NaNs seen, live and from history alike.

And looked into: dragged and turned down to single steps, which the server has and the page has not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme

STEPS = 200_000
SPIKE, NAN, INFINITE = 123_456, 70_000, 160_000

#: As fast as it can be logged, but for a moment's rest halfway. One step stands out, and two have no number.
LONG = f"""
import math, random, time, jupyter_trainlive as trainlive
random.seed(1)
odd = {{{SPIKE}: 9.0, {NAN}: math.nan, {INFINITE}: math.inf}}
for step in range(1, {STEPS} + 1):
    mean = 0.7 + 2.2 * math.exp(-step / 40_000)
    values = {{
        "loss": odd.get(step, mean + random.uniform(-0.25, 0.25)),
        "learning_rate": 1e-3 * min(step / 10_000, 1 - step / {STEPS + 1}),
        "grad_norm": random.lognormvariate(0, 0.4),
    }}
    if step % 10_000 == 0:
        values["eval_loss"] = mean + 0.3
    trainlive.log(values, step=step, total_steps={STEPS})
    if step == {STEPS // 2}:
        time.sleep(2)
"""

#: Goes on after 20,000 steps, of which the page has none by itself; a loss is its step.
LIVE = """
import time, jupyter_trainlive as trainlive
for step in range(20_001):
    trainlive.log({"loss": step}, step=step)
while True:
    time.sleep(0.2)
"""

#: How much of each column around a step is drawn in the colour that a custom property holds, from one height of the
#: plotting area to another (0 its top, 1 its bottom).
INK = """([section, step, steps, color, from, to]) => {
  const canvas = section.querySelector('.tl-main-chart canvas'), over = section.querySelector('.tl-main-chart .u-over')
  const [outer, inner, ratio] = [canvas.getBoundingClientRect(), over.getBoundingClientRect(), devicePixelRatio]
  const at = Math.round((inner.left - outer.left + inner.width * step / steps) * ratio)
  const top = Math.round((inner.top - outer.top + inner.height * from) * ratio)
  const height = Math.round(inner.height * (to - from) * ratio)
  const sample = document.createElement('canvas').getContext('2d')
  sample.fillStyle = getComputedStyle(section).getPropertyValue(color).trim()
  sample.fillRect(0, 0, 1, 1)
  const [r, g, b] = sample.getImageData(0, 0, 1, 1).data
  const wide = 9, data = canvas.getContext('2d').getImageData(at - 4, top, wide, height).data
  return Array.from({ length: wide }, (_, column) => {
    let ink = 0
    for (let row = 0; row < height; row += 1) {
      const k = 4 * (row * wide + column), near = (a, b) => Math.abs(a - b) < 24
      if (data[k + 3] > 120 && near(data[k], r) && near(data[k + 1], g) && near(data[k + 2], b)) ink += 1
    }
    return ink / height
  })
}"""


def open_job(page: Page, job_id: str) -> Locator:
    execute(page, "trainlive:open-job", job_id=job_id)
    return page.locator("section.tl").first


def ink(widget: Locator, step: int, color: str, top: float, bottom: float) -> list[float]:
    drawn: Any = widget.evaluate(f"(section, rest) => ({INK})([section, ...rest])", [step, STEPS, color, top, bottom])
    return [float(share) for share in drawn]


def see_all_of_it(page: Page, widget: Locator) -> None:
    """Each point once; the spike in a column of its own, and a mark where there was no number."""
    page.wait_for_function("n => +document.querySelector('section.tl').dataset.points === n", arg=STEPS)
    expect(widget).to_contain_text("200,000 points, 2 not finite")
    page.mouse.move(5, 5)
    # The spike rises to 9; all else is below 3.3.
    assert max(ink(widget, SPIKE, "--tl-a", 0.15, 0.6)) == 1
    assert max(ink(widget, SPIKE - 2_000, "--tl-a", 0.15, 0.6)) == 0
    for step in (NAN, INFINITE):
        assert max(ink(widget, step, "--tl-amber", 0.98, 0.995)) > 0.8
    assert max(ink(widget, NAN + 4_000, "--tl-amber", 0.98, 0.995)) == 0


def point_at(page: Page, widget: Locator, step: int) -> None:
    box = widget.locator(".tl-main-chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * step / STEPS, box["y"] + box["height"] / 2)


def test_a_curve_of_any_length_is_all_there_live_and_afterwards(lab: RealServer, page: Page) -> None:
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    job_id = lab.submit(LONG, name="long")
    widget = open_job(page, job_id)
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points >= 50_000")
    assert int(widget.get_attribute("data-points") or 0) < STEPS, "it is seen while it grows"
    shoot(page, "long-curve-growing")
    expect(widget).to_have_attribute("data-status", "completed", timeout=60_000)
    see_all_of_it(page, widget)
    shoot(page, "long-curve-live")

    open_lab(page, lab)
    widget = open_job(page, job_id)
    expect(widget).to_have_attribute("data-live", "ended")
    see_all_of_it(page, widget)
    shoot(page, "long-curve-light")
    # The middle of its bucket of 512.
    point_at(page, widget, SPIKE // 512 * 512 + 256)
    readout = widget.locator(".tl-main-chart .tl-readout")
    expect(readout).to_contain_text("steps 123,392–123,903")
    expect(readout).to_contain_text("… 9.000")
    shoot(page, "long-curve-spike")
    point_at(page, widget, NAN // 512 * 512 + 256)
    expect(readout).to_contain_text("1 NaN")
    look_into(page, widget)
    theme(page, "JupyterLab Dark")
    see_all_of_it(page, widget)
    point_at(page, widget, NAN // 512 * 512 + 256)
    shoot(page, "long-curve-dark")


def read(page: Page, widget: Locator, key: str) -> tuple[int, int]:
    """Go to the first or the last point with a key; the steps that it says it covers."""
    widget.locator(".tl-main-chart .tl-canvas").focus()
    page.keyboard.press(key)
    said = widget.locator(".tl-main-chart .tl-readout").text_content() or ""
    numbers = re.match(r"steps? ([\d,]+)(?:–([\d,]+))?", said)
    assert numbers, said
    first, last = (int(each.replace(",", "")) for each in (numbers[1], numbers[2] or numbers[1]))
    return first, last


def plotting_area(widget: Locator) -> tuple[float, float, float]:
    """Its left edge, its width, and half its height from the top of the page."""
    box = widget.locator(".tl-main-chart .u-over").bounding_box()
    assert box is not None
    return box["x"], box["width"], box["y"] + box["height"] / 2


def turn(page: Page, pixels: int, key: str | None) -> None:
    """Turn the wheel where the mouse is, with a key held down."""
    if key:
        page.keyboard.down(key)
    page.mouse.wheel(0, pixels)
    if key:
        page.keyboard.up(key)


def drag(page: Page, widget: Locator, start: float, end: float) -> None:
    """Drag from one share of the width to another."""
    left, width, middle = plotting_area(widget)
    page.mouse.move(left + width * start, middle)
    page.mouse.down()
    page.mouse.move(left + width * (start + end) / 2, middle)
    page.mouse.move(left + width * end, middle)
    page.mouse.up()


def until(page: Page, widget: Locator, condition: Callable[[range, range], bool]) -> tuple[int, int]:
    """Wait until the steps of the first and of the last point that are seen are such; where they begin and end."""
    for _ in range(100):
        first, last = (range(start, end + 1) for start, end in (read(page, widget, key) for key in ("Home", "End")))
        if condition(first, last):
            return first[0], last[-1]
        page.wait_for_timeout(100)
    raise AssertionError(f"it shows {first} to {last}")


def look_into(page: Page, widget: Locator) -> None:
    """Down to the one step that stands out, by dragging and with the wheel, and back to all of it."""
    assert read(page, widget, "Home")[0] == 0
    drag(page, widget, 0.61, 0.66)
    first, last = until(page, widget, lambda first, last: len(first) <= 32 and last[0] - first[0] < 11_000)
    assert 121_000 < first < 123_000
    assert 131_000 < last < 133_000
    left, width, middle = plotting_area(widget)
    page.mouse.move(left + width * (SPIKE - first) / (last - first), middle)
    for _ in range(6):
        turn(page, -300, "Control")
    # Each notch left 55 % of what was seen: 270 steps or so.
    first, last = until(page, widget, lambda first, last: len(first) == len(last) == 1 and last[0] - first[0] < 300)
    assert first < SPIKE < last
    page.mouse.move(left + width * (SPIKE - first) / (last - first), middle)
    readout = widget.locator(".tl-main-chart .tl-readout")
    expect(readout).to_contain_text("step 123,456")
    expect(readout).to_contain_text("9.000")
    shoot(page, "long-curve-one-step")
    # A wheel alone scrolls the page, with Shift it moves what is seen.
    turn(page, 300, None)
    turn(page, 100, "Shift")
    until(
        page, widget, lambda now, end: now[0] > first and end[-1] - now[0] in range(last - first - 1, last - first + 2)
    )
    page.mouse.dblclick(left + width / 2, middle)
    until(page, widget, lambda first, last: first[0] == 0 and last[-1] >= STEPS)


def test_a_curve_that_still_grows_is_looked_into_down_to_its_steps(lab: RealServer, page: Page) -> None:
    job_id = lab.submit(LIVE, name="live and long")
    lab.until(job_id, lambda job: job["current_step"] == 20_000)
    log_in(page, lab)
    open_lab(page, lab)
    widget = open_job(page, job_id)
    expect(widget).to_have_attribute("data-live", "live")
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points === 20_001")
    drag(page, widget, 0.5, 0.51)
    first, last = until(page, widget, lambda first, last: len(first) == len(last) == 1 and first[0] > 0)
    assert 9_900 < first < 10_100
    assert first + 100 < last < first + 300
    readout = widget.locator(".tl-main-chart .tl-readout")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text(f"step {last - 1:,}")
    expect(readout.locator("b")).to_have_text(f"{last - 1:,}")
    with lab.http() as http:
        http.post(f"api/training/jobs/{job_id}/cancel", json={}).raise_for_status()
    lab.wait(job_id, "cancelled")
