"""Holding, freeing and resuming a job over REST, with a real fine-tune in a real kernel."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import JournalReader, Record

from .. import tiny_model
from ..real_server import TOKEN, RealServer, serve

STEPS = 90
#: Times of files are those of the clock that the kernel moves on so often at the least.
FILE_TICK_SECONDS = 0.01


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("material")
    model, data = tiny_model.make_model(folder / "model"), tiny_model.make_data(folder / "rows.jsonl", 64)
    return {
        "model_name": str(model),
        "dataset_path": str(data),
        "max_length": 64,
        "max_steps": STEPS,
        "learning_rate": 3e-3,
        "eval_split": 0.2,
        "eval_steps": 10,
        "save_strategy": "no",
    }


@pytest.fixture(scope="module")
def uninterrupted(server: RealServer, material: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, step and value of every loss of a run that nobody touches."""
    job_id = execute(server, material)
    assert server.wait(job_id, timeout=120)["status"] == "completed"
    return losses(server, job_id)


def execute(server: RealServer, parameters: dict[str, Any]) -> str:
    with server.http() as http:
        answer = http.post("api/training/execute", json=parameters)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def ask(server: RealServer, job_id: str, action: str, code: int = 202, **body: Any) -> dict[str, Any]:
    with server.http() as http:
        answer = http.post(f"api/training/jobs/{job_id}/{action}", json=body)
    assert answer.status_code == code, answer.text
    return dict(answer.json())


def journal(server: RealServer, job_id: str, name: str) -> list[Record]:
    return JournalReader(getattr(JobDir(server.jobs_dir / job_id), f"{name}_journal")).read()


def losses(server: RealServer, job_id: str) -> list[tuple[str, str, str]]:
    with server.http() as http:
        rows = [row.split(",") for row in http.get(f"api/training/jobs/{job_id}/metrics.csv").text.splitlines()]
    return sorted((row[0], row[1], row[4]) for row in rows if row[0] in ("loss", "eval_loss", "grad_norm"))


def at_step(server: RealServer, job_id: str, step: int) -> dict[str, Any]:
    return server.until(job_id, lambda job: (job["current_step"] or 0) >= step, 120)


def test_held_then_freed_a_job_has_the_losses_of_one_that_nobody_touched(
    server: RealServer, material: dict[str, Any], uninterrupted: list[Any]
) -> None:
    job_id = execute(server, material)
    at_step(server, job_id, 2)
    assert ask(server, job_id, "pause")["status"] in ("pausing", "paused")
    # Written once the wish itself is safe on the disk: from then on the training sees it.
    asked_at = (server.jobs_dir / job_id / "control.count").stat().st_mtime + FILE_TICK_SECONDS
    held = server.wait(job_id, "paused")
    assert (held["pause"], held["eta_seconds"], held["exit"]) == ("hold", None, None)
    step = held["current_step"]
    time.sleep(0.7)
    still = server.job(job_id)
    assert (still["status"], still["current_step"]) == ("paused", step), "not one step more"
    assert ask(server, job_id, "pause", 409)["message"] == "The job is paused already."
    ask(server, job_id, "resume")
    at_step(server, job_id, step + 1)

    ask(server, job_id, "pause", release=True)
    freed = server.wait(job_id, "paused", timeout=60)
    assert (freed["pause"], freed["exit"]["code"], freed["ended_at"]) == ("release", 0, None)
    assert freed["checkpoint_step"] == freed["current_step"]
    checkpoint = server.jobs_dir / job_id / "checkpoints" / f"checkpoint-{freed['current_step']}"
    assert (checkpoint / "model.safetensors").is_file()
    ask(server, job_id, "resume")
    ended = server.wait(job_id, timeout=120)
    assert (ended["status"], ended["attempt"], ended["current_step"]) == ("completed", 2, STEPS)
    assert ended["artifacts"] == ["artifacts/model"]
    assert losses(server, job_id) == uninterrupted
    pids = [record["pid"] for record in journal(server, job_id, "process") if record["kind"] == "spawned"]
    assert len(set(pids)) == 2

    held_at = next(record for record in journal(server, job_id, "training") if record["kind"] == "held")
    began_later = {
        record["step"]
        for record in journal(server, job_id, "training")
        if record["kind"] == "metrics" and asked_at < record["t"] < held_at["t"]
    }
    assert len(began_later) <= 1, "the step that was under way, and no other"


def test_a_held_job_can_be_freed_and_then_cancelled(server: RealServer, material: dict[str, Any]) -> None:
    job_id = execute(server, {**material, "max_steps": 100_000, "eval_steps": None, "eval_split": 0})
    at_step(server, job_id, 1)
    ask(server, job_id, "pause")
    server.wait(job_id, "paused")
    assert "release" in server.job(job_id)["actions"]
    ask(server, job_id, "pause", release=True)
    server.until(job_id, lambda job: job["status"] == "paused" and job["exit"] is not None)
    ask(server, job_id, "cancel")
    ended = server.job(job_id)
    assert (ended["status"], ended["error"], ended["artifacts"]) == ("cancelled", "Cancelled", [])


LOOP = """
import time, jupyter_trainlive as trainlive
for step in range(1, 400):
    trainlive.log({"loss": 1 / step}, step=step, total_steps=400)
    time.sleep(0.01)
"""


