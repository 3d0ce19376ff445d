"""The functions a notebook calls, against a real server."""

from __future__ import annotations

import asyncio
import http.server
import json
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jupyter_trainlive as trainlive
from jupyter_trainlive.client import Job, NoServerError, RequestError, api, connection, jobs
from jupyter_trainlive.protocol.access import access_file, read_access

from ..real_server import RealServer, serve

CODE = """
import jupyter_trainlive as t
print("añ€😀")
t.log({"loss": 0.5}, step=1, epoch=0.5, total_steps=2)
t.log({"loss": float("nan"), "eval_loss": 0.25}, step=2, epoch=1.0)
"""


def test_a_job_is_launched_waited_for_and_looked_at(client: RealServer) -> None:
    job = trainlive.launch(code=CODE, name="mine")
    assert job.wait(60) is job
    assert (job.status, job.error, job.name) == ("completed", None, "mine")
    assert job.progress["eval_loss"] == 0.25
    assert job.log() == "añ€😀\n"
    assert job.log(-5) == "😀\n"
    series = job.metrics()
    assert (series["loss"]["step"], series["loss"]["epoch"]) == ([1.0, 2.0], [0.5, 1.0])
    assert series["loss"]["value"][0] == 0.5
    assert math.isnan(series["loss"]["value"][1] or 0)
    assert series["eval_loss"]["value"] == [0.25]
    assert {name: curve["n"] for name, curve in job.curves().items()} == {"loss": 2, "eval_loss": 1}
    (bucket,) = job.curves("loss", axis="epoch", points=1)["loss"]["buckets"]
    assert (bucket["last"], bucket["n"], bucket["nan"]) == (0.5, 2, 1)
    (smooth,) = job.curves(["eval_loss"], x0=2, x1=2.0, smoothing=0.5)["eval_loss"]["buckets"]
    assert (smooth["x0"], smooth["smoothed"]) == (2, 0.25)
    assert job.curves([]) == {}
    with pytest.raises(RequestError, match="axis: must be one of") as refused:
        job.curves(axis="wall")
    assert (refused.value.status, refused.value.field) == (400, "axis")
    assert job.artifacts == client.jobs_dir / job.job_id / "artifacts"
    assert job.artifacts.is_dir()
    assert repr(job) == f"<Job {job.job_id} 'mine': completed, 100 %>"
    again = trainlive.get(job.job_id)
    assert (again.job_id, again.name) == (job.job_id, "mine")
    assert job.job_id in [listed.job_id for listed in jobs()]
    assert [listed.job_id for listed in jobs(q=job.job_id, status="completed", limit=1)] == [job.job_id]


def test_a_kept_kernel_is_gone_when_it_was_ended(client: RealServer) -> None:
    # Its last thread takes its time to end.
    code = "import threading, time; threading.Thread(target=time.sleep, args=(3,)).start()"
    job = trainlive.launch(code=code, keep_kernel=600, alerts=True).wait(60)
    assert job.environment["python"]
    job.end_kernel()
    job.delete()
    assert not (client.jobs_dir / job.job_id).exists()


def test_of_what_has_not_begun_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "info", lambda self: {"environment": None})
    assert Job("job_000000000000").environment == {}


def test_a_server_says_which_kinds_of_jobs_it_takes(client: RealServer) -> None:
    kinds = connection.current().get("api/hello")["kinds"]
    assert kinds == ["finetune", "code", "script", "notebook"]


