"""How a page hears of its job: by itself, through the notebook's kernel, or by asking; it says if it does not."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Frame, Locator, Page, WebSocketRoute, expect

from ..real_server import TOKEN, RealServer
from .conftest import execute, log_in, open_notebook, run_all, shoot, write_notebook
from .foreign_page import foreign_page

#: A training that goes on until it is stopped, in small steps, and leaves a small file and one too large for a kernel.
ENDLESS = """
import itertools, os, pathlib, time, jupyter_trainlive as trainlive
artifacts = pathlib.Path(os.environ["TRAINLIVE_JOB_DIR"], "artifacts")
(artifacts / "note.txt").write_text("kept for you")
with (artifacts / "weights.bin").open("wb") as file:
    file.truncate(20 << 20)
for step in itertools.count(1):
    trainlive.log({"loss": 5 / step**0.5, "grad_norm": 1.0}, step=step, total_steps=4000)
    time.sleep(0.05)
"""


VIEW = "section.tl:not(.tl-compare)"
POINTS = f"+[...document.querySelectorAll('{VIEW}')].at(-1).dataset.points"


def grows(page: Page | Frame, by: int = 15) -> None:
    """Points come, so many of them."""
    now = page.evaluate(POINTS)
    page.wait_for_function(f"n => {POINTS} >= n", arg=now + by)


def cancel(widget: Locator) -> None:
    widget.get_by_role("button", name="Cancel").click()
    widget.get_by_role("button", name="Stop it").click()
    expect(widget).to_have_attribute("data-status", "cancelled", timeout=40_000)
    expect(widget).to_have_attribute("data-live", "ended", timeout=15_000)


def has_each_point_once(page: Page | Frame, server: RealServer, job_id: str) -> None:
    count = next(series["count"] for series in server.job(job_id)["series"] if series["name"] == "loss")
    page.wait_for_function(f"n => {POINTS} === n", arg=count)


def test_a_page_elsewhere_is_live_through_its_kernel_busy_or_not_and_obeys(
    lab: RealServer, page: Page, tmp_path: Path
) -> None:
    job_id = lab.submit(ENDLESS, name="elsewhere")
    lab.wait(job_id, "running")
    done = tmp_path / "done"
    with foreign_page(page, lab) as host:
        assert host.frame.evaluate("origin") == "null"
        # The cell that shows the job is still at work, and the kernel hears nothing of the page.
        host.run(
            "import pathlib, time, jupyter_trainlive as trainlive\n"
            f"display(trainlive.get({job_id!r}))\n"
            f"while not pathlib.Path({str(done)!r}).exists(): time.sleep(0.05)",
            wait=False,
        )
        host.show()
        widget = host.frame.locator(VIEW).last
        expect(widget).to_have_attribute("data-live", "live", timeout=30_000)
        expect(widget.locator(".tl-live")).to_have_text("live via the kernel")
        grows(host.frame)
        shoot(page, "connection-kernel-light")
        done.touch()

        # An idle one obeys.
        widget.get_by_role("button", name="Hold").click()
        expect(widget).to_have_attribute("data-status", "paused")
        widget.get_by_role("button", name="Resume").click()
        expect(widget).to_have_attribute("data-status", "running")
        widget.get_by_role("tab", name="Files").click()
        with page.expect_download() as download:
            widget.get_by_role("button", name="Download artifacts/note.txt").click()
        assert Path(download.value.path()).read_text() == "kept for you"
        widget.get_by_role("button", name="Download artifacts/weights.bin").click()
        expect(widget).to_contain_text("More than 16 MB do not pass through the notebook's kernel")
        shoot(page, "connection-kernel-files")
        widget.get_by_role("tab", name="Curves").click()
        grows(host.frame)

        # A cell at work afterwards takes nothing from what was asked for before.
        done.unlink()
        host.run(f"while not pathlib.Path({str(done)!r}).exists(): time.sleep(0.05)", wait=False)
        grows(host.frame, by=40)
        expect(widget.locator(".tl-live")).to_have_text("live via the kernel")

        host.kill_kernel()
        expect(widget).to_have_attribute("data-live", "reconnecting", timeout=40_000)
        expect(widget.locator(".tl-live")).to_contain_text("reconnecting · numbers of")
        expect(widget).to_contain_text("the notebook's kernel, which says nothing")
        shoot(page, "connection-kernel-gone")

        # Another kernel's view of the same job shares what the page has, and brings it back to life.
        host.start_kernel()
        host.run(f"import jupyter_trainlive as trainlive\ntrainlive.get({job_id!r})")
        host.show()
        expect(host.frame.locator(VIEW)).to_have_count(2)
        for view in host.frame.locator(VIEW).all():
            expect(view).to_have_attribute("data-live", "live", timeout=20_000)
        grows(host.frame)
        cancel(host.frame.locator(VIEW).last)
        has_each_point_once(host.frame, lab, job_id)
        (access,) = lab.home.glob("runtime/trainlive-*.json")
        secrets = [TOKEN, json.loads(access.read_text())["secret"]]
        assert len(host.said) > 50
        for text in host.said:
            assert not [secret for secret in secrets if secret in text]
            assert lab.url not in text


class Sockets:
    """The sockets of a page to its jobs, and whether somebody in between lets them through."""

    def __init__(self, page: Page) -> None:
        self.opened: list[WebSocketRoute] = []
        self._blocked = False
        page.route_web_socket("**/ws/training/**", self._route)

    def block(self) -> None:
        self._blocked = True
        self.opened[-1].close(code=1011)

    def let_through(self, page: Page) -> None:
        self._blocked = False
        page.evaluate("() => dispatchEvent(new Event('online'))")

    def _route(self, socket: WebSocketRoute) -> None:
        if self._blocked:
            socket.close(code=1011)
        else:
            self.opened.append(socket)
            socket.connect_to_server()


def test_a_notebook_without_our_extension_and_without_sockets_has_its_kernel_and_climbs_back(
    lab: RealServer, page: Page
) -> None:
    """The widget as JupyterLab's own widgets show it, twice."""
    job_id = lab.submit(ENDLESS, name="two views")
    sockets = Sockets(page)

    cell = f"import jupyter_trainlive as trainlive\ntrainlive.get({job_id!r})"
    # JupyterLab reads it anew for each page.
    settings = lab.home / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"disabledExtensions": {"jupyter-trainlive": True}}))
    try:
        open_notebook(page, lab, write_notebook(lab, "no-extension.ipynb", cell, cell))
    finally:
        settings.unlink()
    run_all(page)
    views = page.locator(VIEW)
    expect(views).to_have_count(2)
    live = page.locator(f"{VIEW} .tl-live")
    expect(live).to_have_text(["live", "live"], timeout=20_000)
    assert page.evaluate("() => !window.jupyterapp.commands.hasCommand('trainlive:open-job')")
    grows(page)
    assert len(sockets.opened) == 1, "of a job that two views show"
    sockets.block()
    expect(live).to_have_text(["live via the kernel"] * 2, timeout=20_000)
    grows(page)
    sockets.let_through(page)
    expect(live).to_have_text(["live", "live"], timeout=20_000)
    grows(page)
    assert len(sockets.opened) == 2
    cancel(views.last)
    has_each_point_once(page, lab, job_id)


def test_a_page_without_sockets_asks_and_has_them_back_with_every_point_once(lab: RealServer, page: Page) -> None:
    job_id = lab.submit(ENDLESS, name="behind a proxy")
    lab.wait(job_id, "running")
    sockets = Sockets(page)
    log_in(page, lab)
    page.goto(lab.url + "lab?reset")
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("() => window.jupyterapp.restored")
    page.evaluate("job_id => window.jupyterapp.commands.execute('trainlive:compare', { job_ids: [job_id] })", job_id)
    execute(page, "trainlive:open-job", job_id=job_id)
    widget = page.locator(VIEW).last
    expect(widget).to_have_attribute("data-live", "live")
    grows(page)
    assert len(sockets.opened) == 1, "of a job that two views show"

    sockets.block()
    expect(widget.locator(".tl-live")).to_contain_text("polling every 3 s")
    grows(page)
    shoot(page, "connection-polling")
    sockets.let_through(page)
    expect(widget.locator(".tl-live")).to_have_text("live")
    grows(page)
    assert len(sockets.opened) == 2
    cancel(widget)
    has_each_point_once(page, lab, job_id)
