"""Notebooks that were saved: live while the server knows the job, then the last picture of its curves; exports too."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import log_in, open_notebook, run_all, shoot, theme, write_notebook

MIME = "application/vnd.jupyter-trainlive.job+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CURVES = """
import math, time, jupyter_trainlive as trainlive
for step in range(1, 301):
    loss = 0.8 + 2.5 * math.exp(-step / 80) + 0.1 * math.sin(step * 1.7)
    trainlive.log({"loss": loss, "learning_rate": 1e-3 * (1 - step / 301)}, step=step, total_steps=300)
    if step % 50 == 0:
        trainlive.log({"eval_loss": loss + 0.2}, step=step)
    time.sleep(0.01)
"""


def launch(name: str) -> str:
    return f"import jupyter_trainlive as trainlive\njob = trainlive.launch(code={CURVES!r}, name={name!r})\njob"


def outputs(server: RealServer, name: str) -> list[Any]:
    """The outputs of a notebook's cells as they lie in its file."""
    content = nbformat.read(server.home / "root" / name, as_version=4)
    return [output for cell in content.cells for output in cell.outputs]


def save(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")


def is_dirty(page: Page) -> bool:
    return bool(page.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty"))


def is_drawn(image: Locator) -> bool:
    """Whether the browser could read it, and it is a picture of some size."""
    return bool(image.evaluate("image => image.decode().then(() => image.naturalWidth > 200, () => false)"))


def export(server: RealServer, name: str, *options: str) -> Path:
    """What nbconvert makes of a notebook: a page on its own."""
    root = server.home / "root"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *options, name]
    done = subprocess.run(command, cwd=root, env=server.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root / Path(name).with_suffix(".html")


def open_export(page: Page, file: Path) -> Page:
    """Opened as a file, without a network."""
    exported = page.context.new_page()
    exported.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
    exported.goto(file.as_uri())
    return exported


def open_without_a_kernel(page: Page, server: RealServer, name: str) -> Page:
    """A notebook in a page of its own: without a session the lab's manager of widgets logs an error of its own."""
    opened = page.context.new_page()
    # A workspace of its own has no tabs of other pages. The lab may send the page to another one first.
    opened.goto(f"{server.url}lab/workspaces/{uuid.uuid4().hex}")
    opened.wait_for_function("() => !location.search.includes('reset') && window.jupyterapp?.restored.then(() => true)")
    opened.evaluate(
        """path => window.jupyterapp.commands.execute('docmanager:open', {
          path, factory: 'Notebook', kernelPreference: { shouldStart: false, canStart: false },
        }).then(panel => panel.context.ready)""",
        name,
    )
    assert opened.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session") is None
    return opened


def test_a_saved_notebook_is_live_without_a_kernel_and_keeps_its_last_picture(lab: RealServer, page: Page) -> None:
    open_notebook(page, lab, write_notebook(lab, "saved.ipynb", launch("saved"), "print('below')"))
    theme(page, "JupyterLab Light")
    run_all(page)
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    section = widget.element_handle()
    job_id = widget.locator("code").first.inner_text()

    # Saved while it runs: a picture of now, and the view stays the one it was.
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 20")
    save(page)
    (output, _) = outputs(lab, "saved.ipynb")
    assert output.data[MIME]["job_id"] == job_id
    assert WIDGET_VIEW not in output.data
    early = output.data["image/png"]
    assert base64.b64decode(early).startswith(b"\x89PNG")
    assert section is not None
    assert section.evaluate("section => section.isConnected")

    # Saved at its end, though nobody touches the notebook.
    expect(widget).to_have_attribute("data-status", "completed", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context.model.dirty")
    save(page)
    written = (lab.home / "root" / "saved.ipynb").read_bytes()
    (output, _) = outputs(lab, "saved.ipynb")
    assert output.data["image/png"] != early
    assert "completed" in output.metadata[MIME]["picture"]

    # Reopened without a kernel it is live all the same, and neither opening nor saving changes anything.
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    reopened = open_without_a_kernel(page, lab, "saved.ipynb")
    widget = reopened.locator("section.tl").first
    expect(widget).to_have_attribute("data-live", "ended")
    reopened.wait_for_function("() => +document.querySelector('section.tl').dataset.points === 300")
    assert not is_dirty(reopened)
    shoot(reopened, "saved-notebook-known")
    save(reopened)
    assert (lab.home / "root" / "saved.ipynb").read_bytes() == written

    # The job is deleted: the picture is what remains, with one line.
    with lab.http() as http:
        assert http.delete(f"api/training/jobs/{job_id}").is_success
    reopened = open_without_a_kernel(page, lab, "saved.ipynb")
    kept = reopened.locator("section.tl .tl-saved")
    expect(kept).to_contain_text("does not know it any more")
    assert is_drawn(kept.locator("img"))
    expect(reopened.locator(".jp-NotebookPanel")).not_to_contain_text("Error")
    expect(reopened.locator("section.tl:visible")).to_have_count(1)
    assert not is_dirty(reopened)
    shoot(reopened, "saved-notebook-unknown-light")
    theme(reopened, "JupyterLab Dark")
    shoot(reopened, "saved-notebook-unknown-dark")

    exported = open_export(page, export(lab, "saved.ipynb"))
    assert is_drawn(exported.locator(".jp-OutputArea img").first)
    expect(exported.locator(".jp-OutputArea").first).not_to_contain_text("Job")
    assert "jupyter_trainlive" not in "".join(exported.locator("script").all_inner_texts())
    shoot(exported, "saved-notebook-exported")


def test_what_a_stranger_wrote_into_a_notebook_stays_text(lab: RealServer, page: Page) -> None:
    """A notebook that nobody trusts: its jobs are shown if they are there; its names and pictures run nothing."""
    job_id = lab.submit(CURVES, name="known")
    hostile = '<img src=x onerror="document.title=`hit`">\u202egnp.exe'
    foreign = {"job_id": "job_000000000000", "name": hostile, "server_path": "//evil.example/"}
    script = (
        "<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=`hit`'>"
        "<script>document.title='hit'</script></svg>"
    )
    name = write_notebook(lab, "stranger.ipynb", "1", "2", "3")
    file = lab.home / "root" / name
    content = json.loads(file.read_text())
    datas = (
        {MIME: foreign, "image/svg+xml": script},
        {
            MIME: {"job_id": "../../api/kernels", "name": hostile},
            "image/png": '"><script>document.title="hit"</script>',
        },
        {MIME: {"job_id": job_id, "name": "not its name"}},
    )
    for cell, data in zip(content["cells"], datas, strict=True):
        cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
    file.write_text(json.dumps(content))
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    log_in(page, lab)
    opened = open_without_a_kernel(page, lab, name)
    shown = opened.locator(".jp-OutputArea section.tl:visible")
    expect(shown).to_have_count(3)
    expect(shown.nth(0)).to_contain_text(hostile[:10])
    expect(shown.nth(0)).to_contain_text("another server")
    expect(shown.nth(1)).to_contain_text("does not say which")
    expect(shown.nth(2)).to_have_attribute("data-status", "completed", timeout=60_000)
    expect(shown.nth(2)).to_contain_text("known")
    expect(shown.nth(2)).not_to_contain_text("not its name")
    assert opened.locator(".jp-OutputArea section.tl :is(script, img[src=x])").count() == 0
    assert "hit" not in opened.title()
    assert [url for url in asked if "evil" in url or "api/training/jobs/.." in url] == []
    shoot(opened, "saved-notebook-of-a-stranger")


def test_a_notebook_that_a_program_ran_exports_with_a_picture(lab: RealServer, page: Page) -> None:
    """nbconvert runs it where no front end is: the picture comes from Python."""
    job_id = lab.submit(CURVES, name="<b>run</b> by a program")
    lab.wait(job_id)
    show = f"import jupyter_trainlive as trainlive\ntrainlive.get({job_id!r})"
    both = f"trainlive.compare({job_id!r}, {job_id!r})"
    name = write_notebook(lab, "program.ipynb", show, both)
    exported = open_export(page, export(lab, name, "--execute"))
    images = exported.locator(".jp-OutputArea img")
    expect(images).to_have_count(2)
    assert is_drawn(images.nth(0))
    assert is_drawn(images.nth(1))
    assert exported.locator("script[type*=widget]").count() == 0
    shoot(exported, "notebook-exported-by-a-program")
