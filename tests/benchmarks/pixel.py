"""From `log()` to the pixel: a real JupyterLab in a real Chromium, looked at from within the page.

The page's WebSocket is listened to beside the page's own listener: each point in a ``points`` frame waits from then on.
When the main chart's canvas is drawn next, a task is posted that runs right behind that animation frame, when its
painting is done; there the canvas is read back with `getImageData`. If it changed, what waited is in the picture: that
moment, and the beginning of the next animation frame, less the time that the training's record bears. The job's loss
goes up and down from step to step, so that the newest column of the curve tells which step it shows.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from ..browser.conftest import BROWSERS, FLAGS, log_in, open_lab, serve_lab
from ..real_server import RealServer
from .measure import Row, measured
from .serving import running

HZ, WARM_SECONDS, SECONDS, ROUNDS = 20, 3.0, 12.0, 2

_JOB = f"""
import time, jupyter_trainlive as trainlive
due = time.time()
for step in range(1, 5000):
    due += {1 / HZ}
    time.sleep(max(0.0, due - time.time()))
    trainlive.log({{"loss": 1.0 + 2 * (step % 2), "grad_norm": 1.0, "learning_rate": 1e-3}}, step=step)
"""

_PROBE = Path(__file__).parent / "side" / "pixel.js"


def run(folder: Path) -> list[Row]:
    seen: list[dict[str, float]] = []
    probes: list[dict[str, Any]] = []
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with serve_lab(folder / "home") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        version = browser.version
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.add_init_script(path=_PROBE)
        log_in(page, server)
        open_lab(page, server)
        for _ in range(ROUNDS):
            probe = _one_job(page, server)
            seen += probe["seen"]
            probes.append(probe)
        browser.close()
    return _rows(seen, probes, version)


def _one_job(page: Page, server: RealServer) -> dict[str, Any]:
    with running(server, _JOB) as job_id:
        server.until(job_id, lambda job: bool(job["series"]))
        page.evaluate("id => window.jupyterapp.commands.execute('trainlive:open-job', { job_id: id })", job_id)
        page.wait_for_function("() => [...document.querySelectorAll('section.tl')].some(s => +s.dataset.points > 5)")
        time.sleep(WARM_SECONDS)
        page.evaluate(
            "() => Object.assign(probe, { seen: [], read: 0, unchanged: 0, right: 0, wrong: 0, readback: [] })"
        )
        time.sleep(SECONDS)
        result = dict(page.evaluate("() => ({ ...probe, begin: null })"))
        # The next job is looked at in a tab of its own, alone.
        page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")
    return result


def _rows(seen: list[dict[str, float]], probes: list[dict[str, Any]], version: str) -> list[Row]:
    def late(moment: str) -> list[float]:
        return [each[moment] - each["logged"] for each in seen]

    right, wrong, read = (sum(probe[key] for probe in probes) for key in ("right", "wrong", "read"))
    expected = HZ * SECONDS * ROUNDS
    assert len(seen) >= 0.9 * expected, f"only {len(seen)} of {expected:.0f} points came to be seen"
    checked = f"newest column at the newest value's height in {right} of {right + wrong} pictures"
    note = f"Chromium {version}, headless; {read} pictures read back, {checked}"
    what = f"log() at {HZ} Hz to the pixel in JupyterLab"
    return [
        measured(f"{what}: its frame is painted", "ms", late("painted"), most=25, p99_most=60, note=note),
        measured(f"{what}: the next animation frame begins", "ms", late("next"), note="the latest it can be on screen"),
        measured("of that: log() to the message in the page", "ms", late("arrived")),
    ]
