"""The widget of a job: it obeys, it comes back, and it needs no kernel."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from .. import fake_nvml
from ..real_server import RealServer
from .conftest import log_in, open_notebook, run_all, serve_lab, shoot, theme, write_notebook

#: A training that goes on until it is stopped, in small steps.
ENDLESS = """
import itertools, time, jupyter_trainlive as trainlive
for step in itertools.count(1):
    trainlive.log({"loss": 1 / step, "grad_norm": 1.0, "learning_rate": 1e-3}, step=step, total_steps=5000)
    time.sleep(0.05)
"""
LAUNCH = f"import jupyter_trainlive as trainlive\njob = trainlive.launch(code={ENDLESS!r}, name='endless')\njob"


def live(page: Page) -> Locator:
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    widget.scroll_into_view_if_needed()
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 5")
    return widget


def job_id_of(widget: Locator) -> str:
    return widget.locator("code").first.inner_text()


def test_it_goes_on_without_its_kernel_asks_before_it_cancels_and_shows_the_end(lab: RealServer, page: Page) -> None:
    open_notebook(page, lab, write_notebook(lab, "cancel.ipynb", LAUNCH))
    run_all(page)
    widget = live(page)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    few = int(widget.get_attribute("data-points") or 0)
    page.wait_for_function("few => +document.querySelector('section.tl').dataset.points > few + 20", arg=few)

    widget.get_by_role("button", name="Cancel").click()
    expect(widget.get_by_role("button", name="Keep going")).to_be_focused()
    shoot(page, "widget-cancel-asks")
    page.keyboard.press("Escape")
    expect(widget).to_have_attribute("data-status", "running")
    widget.get_by_role("button", name="Cancel").click()
    widget.get_by_role("button", name="Stop it").click()
    expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
    expect(widget).to_have_attribute("data-live", "ended")
    assert lab.job(job_id_of(widget))["status"] == "cancelled"
    shoot(page, "widget-cancelled")


def test_a_failed_job_says_why_and_markup_in_names_stays_text(lab: RealServer, page: Page) -> None:
    code = (
        "import jupyter_trainlive as t\n"
        "for step in range(1, 40): t.log({'loss': 2 / step, '<img src=x onerror=alert(1)>': step}, step=step)\n"
        "raise RuntimeError('<b>the data</b> is gone')"
    )
    cell = f"import jupyter_trainlive as t\njob = t.launch(code={code!r}, name='<script>alert(1)</script>')\njob"
    open_notebook(page, lab, write_notebook(lab, "failed.ipynb", cell))
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "failed", timeout=60_000)
    expect(widget).to_contain_text("RuntimeError: <b>the data</b> is gone")
    expect(widget).to_contain_text("<script>alert(1)</script>")
    assert widget.locator("script, img, b b").count() == 0
    # A theme that an earlier page left behind may have come after the one that was asked for at first.
    theme(page, "JupyterLab Light")
    widget.scroll_into_view_if_needed()
    shoot(page, "widget-failed-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "widget-failed-dark")


def test_it_says_when_it_is_not_live_and_has_every_point_once_when_it_is_again(tmp_path: Path, page: Page) -> None:
    """The server is stopped and started again on its port, while the job runs on."""
    with serve_lab(tmp_path / "home") as first:
        open_notebook(page, first, write_notebook(first, "survivor.ipynb", LAUNCH))
        run_all(page)
        widget = live(page)
        job_id = job_id_of(widget)
        port = urlsplit(first.url).port
    expect(widget).to_have_attribute("data-live", "reconnecting", timeout=30_000)
    page.wait_for_timeout(2000)
    shoot(page, "widget-reconnecting")
    few = int(widget.get_attribute("data-points") or 0)
    with serve_lab(tmp_path / "home", port=port or 0) as second:
        expect(widget).to_have_attribute("data-live", "live", timeout=40_000)
        page.wait_for_function("few => +document.querySelector('section.tl').dataset.points > few + 10", arg=few)
        with second.http() as http:
            assert http.post(f"api/training/jobs/{job_id}/cancel").status_code == 202
        expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
        count = next(series["count"] for series in second.job(job_id)["series"] if series["name"] == "loss")
        page.wait_for_function("n => +document.querySelector('section.tl').dataset.points === n", arg=count)
        losses = second.http().get(f"api/training/jobs/{job_id}/metrics.csv").text.count("loss,")
        assert losses == count


def test_gpus_are_shown_as_they_are_and_what_is_unknown_as_unknown(tmp_path: Path, page: Page) -> None:
    """Two GPUs behind the real NVML binding, the second without power readings; the panel shows both."""
    settings = tmp_path / "settings"
    fake_nvml.configure(settings, VARY=1)
    env = fake_nvml.environment(fake_nvml.build(tmp_path), settings)
    with serve_lab(tmp_path / "home", env=env) as server:
        # Both are used by somebody else, so a job that wants one would wait.
        open_notebook(page, server, write_notebook(server, "gpus.ipynb", LAUNCH.replace("name=", "gpus=0, name=")))
        run_all(page)
        widget = live(page)
        gauges = widget.get_by_role("meter")
        expect(gauges.first).to_be_visible()
        system = server.http().get("api/system").json()
        assert len(system["gpus"]) == 2
        assert system["gpus"][0]["power_watts"] is not None
        assert system["gpus"][1]["power_watts"] is None
        for gpu in system["gpus"]:
            expect(widget).to_contain_text(gpu["name"])
        job_id = job_id_of(widget)
        status = server.http().get(f"api/training/status/{job_id}").json()
        assert status["gpu_utilization_percent"] is not None
        page.wait_for_timeout(3000)
        widget.scroll_into_view_if_needed()
        shoot(page, "widget-gpus-light")
        theme(page, "JupyterLab Dark")
        shoot(page, "widget-gpus-dark")
        server.http().post(f"api/training/jobs/{job_id}/cancel")
        server.wait(job_id)


def test_a_client_in_browser_javascript_that_is_told_the_url_follows_a_job_to_its_end(
    lab: RealServer, page: Page
) -> None:
    """As the clients of the server that this one follows do it: no library, no subprotocol."""
    log_in(page, lab)
    job_id = lab.submit(ENDLESS.replace("itertools.count(1)", "range(1, 60)"))
    messages = page.evaluate(
        """url => new Promise((resolve, reject) => {
          const socket = new WebSocket(url), messages = [];
          socket.onmessage = event => messages.push(JSON.parse(event.data));
          socket.onerror = () => reject(new Error("refused"));
          socket.onclose = event => resolve([messages, event.code]);
        })""",
        lab.socket_url(job_id),
    )
    received, code = messages
    assert code == 1000
    assert [message["complete"] for message in received[:-1]] == [False] * (len(received) - 1)
    assert received[-1]["status"] == "completed"
    assert received[-1]["final_loss"] == pytest.approx(1 / 59)
    assert json.dumps(received).count(job_id) == len(received) >= 4
