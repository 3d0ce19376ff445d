"""All of a job in its view: its output as a terminal shows it, files, settings, alerts, its part of a GPU, and its end."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from .. import fake_nvml
from ..real_server import RealServer
from .conftest import log_in, serve_lab, shoot, theme

#: Says what terminals carry out, leaves files, raises an alert, and fails once it is let go.
TALKATIVE = r"""
import os, pathlib, sys, time
import jupyter_trainlive as t
job = pathlib.Path(os.environ["TRAINLIVE_JOB_DIR"])
for k in range(1, 260_001):
    print(f"line {k} of the preparation")
for k in range(101):
    print(f"\rTokenizing: {k:3d}%|{'#' * (k // 5):20}| {k}/100 [00:01<00:00]", end="")
print("\n\x1b[1;33mWARNING\x1b[0m: \x1b[31mred\x1b[0m, \x1b[38;5;27mblue\x1b[0m and \x1b[30;42m on green \x1b[0m")
print("<img src=x onerror=alert(1)> \u202egnp.exe \x00\x07 " + "long " * 2000)
(job / "artifacts" / "model").mkdir(parents=True)
(job / "artifacts" / "model" / "config.json").write_text("{}")
(job / "artifacts" / "model" / "<b>weights \u202e.bin").write_bytes(bytes(123_456))
for step in range(1, 200):
    t.log({"loss": float("nan") if step in (61, 62, 63) else 5 / step ** 0.5, "grad_norm": 1 / step}, step=step, total_steps=400)
step = 0
while not os.path.exists("end"):
    step += 1
    print(f"still here {step}", flush=True)
    time.sleep(0.1)
raise RuntimeError("<b>the data</b> is gone")
"""


def open_job(page: Page, server: RealServer, job_id: str) -> Locator:
    log_in(page, server)
    page.goto(server.url + "lab?reset")
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("() => window.jupyterapp.restored")
    theme(page, "JupyterLab Light")
    page.evaluate("job_id => { window.jupyterapp.commands.execute('trainlive:open-job', { job_id }) }", job_id)
    return page.locator("section.tl").first


def shoot_everywhere(page: Page, name: str) -> None:
    """In both themes, and as narrow as a phone."""
    shoot(page, f"{name}-light")
    theme(page, "JupyterLab Dark")
    shoot(page, f"{name}-dark")
    theme(page, "JupyterLab Light")
    page.set_viewport_size({"width": 400, "height": 1000})
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight() }")
    page.wait_for_timeout(300)
    assert page.evaluate("() => { const s = document.querySelector('section.tl'); return s.scrollWidth <= s.clientWidth }")
    shoot(page, f"{name}-narrow")
    page.set_viewport_size({"width": 1400, "height": 1000})


def test_all_of_a_job_can_be_seen_in_its_view(tmp_path: Path, page: Page) -> None:
    settings = tmp_path / "settings"
    fake_nvml.configure(settings, COUNT=1, USED=0, VARY=1)
    env = fake_nvml.environment(fake_nvml.build(tmp_path), settings)
    with serve_lab(tmp_path / "home", env=env) as server:
        job_id = server.submit(TALKATIVE, name="docs-<i>sft</i>", gpus=1, cwd=str(tmp_path), env={"SECRET": "abc"})
        server.until(job_id, lambda job: job["current_step"] == 199)
        widget = open_job(page, server, job_id)
        expect(widget).to_have_attribute("data-status", "running")
        page.wait_for_function("() => +document.querySelector('section.tl').dataset.points === 199")
        page.wait_for_timeout(4000)
        shoot_everywhere(page, "job-curves")
        tab = {name: widget.get_by_role("tab", name=name) for name in ("Curves", "Log", "Files", "Settings", "Alerts")}

        tab["Log"].click()
        log = widget.get_by_role("region", name="Output")
        expect(log).to_contain_text("still here")
        page.wait_for_timeout(1000)
        shoot_everywhere(page, "job-log")
        for name in ("Files", "Settings", "Alerts"):
            tab[name].click()
            page.wait_for_timeout(1500)
            shoot_everywhere(page, f"job-{name.lower()}")
        tab["Log"].click()
        widget.get_by_label("Search the output").fill("line 12345 ")
        page.wait_for_timeout(3000)
        shoot(page, "job-log-found")
        (tmp_path / "end").touch()
        expect(widget).to_have_attribute("data-status", "failed", timeout=30_000)
        page.wait_for_timeout(1000)
        tab["Curves"].click()
        shoot_everywhere(page, "job-failed")
