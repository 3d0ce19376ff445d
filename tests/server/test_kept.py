"""A kernel that is kept after the end of its job: looked into, counted as memory and GPU held, and ended."""

from __future__ import annotations

import _thread
import asyncio
import json
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets

import jupyter_trainlive as trainlive
from jupyter_trainlive.client import TrainLiveError, cli, connection
from jupyter_trainlive.client.console import Console, ConsoleError

from .. import fake_nvml
from ..real_server import TOKEN, RealServer, serve

HEADERS = {"Authorization": f"token {TOKEN}"}
FAILS = """
import jupyter_trainlive as trainlive
def step(rate):
    weights = [rate] * 3
    raise ValueError("bad weights")
trainlive.log({"loss": 0.5}, step=3)
step(0.25)
"""


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[RealServer], None]]:
    """Have this very process be a client of that server."""

    def look_at(server: RealServer) -> None:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))
        monkeypatch.delenv("JPY_PARENT_PID", raising=False)
        monkeypatch.setattr(connection, "_current", None)

    yield look_at
    if connection._current is not None:
        connection._current[1].close()


def post(server: RealServer, path: str) -> tuple[int, dict[str, Any]]:
    with server.http() as http:
        answer = http.post(f"api/training/jobs/{path}")
    return answer.status_code, dict(answer.json())


def kernel_of(server: RealServer, job_id: str) -> psutil.Process:
    spawned = json.loads((server.jobs_dir / job_id / "journal" / "process.jsonl").read_text().splitlines()[-1])
    assert spawned["kind"] == "spawned", spawned
    return psutil.Process(spawned["pid"])


def wait_until_gone(server: RealServer, job_id: str) -> dict[str, Any]:
    return server.until(job_id, lambda job: job["kept"] is None)


