""" "New fine-tune": a form that knows the recipe, says what a training would do, and starts it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import execute, log_in, open_lab, shoot, theme


def open_form(page: Page, **args: object) -> Locator:
    execute(page, "trainlive:new-finetune", **args)
    form = page.locator(".tl-form").last
    expect(form.get_by_label("Model", exact=False).first).to_be_visible()
    return form


def field(form: Locator, name: str) -> Locator:
    return form.locator(f"[id$='-{name}']")


def group(form: Locator, title: str) -> Locator:
    return form.locator("details").filter(has=form.page.locator("summary").filter(has_text=re.compile(f"^{title}")))


def problem(form: Locator, name: str) -> Locator:
    return form.locator(f"[id$='-{name}-problem']")


def test_a_fine_tune_is_checked_tried_and_started_from_a_form_and_launched_again(lab: RealServer, page: Page) -> None:
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    form = open_form(page)
    shoot(page, "form-empty-light")

    # Nothing is asked of the server while something is missing, and the keyboard is where it is missing.
    form.get_by_role("button", name="Dry run").click()
    expect(form.get_by_text("2 fields need your attention.")).to_be_visible()
    expect(field(form, "model_name")).to_be_focused()
    expect(problem(form, "dataset_path")).to_have_text("This is needed.")

    # A path is offered as it is typed.
    page.keyboard.type("example/")
    expect(form.locator("datalist option[value='example/model/']")).to_have_count(1)
    page.keyboard.type("model")
    field(form, "dataset_path").fill("example/nothing.jsonl")
    field(form, "learning_rate").fill("fast")
    expect(problem(form, "learning_rate")).to_have_text("Must be a number, above 0, at most 1000.")
    field(form, "learning_rate").fill("3e-3")
    expect(problem(form, "learning_rate")).to_be_hidden()

    # What has no use is not shown; what the server refuses stands at its field, in a group that is opened for it.
    expect(group(form, "LoRA")).to_be_hidden()
    field(form, "use_peft").check()
    expect(group(form, "LoRA")).to_be_visible()
    form.get_by_role("button", name="Dry run").click()
    expect(problem(form, "dataset_path")).to_contain_text("example/nothing.jsonl")
    expect(field(form, "dataset_path")).to_be_focused()
    field(form, "dataset_path").fill("example/text.jsonl")
    group(form, "Checkpoints and logging").locator("summary").click()
    field(form, "save_steps").fill("5")
    field(form, "save_strategy").select_option("epoch")
    group(form, "Checkpoints and logging").locator("summary").click()
    expect(group(form, "Checkpoints and logging").locator("summary")).to_have_text("Checkpoints and logging 2 set")
    form.get_by_role("button", name="Start training").click()
    expect(problem(form, "save_steps")).to_contain_text('has no use with save_strategy "epoch"')
    expect(field(form, "save_steps")).to_be_focused()
    shoot(page, "form-refused-light")
    field(form, "save_steps").fill("")

    form.get_by_text("The same in Python").click()
    expect(form.locator("pre")).to_contain_text('trainlive.finetune(\n    "example/model",\n    "example/text.jsonl",')
    expect(form.locator("pre")).to_contain_text("    use_peft=True,")
    field(form, "max_length").fill("64")
    group(form, "Data").locator("summary").click()
    field(form, "max_train_samples").fill("64")
    form.get_by_role("button", name="Dry run").click()
    report = form.get_by_role("region", name="Dry run")
    expect(report).to_contain_text("64 rows to learn", timeout=90_000)
    expect(report).to_contain_text("24, 8 an epoch")
    expect(report).to_contain_text("no GPU tells how much it has")
    jobs = len(list(lab.jobs_dir.glob("job_*")))
    shoot(page, "form-report-light")
    theme(page, "JupyterLab Dark")
    shoot(page, "form-report-dark")
    page.set_viewport_size({"width": 360, "height": 900})
    form.locator("h1").scroll_into_view_if_needed()
    shoot(page, "form-narrow-dark")
    report.scroll_into_view_if_needed()
    shoot(page, "form-narrow-report-dark")
    page.set_viewport_size({"width": 1400, "height": 1000})
    theme(page, "JupyterLab Light")

    # What is typed is still there after a reload, and starts one job.
    field(form, "name").fill("from the form")
    expect(form.get_by_text("Changed since this dry run.")).to_be_visible()
    page.wait_for_timeout(1500)  # JupyterLab writes down where things are a second after they changed.
    open_lab(page, lab, "lab")
    form = page.locator(".tl-form")
    expect(field(form, "name")).to_have_value("from the form")
    expect(field(form, "use_peft")).to_be_checked()
    form.get_by_role("button", name="Start training").dblclick()
    view = page.locator(".tl-tab:not(.lm-mod-hidden) section.tl[data-status]")
    expect(view).to_contain_text("from the form")
    assert len(list(lab.jobs_dir.glob("job_*"))) == jobs + 1
    job_id = view.locator("code").first.inner_text()
    parameters = lab.job(job_id)["spec"]["parameters"]
    assert (parameters["lora_r"], parameters["learning_rate"], parameters["max_train_samples"]) == (16, 0.003, 64)
    with lab.http() as http:
        http.post(f"api/training/jobs/{job_id}/cancel")

    # Once more, with one thing changed: all else is as it was.
    again = open_form(page, job_id=job_id, values={"per_device_train_batch_size": 4})
    expect(again.get_by_role("heading")).to_have_text("Launch from the form again")
    expect(field(again, "per_device_train_batch_size")).to_have_value("4")
    expect(field(again, "max_length")).to_have_value("64")
    expect(field(again, "num_train_epochs")).to_have_value("")
    expect(field(again, "save_strategy")).to_have_value("epoch")
    lab.wait(job_id)
    shoot(page, "form-again-light")