@pytest.mark.parametrize("kind", ["code", "script", "notebook"])
def test_who_asks_the_keyboard_is_told_that_there_is_none(client: RealServer, tmp_path: Path, kind: str) -> None:
    source = "rate = float(input('rate? '))"
    (tmp_path / "ask.py").write_text(source)
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
    (tmp_path / "ask.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    path = tmp_path / {"script": "ask.py", "notebook": "ask.ipynb", "code": ""}[kind]
    job = trainlive.launch(code=source) if kind == "code" else trainlive.launch(path)
    closing = job.wait(60).progress
    assert closing["hint"] == "A job has no keyboard; take values from args, parameters or variables."


def test_a_job_is_cancelled_and_waiting_has_an_end(client: RealServer) -> None:
    job = trainlive.launch(code="import time; time.sleep(600)")
    with pytest.raises(TimeoutError, match="has not ended within 0 seconds"):
        job.wait(0)
    job.cancel()
    assert job.wait(60).status == "cancelled"
    assert (job.error or "").startswith("Cancelled")
    with pytest.raises(RequestError, match="nothing to cancel") as refused:
        job.cancel()
    assert (refused.value.status, refused.value.field) == (409, None)


LOOP = """
import time, jupyter_trainlive as t
for step in range(1, 300):
    t.log({"loss": 1 / step}, step=step)
    time.sleep(0.02)
"""


def test_a_job_is_held_resumed_and_deleted(client: RealServer) -> None:
    job = trainlive.launch(code=LOOP, priority=1, gpus=0)
    client.until(job.job_id, lambda job: (job["current_step"] or 0) > 2)
    job.pause()
    client.wait(job.job_id, "paused")
    assert "paused" in repr(job)
    with pytest.raises(RequestError, match="paused already"):
        job.pause()
    with pytest.raises(RequestError, match="kind code has no checkpoint"):
        job.pause(release=True)
    with pytest.raises(RequestError, match="cancel it before"):
        job.delete()
    job.resume()
    job.cancel()
    directory = job.directory
    job.wait(60).delete()
    assert not directory.exists()
    with pytest.raises(RequestError) as refused:
        trainlive.get(job.job_id)
    assert refused.value.status == 404


def test_what_changes_a_job_is_asked_of_the_server_that_owns_it(client: RealServer) -> None:
    """As with a second JupyterLab of the same person: both have the same folder of jobs by default."""
    with serve(client.home) as second:
        connection.use(read_access(access_file(second.home / "runtime", second.process.pid)))
        job = trainlive.launch(code=LOOP, name="through the other one")
        assert connection.current().access.pid == second.process.pid
        client.wait(job.job_id, "running")
        assert job.status in ("starting", "running"), "the second one shows it"
        job.cancel()
        assert job.wait(60).status == "cancelled"
        job.delete()
    assert f"belong to the server at {client.url}" in client.log


def test_a_job_runs_in_the_folder_it_was_launched_from(
    client: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = trainlive.launch(code="import os; print(os.getcwd())", env={"A": "1"}, gpus=0)
    assert job.wait(60).log() == f"{tmp_path}\n"


def test_what_is_wrong_with_a_fine_tune_is_named(client: RealServer, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "one"}\n{"text": "two"\n')

    def refused(model: str | Path = "m", **parameters: Any) -> RequestError:
        with pytest.raises(RequestError) as error:
            trainlive.finetune(model, data, **parameters)
        return error.value

    assert (refused(num_train_epoch=1).field, refused(num_train_epoch=1).status) == ("num_train_epoch", 400)
    assert (refused().field, refused().status) == ("dataset_path", 422)
    assert "line 2" in str(refused())
    assert refused(learning_rate=math.nan).field in ("learning_rate", "body")
    assert refused(kernel_name="nothing").field == "kernel_name"
    data.write_text('{"text": "one"}\n')
    assert refused(tmp_path / "no model").field == "model_name"
    data.unlink()
    assert refused().field == "dataset_path"


def test_an_unknown_job_is_an_error_at_once(client: RealServer) -> None:
    for job_id in ("job_000000000000", "../../api", "x"):
        with pytest.raises(RequestError) as refused:
            trainlive.get(job_id)
        assert refused.value.status == 404

    async def first() -> Any:
        return await anext(Job("job_000000000000").stream())

    with pytest.raises(RequestError) as refused:
        asyncio.run(asyncio.wait_for(first(), 5))
    assert refused.value.status == 404
    assert "job_000000000000" in repr(Job("job_000000000000"))


async def test_the_stream_ends_with_the_closing_message(client: RealServer) -> None:
    job = trainlive.launch(code="import time; time.sleep(0.5); raise ValueError('no')")
    messages = [message async for message in job.stream()]
    assert not any(message["complete"] for message in messages[:-1])
    assert (messages[-1]["status"], messages[-1]["error"]) == ("failed", "ValueError: no")


def test_stream_and_wait_go_on_when_their_server_was_restarted(tmp_path: Path, at: Callable[[Path], None]) -> None:
    at(tmp_path)
    messages: list[dict[str, Any]] = []
    errors: list[BaseException] = []
    go = tmp_path / "go"

    async def follow(job: Job) -> None:
        async for message in job.stream():
            messages.append(message)

    def run(job: Job) -> None:
        try:
            asyncio.run(follow(job))
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    with serve(tmp_path) as first:
        code = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)"
        job = trainlive.launch(code=code)
        follower = threading.Thread(target=run, args=(job,))
        follower.start()
        first.wait(job.job_id, "running")
        waited: list[str] = []
        waiter = threading.Thread(target=lambda: waited.append(job.wait(120).status))
        waiter.start()
        time.sleep(0.2)
        first.process.kill()
        first.process.wait()
        with pytest.raises(NoServerError):
            job.wait()
        before = len(messages)
        with serve(tmp_path):
            deadline = time.monotonic() + 60
            while len(messages) == before and time.monotonic() < deadline:
                time.sleep(0.05)
            assert messages[before:], "the stream has found the new server"
            assert messages[-1]["status"] == "running"
            go.touch()
            follower.join(60)
            assert errors == []
            assert messages[-1]["status"] == "completed"
            waiter.join(60)
            assert waited == ["completed"], "the client as well has found the new server"


def test_of_several_servers_that_show_the_same_jobs_any_will_do(
    client: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve(client.home):
        assert trainlive.launch(code="pass").wait(60).status == "completed"


def test_what_is_to_be_said_of_a_job_is_in_its_line(client: RealServer) -> None:
    code = "import jupyter_trainlive as t\nfor step in range(1, 4): t.log({'loss': float('nan')}, step=step)"
    job = trainlive.launch(code=code, name="odd").wait(60)
    (alert,) = job.alerts
    assert alert["message"] in repr(job)
    failed = trainlive.launch(code="raise ValueError('no data')").wait(60)
    assert "ValueError: no data" in repr(failed)


class OddServer(http.server.BaseHTTPRequestHandler):
    """Answers what no server of ours does."""

    answer = b"{}"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *args: Any) -> None:
        pass


def test_a_job_can_always_be_shown(tmp_path: Path, at: Callable[[Path], None]) -> None:
    at(tmp_path)
    job = Job("job_000000000000", "x")
    assert "No Jupyter server" in repr(job)
    (tmp_path / "runtime").mkdir()
    with http.server.HTTPServer(("127.0.0.1", 0), OddServer) as odd:
        thread = threading.Thread(target=odd.serve_forever)
        thread.start()
        content = {"url": f"http://127.0.0.1:{odd.server_port}/", "root_dir": "/", "pid": os.getpid(), "secret": "s"}
        access_file(tmp_path / "runtime", os.getpid()).write_text(json.dumps(content))
        for answer in (b"{}", b"[]", b"not JSON", b'{"progress": "x", "loss": null, "status": 1}'):
            OddServer.answer = answer
            assert repr(job).startswith("<Job job_000000000000 'x': ")
        odd.shutdown()
        thread.join()
    assert "does not answer" in repr(job)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, at: Callable[[Path], None]) -> None:
    at(tmp_path)
    (tmp_path / "runtime").mkdir()
    content = {"url": "http://127.0.0.1:9/", "root_dir": "/", "pid": os.getpid(), "secret": "s3cret"}
    access_file(tmp_path / "runtime", os.getpid()).write_text(json.dumps(content))
    with pytest.raises(NoServerError, match=r"http://127\.0\.0\.1:9/ does not answer") as refused:
        trainlive.launch(code="pass")
    assert "s3cret" not in str(refused.value)


def test_what_is_here_goes_by_its_path_and_the_hub_s_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert [api._placed(name) for name in ("here", "no.csv", "owner/data")] == [
        *(str(tmp_path / name) for name in ("here", "no.csv")),
        "owner/data",
    ]
    assert api._placed(Path("owner/data")) == str(tmp_path / "owner/data")


def test_what_is_no_path_and_no_job_is_said_plainly() -> None:
    with pytest.raises(TypeError, match="dataset_path must be a path or a hub id, not a list"):
        trainlive.finetune("model", [{"text": "a"}])  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="There is no job 'job_nope'; an id looks like"):
        trainlive.get("job_nope")


def test_numbers_of_numpy_are_numbers_and_what_is_no_json_is_named(client: RealServer, tmp_path: Path) -> None:
    import numpy

    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a"}\n')
    with pytest.raises(RequestError, match="learning_rate: must be a finite number, but is nan"):
        trainlive.finetune("a/b", rows, learning_rate=float("nan"))
    with pytest.raises(RequestError, match="seed: must be at most 4294967295") as refused:
        trainlive.finetune("a/b", rows, seed=numpy.int64(2**40), learning_rate=numpy.float32(0.1))
    assert refused.value.field == "seed"
    with pytest.raises(RequestError, match=r"^lora_target_modules holds a set") as refused:
        trainlive.finetune("a/b", rows, lora_target_modules={"q_proj"})
    assert refused.value.field == "lora_target_modules"
    with pytest.raises(TypeError, match="model_name must be a hub id or the path of a model's folder, not None"):
        trainlive.finetune(None, rows)  # type: ignore[call-overload]
    with pytest.raises(RequestError, match=r"^gpus holds a ndarray"):
        trainlive.launch(code="1", gpus=numpy.arange(2))  # type: ignore[arg-type]