def test_a_held_loop_is_cancelled_where_it_is_held(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    at_step(server, job_id, 5)
    ask(server, job_id, "pause")
    step = server.wait(job_id, "paused")["current_step"]
    ask(server, job_id, "cancel")
    ended = server.wait(job_id)
    assert (ended["status"], ended["cancelled_by"], ended["current_step"]) == ("cancelled", "interrupt", step)


def test_a_loop_of_ones_own_is_held_where_it_logs_and_cannot_be_freed(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    at_step(server, job_id, 5)
    refused = ask(server, job_id, "pause", 409, release=True)
    assert "a job of kind code has no checkpoint" in refused["message"]
    ask(server, job_id, "pause")
    step = server.wait(job_id, "paused")["current_step"]
    time.sleep(0.5)
    assert server.job(job_id)["current_step"] == step
    ask(server, job_id, "resume")
    ended = server.wait(job_id)
    assert (ended["status"], ended["current_step"]) == ("completed", 399)
    (series,) = ended["series"]
    assert series["count"] == 399, "none lost, none twice"


def test_a_job_that_is_paused_while_it_starts_does_not_begin_its_work(server: RealServer) -> None:
    job_id = server.submit("print('began', flush=True)")
    server.until(job_id, lambda job: job["status"] != "queued")
    ask(server, job_id, "pause")
    server.wait(job_id, "paused")
    assert server.job(job_id)["output_tail"] == ""
    ask(server, job_id, "resume")
    job = server.wait(job_id, "completed")
    assert job["output_tail"] == "began"


@pytest.mark.parametrize("body", [{"release": "yes"}, {"release": None}, {"relese": True}, [], 3])
def test_a_pause_that_makes_no_sense_names_the_field(server: RealServer, body: Any) -> None:
    with server.http() as http:
        answer = http.post("api/training/jobs/job_000000000000/pause", json=body)
    assert answer.status_code == 400
    assert answer.json()["field"] in ("release", "relese", "body")


def test_a_plain_client_is_told_of_the_pause_at_once(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    at_step(server, job_id, 5)
    told: list[str] = []
    with connect(server.socket_url(job_id), additional_headers={"Authorization": f"token {TOKEN}"}) as socket:
        ask(server, job_id, "pause")
        while "paused" not in told:
            told.append(json.loads(socket.recv(10))["status"])
        ask(server, job_id, "resume")
        while told[-1] != "running":
            told.append(json.loads(socket.recv(10))["status"])
    assert [status for index, status in enumerate(told) if told[index - 1 : index] != [status]] in (
        ["running", "pausing", "paused", "running"],
        ["running", "paused", "running"],
    )


@pytest.fixture
def pausing_server(tmp_path: Path) -> Iterator[RealServer]:
    with serve(tmp_path, config={"JobManager": {"on_server_stop": "pause"}}) as server:
        yield server


def test_a_server_that_pauses_at_its_stop_leaves_checkpoints_and_held_loops(
    pausing_server: RealServer, material: dict[str, Any], uninterrupted: list[Any]
) -> None:
    trained = execute(pausing_server, material)
    # Not over before the fine-tune has begun, which itself is over in a moment then.
    loop = pausing_server.submit(LOOP.replace("0.01", "0.05"))
    at_step(pausing_server, loop, 5)
    at_step(pausing_server, trained, 2)
    pausing_server.process.terminate()
    pausing_server.process.wait(20)
    with serve(pausing_server.home) as next_server:
        freed = next_server.until(trained, lambda job: job["exit"] is not None)
        assert (freed["status"], freed["pause"]) == ("paused", "release")
        held = next_server.wait(loop, "paused")
        assert held["pause"] == "hold"
        for job_id in (trained, loop):
            ask(next_server, job_id, "resume")
        for job_id in (trained, loop):
            assert next_server.wait(job_id, timeout=120)["status"] == "completed"
        assert losses(next_server, trained) == uninterrupted


def test_a_server_that_cancels_at_its_stop_leaves_no_job_running(tmp_path: Path) -> None:
    with serve(tmp_path, config={"JobManager": {"on_server_stop": "cancel"}}) as server:
        job_id = server.submit(LOOP)
        at_step(server, job_id, 5)
        server.process.terminate()
        server.process.wait(20)
    with serve(tmp_path) as next_server:
        assert next_server.job(job_id)["status"] == "cancelled"


def test_an_interrupted_job_goes_on_from_its_last_checkpoint_so_often_by_itself(
    tmp_path: Path, material: dict[str, Any]
) -> None:
    def kill(attempt: int, at: int) -> None:
        server.until(job_id, lambda job: job["attempt"] == attempt and (job["checkpoint_step"] or 0) >= at, 60)
        spawned = journal(server, job_id, "process")[-1]
        for pid in (spawned["shim_pid"], spawned["pid"]):
            os.kill(pid, signal.SIGKILL)

    with serve(tmp_path, config={"JobManager": {"auto_resume": 1}}) as server:
        own = {"max_steps": 200, "save_strategy": "steps", "save_steps": 3, "eval_steps": None, "eval_split": 0}
        job_id = execute(server, {**material, **own})
        kill(1, at=3)
        kill(2, at=9)
        job = server.until(job_id, lambda job: job["status"] == "interrupted" and job["attempt"] == 2)
        assert f"goes on from its checkpoint of step {job['checkpoint_step']}" in job["hint"]
        time.sleep(1.5)
        assert server.job(job_id)["status"] == "interrupted", "once by itself, and no more"
        ask(server, job_id, "resume")
        ended = server.wait(job_id, "completed", timeout=120)
        assert (ended["attempt"], ended["current_step"]) == (3, 200)
        # Steps behind the last checkpoint are done once more, with the same numbers.
        done = losses(server, job_id)
        names = {(name, step) for name, step, _ in done}
        assert names == {(name, str(step)) for name in ("loss", "grad_norm") for step in range(1, 201)}
        assert len(set(done)) == len(names)
