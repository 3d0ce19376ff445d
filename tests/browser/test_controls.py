"""The buttons of a job: it is held, freed, and goes on, and the page says what it does; with a real fine-tune."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil
from playwright.sync_api import Locator, Page, expect

from .. import fake_nvml
from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, open_notebook, run_all, serve_lab, shoot, theme, write_notebook

STEPS = 160
#: Quick steps, but more of them than go by while somebody looks for a button.
LAUNCH = f"""import jupyter_trainlive as trainlive
job = trainlive.finetune(
    "example/model", "example/text.jsonl", name="docs-sft", max_steps={STEPS}, per_device_train_batch_size=4,
    max_length=64, learning_rate=3e-3, warmup_steps=20, eval_split=0.1, eval_steps=40, save_steps=20,
)
job"""


def training(page: Page, server: RealServer, name: str) -> tuple[Locator, str]:
    """A widget whose job has trained for a while, and the job's id."""
    open_notebook(page, server, write_notebook(server, name, LAUNCH))
    theme(page, "JupyterLab Light")
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=90_000)
    widget.scroll_into_view_if_needed()
    beyond(page, 15)
    return widget, widget.locator("code").first.inner_text()


def beyond(page: Page, points: int) -> None:
    page.wait_for_function(
        "points => +document.querySelector('section.tl').dataset.points > points", arg=points, timeout=60_000
    )


def button(widget: Locator, name: str) -> Locator:
    return widget.get_by_role("button", name=name)


def shoot_in_both_themes(page: Page, name: str) -> None:
    shoot(page, f"{name}-light")
    theme(page, "JupyterLab Dark")
    shoot(page, f"{name}-dark")
    theme(page, "JupyterLab Light")


def shoot_narrow(page: Page, widget: Locator, name: str) -> None:
    """The same in a window as narrow as a phone's, where the notebook leaves the widget all of its width."""
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": 620, "height": 1400})
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    widget.evaluate("widget => { widget.style.width = '420px' }")
    page.wait_for_timeout(500)
    assert widget.evaluate("widget => widget.scrollWidth <= widget.clientWidth")
    widget.screenshot(path=Path(__file__).parents[1] / "screenshots" / f"{name}-narrow.png")
    widget.evaluate("widget => { widget.style.width = '' }")
    page.set_viewport_size(size)


def test_a_fine_tune_is_held_goes_on_frees_its_gpu_and_completes_from_its_checkpoint(
    lab: RealServer, page: Page
) -> None:
    widget, job_id = training(page, lab, "hold.ipynb")
    shoot_narrow(page, widget, "controls-running")

    button(widget, "Hold").focus()
    page.keyboard.press("Enter")
    expect(widget).to_have_attribute("data-status", "paused", timeout=30_000)
    expect(widget).to_contain_text("held at")
    assert page.evaluate("() => document.activeElement.closest('section.tl') !== null"), "the keyboard is in the job"
    expect(widget.get_by_role("status").first).to_contain_text("held at")
    held = lab.job(job_id)
    assert (held["status"], held["pause"]) == ("paused", "hold")
    page.wait_for_timeout(1000)
    assert lab.job(job_id)["current_step"] == held["current_step"]
    expect(widget).to_contain_text(f"step {held['current_step']}")
    expect(widget.get_by_text("ETA")).to_be_hidden()
    shoot_in_both_themes(page, "controls-held")
    shoot_narrow(page, widget, "controls-held")

    points = int(widget.get_attribute("data-points") or 0)
    button(widget, "Resume").click()
    expect(widget).to_have_attribute("data-status", "running")
    beyond(page, points + 5)

    button(widget, "Free GPU").click()
    expect(widget).to_contain_text("GPU freed at", timeout=30_000)
    expect(widget).to_have_attribute("data-status", "paused")
    expect(button(widget, "Free GPU")).to_be_hidden()
    freed = lab.job(job_id)
    assert freed["checkpoint_step"] == freed["current_step"]
    shoot_in_both_themes(page, "controls-freed")
    shoot_narrow(page, widget, "controls-freed")

    button(widget, f"Resume from step {freed['checkpoint_step']}").click()
    expect(widget).to_have_attribute("data-status", "completed", timeout=120_000)
    assert widget.get_attribute("data-points") == str(STEPS), "every step once"
    assert lab.job(job_id)["attempt"] == 2
    expect(widget.locator(".tl-controls").get_by_role("button")).to_have_count(0)
    shoot(page, "controls-completed")