async def closing_messages(server: RealServer, job_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What both dialects say at the end."""

    async def read(**options: Any) -> list[dict[str, Any]]:
        url = server.socket_url(job_id)
        async with websockets.connect(url, additional_headers=HEADERS, proxy=None, **options) as socket:
            if options:
                await socket.send('{"type": "subscribe", "since": 0}')
            return [json.loads(text) async for text in socket]

    plain, v1 = await asyncio.gather(read(), read(subprotocols=[websockets.Subprotocol("trainlive.v1")]))
    return plain[-1], v1


def test_a_failed_job_has_ended_at_once_and_its_kernel_is_looked_into_until_it_is_ended(
    server: RealServer,
    at: Callable[[RealServer], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at(server)
    job = trainlive.launch(code=FAILS, name="kept", keep_kernel=True)
    plain, v1 = asyncio.run(closing_messages(server, job.job_id))
    assert (plain["status"], plain["error"], plain["complete"]) == ("failed", "ValueError: bad weights", True)
    assert v1[-1]["type"] == "end"
    assert [frame["series"]["loss"]["value"] for frame in v1 if frame["type"] == "points"] == [[0.5]]
    kernel = kernel_of(server, job.job_id)
    assert kernel.is_running()
    info = job.wait(5).info()
    assert info["actions"] == ["end_kernel"]
    assert info["kept"]["memory_gb"] == pytest.approx(kernel.memory_info().rss / 2**30, rel=0.2)
    assert (info["exit"], info["phase"]) == (None, None)
    assert "ValueError: bad weights; its kernel is kept until" in repr(job)
    for action in ("resume", "cancel"):
        status, answer = post(server, f"{job.job_id}/{action}")
        assert (status, "has ended (failed)" in answer["message"]) == (409, True)
    with pytest.raises(trainlive.client.RequestError, match="end the kernel first, then delete"):
        job.delete()
    _look_into(job.console(), capsys, monkeypatch)
    _over_jupyters_own_api(server, job.job_id)
    assert kernel.is_running()

    console = job.console()
    console._client.execute("import time\nwhile True: time.sleep(0.01)")
    assert "(open)" in repr(console)
    assert cli.main(["end-kernel", job.job_id]) == 0
    assert job.info()["kept"] is None, "it waits until the kernel is gone"
    gone = wait_until_gone(server, job.job_id)
    assert "(gone)" in repr(console)
    with pytest.raises(TrainLiveError, match="The kept kernel is gone"):
        console.run("1 + 1")
    console.close()
    assert (gone["status"], gone["error"], gone["actions"]) == ("failed", "ValueError: bad weights", ["delete"])
    assert not kernel.is_running()
    with pytest.raises(TrainLiveError, match="keeps no kernel: launch it with keep_kernel"):
        job.console()
    assert post(server, f"{job.job_id}/end_kernel")[0] == post(server, f"{job.job_id}/console")[0] == 409
    job.delete()


def _look_into(console: Console, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A console runs cells, ``%debug`` in the frame that failed, and Ctrl-C interrupts what it runs."""
    capsys.readouterr()
    console.run("print('here'); step.__name__")
    assert capsys.readouterr().out == "here\n'step'\n"
    answers = iter(["p weights", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    console.run("%debug")
    assert "[0.25, 0.25, 0.25]" in capsys.readouterr().out
    with pytest.raises(ConsoleError, match="ZeroDivisionError: division by zero") as failed:
        console.run("1 / 0")
    assert "ZeroDivisionError" in "\n".join(failed.value.traceback)
    began = threading.Timer(0.5, _thread.interrupt_main)
    began.start()
    with pytest.raises(ConsoleError, match="KeyboardInterrupt"):
        console.run("import time\nwhile True: time.sleep(0.01)")
    assert not console.is_complete("for i in range(3):")
    console.run("exit")
    console.run("'still there'")
    assert capsys.readouterr().out == "'still there'\n"
    console.close()


def _over_jupyters_own_api(server: RealServer, job_id: str) -> None:
    """What JupyterLab does: a console's kernel, which can be interrupted, but is neither ended nor restarted."""
    status, answer = post(server, f"{job_id}/console")
    kernel_id = answer["kernel_id"]
    assert (status, post(server, f"{job_id}/console")[1]) == (200, answer)
    with server.http() as http:
        assert kernel_id in [kernel["id"] for kernel in http.get(server.url + "api/kernels").json()]
        session = {"path": "console", "type": "console", "name": "", "kernel": {"id": kernel_id}}
        made = http.post(server.url + "api/sessions", json=session)
        assert (made.status_code, made.json()["kernel"]["id"]) == (201, kernel_id)
        assert "[0.5, 0.5]" in asyncio.run(_run(server, kernel_id, "rate = 0.5\n[rate] * 2"))
        busy = asyncio.run(_run(server, kernel_id, "import time\nwhile True: time.sleep(0.01)", interrupts=True))
        assert "KeyboardInterrupt" in busy
        assert http.post(server.url + f"api/kernels/{kernel_id}/restart").status_code >= 400
        assert http.delete(server.url + f"api/kernels/{kernel_id}").status_code == 204
        assert kernel_id not in [kernel["id"] for kernel in http.get(server.url + "api/kernels").json()]
    assert post(server, f"{job_id}/console") == (200, answer), "it can be opened again"


async def _run(server: RealServer, kernel_id: str, code: str, *, interrupts: bool = False) -> str:
    """Run a cell as a page does; all that came of it."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "session": "s",
        "username": "",
        "version": "5.3",
    }
    request = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": {"code": code}}
    request["content"].update(silent=False, store_history=False, user_expressions={}, allow_stdin=False)
    url = server.url.replace("http", "ws") + f"api/kernels/{kernel_id}/channels"
    said, over = "", set[str]()
    async with websockets.connect(url, additional_headers=HEADERS, proxy=None) as socket:
        await socket.send(json.dumps(request))
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            if message["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            # The reply and what is published come by ways of their own.
            over.add(message["content"].get("execution_state") or message["msg_type"])
            if over >= {"execute_reply", "idle"}:
                return said
            if interrupts and message["msg_type"] == "execute_input":
                with server.http() as http:
                    url = server.url + f"api/kernels/{kernel_id}/interrupt"
                    assert (await asyncio.to_thread(http.post, url)).status_code == 204
            said += json.dumps(message["content"])


def test_a_completed_job_takes_its_gpu_until_its_kernel_is_gone_whatever_becomes_of_the_server(tmp_path: Path) -> None:
    settings = tmp_path / "gpus"
    fake_nvml.configure(settings, COUNT=1, USED=0)
    env = fake_nvml.environment(fake_nvml.build(tmp_path), settings)
    home = tmp_path / "home"
    with serve(home, env=env, one_at_a_time=True) as server:
        first = server.submit("weights = [1, 2]", name="first", keep_kernel=600)
        kept = server.wait(first, "completed")
        assert kept["kept"]["until"] > kept["ended_at"]
        second = server.submit("pass", name="second")
        told = server.until(second, lambda job: "kernel is kept" in (job["queue"] or {}).get("reason", ""))
        reason = told["queue"]["reason"]
        assert reason.startswith("waits for a GPU: GPU 0 is used by job first, whose kernel is kept until 20"), reason
        with server.http() as http:
            (gpu,) = http.get("api/system").json()["gpus"]
            assert "whose kernel is kept" in gpu["used_by"]
            cleaned = http.post("api/training/clean", json={"max_age_days": 0, "dry_run": True}).json()
            assert cleaned["removed"] == [], "what is looked at is not deleted"
        assert post(server, f"{first}/console")[0] == 200
        kernel = kernel_of(server, first)
    assert kernel.is_running(), "a server that stops leaves it, console and all"
    with serve(home, env=env, one_at_a_time=True) as server:
        assert server.job(first)["kept"]["until"] == kept["kept"]["until"]
        server.until(second, lambda job: "kernel is kept" in (job["queue"] or {}).get("reason", ""))
        assert server.job(second)["status"] == "queued"
        assert post(server, f"{first}/end_kernel")[0] == 202
        server.wait(second, "completed")
        gone = server.job(first)
        assert (gone["status"], gone["kept"], gone["exit"]["code"]) == ("completed", None, 0)
        assert not kernel.is_running()
        assert "Traceback" not in server.log, server.log[-8000:]


def test_it_ends_at_its_time_and_a_kill_before_that_changes_nothing(server: RealServer) -> None:
    short, killed = server.submit("pass", keep_kernel=1), server.submit("pass", keep_kernel=600)
    stopped = server.submit("import time\nprint('here', flush=True)\ntime.sleep(600)", keep_kernel=600)
    assert server.wait(killed)["status"] == "completed"
    kernel_of(server, killed).send_signal(signal.SIGKILL)
    log = server.jobs_dir / stopped / "output.log"
    server.until(stopped, lambda _: log.exists() and "here" in log.read_text())
    assert post(server, f"{stopped}/cancel")[0] == 202
    assert server.wait(stopped)["status"] == "cancelled"
    assert server.job(stopped)["kept"] is None, "what was cancelled is not kept"
    for job_id, signalled in ((short, None), (killed, 9)):
        gone = wait_until_gone(server, job_id)
        assert (gone["status"], gone["exit"]["signal"], gone["error"]) == ("completed", signalled, None)
    ended = json.loads((server.jobs_dir / short / "progress.json").read_text())
    assert (ended["status"], ended["complete"]) == ("completed", True)
