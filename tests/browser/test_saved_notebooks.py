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
from nbconvert.exporters.html import HTMLExporter
from playwright.sync_api import Locator, Page, expect

from jupyter_trainlive.notebook import picture

from ..real_server import RealServer
from .conftest import log_in, open_notebook, run_all, shoot, theme, write_notebook

MIME = "application/vnd.jupyter-trainlive.job+json"
COMPARISON_MIME = "application/vnd.jupyter-trainlive.comparison+json"
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
#: Every curve in the page is the last that there will be.
ENDED = "() => [...document.querySelectorAll('section.tl[data-live]')].every(({ dataset }) => dataset.live === 'ended')"


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


def export(server: RealServer, name: str) -> Path:
    """What nbconvert makes of a notebook as it was saved: a page on its own."""
    file = server.home / "root" / name
    html, _ = HTMLExporter().from_filename(file)  # type: ignore[no-untyped-call]
    written = file.with_suffix(".html")
    written.write_text(html, encoding="utf-8")
    return written


def execute_and_export(server: RealServer, name: str) -> Path:
    """The same after nbconvert has run it, in a kernel of its own."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", name]
    root = server.home / "root"
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


def shown_in(page: Page, cell: int) -> Locator:
    """What is shown in the output of a cell."""
    return page.locator(".jp-Notebook .jp-Cell").nth(cell).locator("section.tl:visible")


def test_a_saved_notebook_is_live_without_a_kernel_and_keeps_its_last_picture(lab: RealServer, page: Page) -> None:
    known, gone = (lab.submit(CURVES, name=name) for name in ("docs-base", "docs-gone"))
    both, one = f"trainlive.compare({known!r}, {gone!r})", f"trainlive.compare({gone!r})"
    # Everything in sight at once: what never was, a notebook of many cells does not draw.
    page.set_viewport_size({"width": 1200, "height": 2600})
    open_notebook(page, lab, write_notebook(lab, "saved.ipynb", launch("saved"), both, one))
    theme(page, "JupyterLab Light")
    run_all(page)
    widget = shown_in(page, 0)
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    section = widget.element_handle()
    job_id = widget.locator("code").first.inner_text()

    # Saved while it runs: a picture of now, and the view stays the one it was.
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 20")
    save(page)
    output = outputs(lab, "saved.ipynb")[0]
    assert output.data[MIME]["job_id"] == job_id
    assert WIDGET_VIEW not in output.data
    early = output.data["image/png"]
    assert base64.b64decode(early).startswith(b"\x89PNG")
    assert section is not None
    assert section.evaluate("section => section.isConnected")

    # Saved at its end, though nobody touches the notebook. A comparison is kept as it is seen.
    expect(widget).to_have_attribute("data-status", "completed", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context.model.dirty")
    expect(shown_in(page, 1)).to_have_attribute("data-points", "600")
    # A key that is pressed on a button of ours is not the notebook's: this one would cut the cell.
    shown_in(page, 2).get_by_role("button", name="Add a job…").press("x")
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(3)
    shown_in(page, 2).get_by_role("button", name="Add a job…").click()
    shown_in(page, 2).get_by_role("button", name="saved").click()
    expect(shown_in(page, 2)).to_have_attribute("data-points", "600")
    shown_in(page, 2).get_by_role("button", name="Take saved out of the comparison").click()
    expect(shown_in(page, 2)).to_have_attribute("data-points", "300")
    page.wait_for_function(ENDED)
    save(page)
    shoot(page, "saved-notebook-seen")
    written = (lab.home / "root" / "saved.ipynb").read_bytes()
    job, comparison, other = outputs(lab, "saved.ipynb")
    assert job.data["image/png"] != early
    assert "completed" in job.metadata[MIME]["picture"]
    assert comparison.data[COMPARISON_MIME]["jobs"] == [
        {"job_id": known, "name": "docs-base"},
        {"job_id": gone, "name": "docs-gone"},
    ]
    assert [each["job_id"] for each in other.data[COMPARISON_MIME]["jobs"]] == [gone]
    assert "image/svg+xml" not in comparison.data
    assert len({each.data["image/png"] for each in (job, comparison, other)}) == 3

    # Reopened without a kernel it is live all the same, and neither opening nor saving changes anything. Where no
    # job is left the picture remains, with one line.
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    with lab.http() as http:
        assert http.delete(f"api/training/jobs/{gone}").is_success
    reopened = open_without_a_kernel(page, lab, "saved.ipynb")
    expect(shown_in(reopened, 0)).to_have_attribute("data-live", "ended")
    expect(shown_in(reopened, 0)).to_have_attribute("data-points", "300")
    expect(shown_in(reopened, 1)).to_have_attribute("data-points", "300")
    expect(shown_in(reopened, 1).get_by_role("listitem").nth(1)).to_contain_text("not on this server")
    kept = shown_in(reopened, 2)
    expect(kept).to_contain_text("does not know its jobs any more")
    assert is_drawn(kept.locator("img"))
    expect(reopened.locator(".jp-NotebookPanel")).not_to_contain_text("Error")
    assert not is_dirty(reopened)
    shoot(reopened, "saved-notebook-light")
    save(reopened)
    assert (lab.home / "root" / "saved.ipynb").read_bytes() == written
    theme(reopened, "JupyterLab Dark")
    shoot(reopened, "saved-notebook-dark")

    exported = open_export(page, export(lab, "saved.ipynb"))
    images = exported.locator(".jp-OutputArea img")
    expect(images).to_have_count(3)
    assert all(is_drawn(images.nth(k)) for k in range(3))
    assert images.first.evaluate("image => image.naturalWidth / image.width") == 2
    expect(exported.locator(".jp-OutputArea").first).not_to_contain_text("Job")
    assert "jupyter_trainlive" not in "".join(exported.locator("script").all_inner_texts())
    shoot(exported, "saved-notebook-exported")


def test_notebook_shows_what_a_stranger_wrote_as_it_is_without_a_kernel(lab: RealServer, page: Page) -> None:
    """In Notebook 7, and nobody trusts it: its jobs are shown if they are there, its names and pictures run nothing."""
    job_id = lab.submit(CURVES, name="known")
    hostile = '<img src=x onerror="document.title=`hit`">\u202egnp.exe'
    unknown = "job_000000000000"
    script = (
        "<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=`hit`'>"
        "<script>document.title='hit'</script></svg>"
    )
    drawn = picture.svg("loss", [picture.Line("docs", [{"x0": 0, "x1": 1, "min": 1.0, "max": 2.0, "last": 1.0}])])
    datas = (
        {MIME: {"job_id": unknown, "name": hostile, "server_path": "//evil.example/"}, "image/svg+xml": script},
        {
            MIME: {"job_id": "../../api/kernels", "name": hostile},
            "image/png": '"><script>document.title="hit"</script>',
        },
        {MIME: {"job_id": job_id, "name": "not its name"}},
        {COMPARISON_MIME: {"jobs": [{"job_id": unknown, "name": hostile}, 7]}, "image/svg+xml": drawn},
    )
    name = write_notebook(lab, "stranger.ipynb", *map(str, range(len(datas))))
    file = lab.home / "root" / name
    content = json.loads(file.read_text())
    # A kernel that this machine does not have.
    content["metadata"]["kernelspec"].update(name="gone", display_name="Gone")
    for cell, data in zip(content["cells"], datas, strict=True):
        cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
    file.write_text(json.dumps(content))
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1200, "height": 2000})
    log_in(page, lab)
    page.goto(f"{lab.url}notebooks/{name}")
    page.get_by_role("dialog").get_by_role("button", name="No Kernel").click()
    expect(shown_in(page, 0)).to_contain_text(hostile[:10])
    expect(shown_in(page, 0)).to_contain_text("another server")
    expect(shown_in(page, 1)).to_contain_text("does not say which")
    expect(shown_in(page, 2)).to_have_attribute("data-status", "completed", timeout=60_000)
    expect(shown_in(page, 2)).to_have_attribute("data-points", "300")
    expect(shown_in(page, 2)).to_contain_text("known")
    expect(shown_in(page, 2)).not_to_contain_text("not its name")
    shown_in(page, 2).get_by_role("tab", name="Log").press("x")
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(len(datas))
    expect(shown_in(page, 3)).to_contain_text("does not know its jobs")
    assert is_drawn(shown_in(page, 3).locator("img"))
    expect(page.locator(".jp-Notebook")).not_to_contain_text("Error")
    assert page.locator(".jp-OutputArea section.tl :is(script, img[src=x])").count() == 0
    assert "hit" not in page.title()
    assert [url for url in asked if "evil" in url or "api/training/jobs/.." in url] == []
    shoot(page, "notebook-saved")


def test_a_notebook_that_a_program_ran_exports_with_a_picture(lab: RealServer, page: Page) -> None:
    """nbconvert runs it where no front end is: the picture comes from Python."""
    job_id = lab.submit(CURVES, name="<b>run</b> by a program")
    lab.wait(job_id)
    show = f"import jupyter_trainlive as trainlive\ntrainlive.get({job_id!r})"
    both = f"trainlive.compare({job_id!r}, {job_id!r})"
    name = write_notebook(lab, "program.ipynb", show, both)
    exported = open_export(page, execute_and_export(lab, name))
    images = exported.locator(".jp-OutputArea img")
    expect(images).to_have_count(2)
    assert is_drawn(images.nth(0))
    assert is_drawn(images.nth(1))
    assert exported.locator("script[type*=widget]").count() == 0
    shoot(exported, "notebook-exported-by-a-program")