def test_a_job_that_was_killed_comes_back_to_life_in_the_page_that_resumes_it(lab: RealServer, page: Page) -> None:
    widget, job_id = training(page, lab, "killed.ipynb")
    lab.until(job_id, lambda job: (job["checkpoint_step"] or 0) >= 20)
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("TRAINLIVE_JOB_DIR", "").endswith(job_id):
            os.kill(process.pid, signal.SIGKILL)
    expect(widget).to_have_attribute("data-status", re.compile("failed|interrupted"), timeout=60_000)
    expect(widget).to_have_attribute("data-live", "ended")
    job = lab.job(job_id)
    expect(widget).to_contain_text(job["error"])
    expect(widget).to_contain_text(job["hint"])
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(500)
    assert not [url for url in requests if url.endswith(job_id)], "the output is asked for when it is wanted"
    widget.get_by_text("Last lines of output").click()
    expect(widget.get_by_label("Last lines of output")).to_have_text(job["output_tail"] or "It wrote nothing.")
    shoot_in_both_themes(page, "controls-killed")
    shoot_narrow(page, widget, "controls-killed")

    button(widget, f"Resume from step {job['checkpoint_step']}").click()
    expect(widget).to_have_attribute("data-live", "live")
    expect(widget.get_by_text(job["error"])).to_be_hidden()
    expect(widget).to_have_attribute("data-status", "completed", timeout=120_000)
    assert widget.get_attribute("data-points") == str(STEPS), "what was done twice is shown once"
    expect(widget).to_contain_text("2nd attempt")
    # A page that sees all of it at once, as history, draws the same.
    open_lab(page, lab)
    execute(page, "trainlive:open-job", job_id=job_id)
    expect(page.locator("section.tl").first).to_have_attribute("data-live", "ended")
    page.wait_for_function("n => +document.querySelector('section.tl').dataset.points === n", arg=STEPS)


def test_the_panel_says_what_is_held_what_waits_and_who_uses_a_gpu(tmp_path: Path, page: Page) -> None:
    settings = tmp_path / "settings"
    fake_nvml.configure(settings, COUNT=1, USED=0)
    env = fake_nvml.environment(fake_nvml.build(tmp_path), settings)
    code = (
        "import itertools, time, jupyter_trainlive as t\n"
        "for step in itertools.count(1):\n"
        "    t.log({'loss': 5 / step ** 0.5}, step=step, total_steps=3000)\n"
        "    time.sleep(0.02)\n"
    )
    with serve_lab(tmp_path / "home", env=env, one_at_a_time=True) as server, server.http() as http:
        first = server.submit(code, name="docs-sft", gpus=1)
        server.wait(first, "running")
        second, third = (server.submit(code, name=name, gpus=1) for name in ("qa-lora-r16", "qa-lora-r64"))
        server.until(third, lambda job: job["queue"] is not None)
        log_in(page, server)
        open_lab(page, server)
        theme(page, "JupyterLab Light")
        execute(page, "trainlive:show-jobs")
        panel = page.locator(".tl-panel")
        row = {name: panel.get_by_role("button", name=name) for name in ("docs-sft", "qa-lora-r16", "qa-lora-r64")}
        expect(row["qa-lora-r16"]).to_contain_text("1st")
        expect(row["qa-lora-r64"]).to_contain_text("2nd")
        assert http.post(f"api/training/jobs/{first}/pause").status_code == 202
        expect(row["docs-sft"]).to_contain_text("held at")
        expect(row["docs-sft"]).to_contain_text("GPU 0")
        expect(panel.locator(".tl-gauge-title").first).to_have_text("GPU 0 docs-sft")

        row["qa-lora-r16"].click()
        widget = page.locator("section.tl").first
        expect(widget).to_have_attribute("data-status", "queued")
        expect(widget).to_contain_text("1st in line · waits for a GPU: ")
        page.wait_for_timeout(1000)
        shoot_in_both_themes(page, "controls-queue")
        for job_id in (third, second, first):
            http.post(f"api/training/jobs/{job_id}/cancel")
        expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
        server.wait(first)
        expect(panel.get_by_role("heading", name="Active")).to_be_hidden(timeout=10_000)


def test_an_alert_is_one_quiet_line_that_is_spoken_and_opens_to_all_of_them(lab: RealServer, page: Page) -> None:
    code = (
        "import itertools, time, jupyter_trainlive as t\n"
        "for step in itertools.count(1):\n"
        "    odd = step % 100 in (61, 62, 63)\n"
        "    t.log({'loss': float('nan') if odd else 5 / step ** 0.5}, step=step, total_steps=1000)\n"
        "    time.sleep(0.03)\n"
    )
    cell = f"import jupyter_trainlive as t\njob = t.launch(code={code!r}, name='unstable')\njob"
    open_notebook(page, lab, write_notebook(lab, "alerts.ipynb", cell))
    theme(page, "JupyterLab Light")
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    widget.scroll_into_view_if_needed()
    line = widget.locator(".tl-alerts")
    expect(line).to_contain_text("The loss was NaN in 3 logs in a row (steps 61 to 63).", timeout=30_000)
    expect(widget.get_by_role("status").first).to_contain_text("The loss was NaN")
    expect(line).to_contain_text("2 alerts", timeout=30_000)
    expect(line).to_contain_text("steps 161 to 163")
    line.focus()
    page.keyboard.press("Enter")
    expect(widget.locator(".tl-alert-list li")).to_have_count(2)
    expect(widget.get_by_text("steps 61 to 63")).to_be_visible()
    expect(widget.get_by_role("tab", name="Alerts")).to_be_focused()
    shoot_in_both_themes(page, "controls-alerts")
    shoot_narrow(page, widget, "controls-alerts")
    job_id = widget.locator("code").first.inner_text()
    with lab.http() as http:
        http.post(f"api/training/jobs/{job_id}/cancel")
    expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
