"""All of a job in its view: its output as a terminal shows it, files, settings, alerts, and its end."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme

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
    loss = float("nan") if step in (61, 62, 63) else 5 / step ** 0.5
    t.log({"loss": loss, "grad_norm": 1 / step}, step=step, total_steps=400)
step = 0
while not os.path.exists("end"):
    step += 1
    print(f"still here {step}", flush=True)
    time.sleep(0.1)
raise RuntimeError("<b>the data</b> is gone")
"""


def open_job(page: Page, server: RealServer, job_id: str) -> Locator:
    log_in(page, server)
    open_lab(page, server)
    theme(page, "JupyterLab Light")
    execute(page, "trainlive:open-job", job_id=job_id)
    return page.locator("section.tl").first


def shoot_everywhere(page: Page, name: str) -> None:
    """In both themes, and in a window as narrow as a phone's."""
    shoot(page, f"{name}-light")
    theme(page, "JupyterLab Dark")
    shoot(page, f"{name}-dark")
    theme(page, "JupyterLab Light")
    shoot_narrow(page, name)


def shoot_narrow(page: Page, name: str) -> None:
    page.set_viewport_size({"width": 400, "height": 1000})
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight() }")
    page.wait_for_function("() => document.querySelector('section.tl').clientWidth > 280")
    assert page.evaluate("() => (s => s.scrollWidth <= s.clientWidth)(document.querySelector('section.tl'))")
    shoot(page, f"{name}-narrow")
    page.set_viewport_size({"width": 1400, "height": 1000})


def test_a_job_shows_its_output_its_files_what_it_was_asked_and_why_it_failed(
    lab: RealServer, page: Page, tmp_path: Path
) -> None:
    job_id = lab.submit(TALKATIVE, name="docs-<i>sft</i>", cwd=str(tmp_path), env={"A_SECRET": "abc"})
    lab.until(job_id, lambda job: job["current_step"] == 199)
    widget = open_job(page, lab, job_id)
    expect(widget).to_have_attribute("data-status", "running")
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points === 199")
    tab = {name: widget.get_by_role("tab", name=name) for name in ("Curves", "Log", "Files", "Settings", "Alerts")}
    expect(tab["Alerts"]).to_have_text("Alerts1")
    shoot_everywhere(page, "job-curves")

    tab["Curves"].focus()
    page.keyboard.press("ArrowRight")
    expect(tab["Log"]).to_be_focused()
    see_the_output(page, widget)

    tab["Files"].click()
    expect(tab["Files"]).to_have_text("Files2")
    files = widget.get_by_role("tabpanel", name="Files")
    expect(files.locator(".tl-file")).to_have_text(["<b>weights \ufffd.bin123\u00a0kB↓", "config.json2\u00a0B↓"])
    config = files.get_by_role("link", name="Download artifacts/model/config.json")
    path = f"trainlive/api/training/jobs/{job_id}"
    expect(config).to_have_attribute("href", f"{lab.url}{path}/files/artifacts/model/config.json")
    folder = files.get_by_role("link", name="Download the folder model")
    expect(folder).to_have_attribute("href", f"{lab.url}{path}/archive?path=artifacts%2Fmodel")
    for link, name in ((config, "config.json"), (folder, "model.tar")):
        with page.expect_download() as download:
            link.click()
        assert download.value.suggested_filename == name
        assert download.value.path().stat().st_size > 0
    shoot(page, "job-files-light")
    shoot_narrow(page, "job-files")

    tab["Settings"].click()
    settings = widget.get_by_role("tabpanel", name="Settings")
    expect(settings).to_contain_text("A_SECRET")
    expect(settings).not_to_contain_text("abc")
    expect(settings).to_contain_text("python version")
    settings.get_by_label("Search settings").fill("cwd")
    expect(settings.locator(".tl-setting:visible")).to_have_text([f"cwd{tmp_path}"])
    settings.get_by_label("Search settings").fill("")
    shoot(page, "job-settings-light")
    shoot_narrow(page, "job-settings")

    widget.locator(".tl-alerts").click()
    expect(tab["Alerts"]).to_have_attribute("aria-selected", "true")
    expect(widget.locator(".tl-alert-list li")).to_contain_text("The loss was NaN in 3 logs in a row")
    shoot(page, "job-alerts-light")
    shoot_narrow(page, "job-alerts")

    spoken = widget.get_by_role("status").first
    (tmp_path / "end").touch()
    expect(widget).to_have_attribute("data-status", "failed", timeout=30_000)
    expect(spoken).to_have_text("docs-<i>sft</i>: Failed")
    why = widget.locator(".tl-why")
    expect(why).to_contain_text("RuntimeError: <b>the data</b> is gone")
    why.get_by_text("Traceback", exact=True).click()
    expect(why.get_by_label("Traceback")).to_contain_text("raise RuntimeError")
    assert widget.locator("img, i i, b b").count() == 0
    tab["Curves"].click()
    shoot_everywhere(page, "job-failed")


def see_the_output(page: Page, widget: Locator) -> None:
    """What terminals carry out is carried out, all else is text; it is followed, and found in what was never shown."""
    log = widget.get_by_role("region", name="Output")
    lines = log.locator(".tl-line")
    expect(lines.filter(has_text="Tokenizing")).to_have_text(f"Tokenizing: 100%|{'#' * 20}| 100/100 [00:01<00:00]")
    expect(lines.filter(has_text="WARNING")).to_have_text("WARNING: red, blue and  on green ")
    expect(log.locator(".tl-text-1")).to_have_text("red")
    expect(log.locator(".tl-bold.tl-text-3")).to_have_text("WARNING")
    expect(lines.filter(has_text="<img src=x")).to_contain_text("\ufffdgnp.exe ␀ long long")
    shoot_everywhere(page, "job-log")

    follow = widget.get_by_role("button", name="Keep the newest line in view")
    at_end = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 30"
    expect(follow).to_have_attribute("aria-pressed", "true")
    assert log.evaluate(at_end)
    log.focus()
    page.keyboard.press("PageUp")
    expect(follow).to_have_attribute("aria-pressed", "false")
    newest = lines.filter(has_text="still here").count()
    page.wait_for_function(
        "n => [...document.querySelectorAll('.tl-line')].filter(e => /still here/.test(e.textContent)).length > n + 5",
        arg=newest,
    )
    assert not log.evaluate(at_end), "who reads is left where he is"
    follow.click()
    page.wait_for_function(f"() => ({at_end})(document.querySelector('.tl-log-text'))")

    search, matches = widget.get_by_label("Search the output"), widget.locator(".tl-matches")
    search.fill("Line 12345 ")
    expect(matches).to_have_text("1 of 1", timeout=10_000)
    expect(log.locator("mark")).to_be_in_viewport()
    search.fill("line 4999")
    expect(matches).to_have_text("11 of 11")
    page.keyboard.press("Enter")
    expect(matches).to_have_text("1 of 11")
    expect(log.locator("mark[data-current]")).to_be_in_viewport()
    shoot(page, "job-log-found")
    search.fill("nowhere")
    expect(matches).to_have_text("no match")
    search.press("Escape")
    expect(matches).to_have_text("")
