"""Curves in the page: what 24 charts cost that grow 30 times a second, and how soon a long curve is drawn.

The charts are those of the front end, bundled for a page of their own, without a server: what is measured is the main
thread of a real Chromium, from a frame that has come until all charts are drawn. A long curve is opened in a real
JupyterLab, from the command that opens the job to the end of the first animation frame that shows its points.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from ..browser.conftest import BROWSERS, FLAGS, REPOSITORY, log_in, open_lab, serve_lab
from .curves import CONFIG, JOB, count
from .measure import Row, measured
from .serving import running

CHARTS, POINTS, HZ, SECONDS = 24, 2_000, 30, 6
#: A page that draws 60 times a second has so long for all it does.
FRAME_MS = 1000 / 60
OPENINGS, LONG, OPEN_MS = 10, 1_000_000, 300

_SIDE = Path(__file__).parent / "side" / "plots.ts"
_PAGE = """<!doctype html><meta charset="utf-8"><style>%s
#grid { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; width: 1360px }</style>
<div class="tl"><div id="grid"></div></div><script type="module">%s</script>"""

#: How the charts are looked at, and whether somebody points at them.
_LOOKS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("as they are", {}, False),
    ("smoothed, both axes logarithmic", {"smoothing": 0.9, "logX": True, "logY": True}, False),
    ("smoothed, without outliers, pointed at", {"smoothing": 0.9, "clip": True}, True),
)

_OPEN = """async ([job_id, points]) => {
  const began = performance.now()
  window.jupyterapp.commands.execute('trainlive:open-job', { job_id })
  for (;;) {
    await new Promise(requestAnimationFrame)
    const section = document.querySelector('section.tl')
    if (section && +section.dataset.points > points && section.querySelector('.tl-main-chart canvas')) break
  }
  // Behind the frame that has them.
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)))
  return performance.now() - began
}"""


def run(folder: Path) -> list[Row]:
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        rows = _growing(page, folder, f"Chromium {browser.version}, headless, drawn without a GPU")
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        rows.append(_opened(page, folder))
        browser.close()
    return rows


def _growing(page: Page, folder: Path, browser: str) -> list[Row]:
    (folder / "plots.html").write_text(_PAGE % (_bundled(folder, "css"), _bundled(folder, "js")))
    page.goto((folder / "plots.html").as_uri())
    page.wait_for_function("() => window.measure")
    rows = []
    for look, lens, hover in _LOOKS:
        load = {"charts": CHARTS, "points": POINTS, "hz": HZ, "seconds": SECONDS, "lens": lens, "hover": hover}
        seen = page.evaluate("load => window.measure(load)", load)
        # The first ones make the canvases, and compile the code.
        updates, frames = seen["updates"][HZ:], seen["frames"][2 * HZ :]
        what = f"{CHARTS} charts of {POINTS:,} points, {HZ} updates a second, {look}: one update of all"
        paced = f"{len(updates) / (SECONDS - 1):.0f} updates and {1000 / statistics.fmean(frames):.0f} frames a second"
        note = f"{browser}; {paced}, the longest from one to the next {max(frames):.0f} ms"
        rows.append(measured(what, "ms", updates, most=FRAME_MS, note=note))
    return rows


def _bundled(folder: Path, kind: str) -> str:
    """The charts' code or styles, put together as the build does."""
    source = _SIDE if kind == "js" else REPOSITORY / "js" / "core" / "style" / "index.css"
    made = folder / f"plots.{kind}"
    esbuild = REPOSITORY / "js" / "node_modules" / "esbuild" / "bin" / "esbuild"
    command = [str(esbuild), str(source), "--bundle", "--minify", "--format=esm", f"--outfile={made}"]
    # The file lies beside the Python code, the packages do not.
    modules = {"NODE_PATH": str(REPOSITORY / "js" / "node_modules")}
    subprocess.run([*command, "--log-level=error"], check=True, env=modules)
    return made.read_text().replace("</script", "<\\/script")


def _opened(page: Page, folder: Path) -> Row:
    taken = []
    with serve_lab(folder / "home", config=CONFIG) as server:
        log_in(page, server)
        with running(server, JOB.format(points=LONG, active=False)) as job_id:
            server.until(job_id, lambda job: count(job) > LONG, 300)
            server.wait(job_id)
        for _ in range(OPENINGS + 1):
            open_lab(page, server)
            # What JupyterLab itself still does at its start is not the job's.
            page.wait_for_timeout(1_500)
            taken.append(page.evaluate(_OPEN, [job_id, LONG]))
    what = f"A job of {LONG:,} points, opened in JupyterLab: its curve is drawn"
    # The first one also has the server read what it has not read since its start.
    return measured(what, "ms", taken[1:], most=OPEN_MS, note=f"the very first time {taken[0]:.0f} ms")
