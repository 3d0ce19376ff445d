"""Cancelling whatever a job does, with no more force than needed, and nothing of it left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .. import tiny_model
from ..real_server import RealServer, serve

#: The graces are short, so that the sum of them is.
QUICK = {"JobManager": {"cancel_grace": 3.0, "interrupt_grace": 1.0, "terminate_grace": 1.0}}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with serve(tmp_path_factory.mktemp("quick"), config=QUICK) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-8000:]


def cancel(server: RealServer, job_id: str) -> dict[str, Any]:
    with server.http() as http:
        answer = http.post(f"api/training/jobs/{job_id}/cancel")
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def processes(job_dir: Path) -> list[psutil.Process]:
    """Those that bear the job in their environment, and their children."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRAINLIVE_JOB_DIR") == str(job_dir) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


WORKERS = """
import os, subprocess, sys, time
import torch
class Rows(torch.utils.data.Dataset):
    def __len__(self): return 1000000
    def __getitem__(self, index):
        time.sleep(0.01)
        return index
for number, batch in enumerate(torch.utils.data.DataLoader(Rows(), batch_size=2, num_workers=2)):
    if number == 0:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        print("ready", flush=True)
"""
HUNG = """
import ctypes
print("ready", flush=True)
# A lock that is never let go: the call goes on after a signal, and PyDLL keeps the interpreter's lock meanwhile.
lock, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
libc.pthread_mutex_lock(lock)
libc.pthread_mutex_lock(lock)
"""
SWALLOWS = """
import time
print("ready", flush=True)
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""
IGNORES = """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("code", "took"),
    [
        ("print('ready', flush=True)\nwhile True: pass", "interrupt"),
        (SWALLOWS, "terminate"),
        (HUNG, "terminate"),
        (IGNORES, "kill"),
        (WORKERS, "interrupt or terminate"),
    ],
    ids=["a busy loop", "swallows KeyboardInterrupt", "hangs in C", "ignores SIGTERM", "has workers and a stray child"],
)
def test_whatever_it_does_it_is_cancelled_and_nothing_of_it_is_left(quick: RealServer, code: str, took: str) -> None:
    job_id = quick.submit(code)
    job_dir = quick.jobs_dir / job_id
    log = job_dir / "output.log"
    quick.until(job_id, lambda _: log.exists() and "ready" in log.read_text())
    before = processes(job_dir)
    assert len(before) >= (4 if code is WORKERS else 1), "a test that sees no process could not see one that is left"
    assert cancel(quick, job_id)["status"] == "cancelling"
    job = quick.wait(job_id)
    assert job["status"] == "cancelled"
    assert job["cancelled_by"] in took.split(" or ")
    assert processes(job_dir) == []
    assert [process for process in before if process.is_running() and process.status() != "zombie"] == []


def test_ranks_that_heed_nothing_end_with_their_launcher(quick: RealServer, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(IGNORES)
    with quick.http() as http:
        job_id = http.post("api/training/jobs", json={"kind": "script", "path": str(script), "processes": 2}).json()[
            "job_id"
        ]
    log = quick.jobs_dir / job_id / "output.log"
    quick.until(job_id, lambda _: log.exists() and log.read_text().count("ready") == 2)
    assert len(processes(quick.jobs_dir / job_id)) == 4
    cancel(quick, job_id)
    job = quick.wait(job_id)
    assert (job["status"], job["cancelled_by"] in ("terminate", "kill")) == ("cancelled", True)
    assert processes(quick.jobs_dir / job_id) == []


def test_a_trainer_in_mid_epoch_stops_at_its_step_with_its_workers(server: RealServer, tmp_path: Path) -> None:
    model, data = tiny_model.make_model(tmp_path / "model"), tiny_model.make_data(tmp_path / "rows.jsonl", 64)
    parameters = {"model_name": str(model), "dataset_path": str(data), "max_length": 32, "num_train_epochs": 10_000}
    with server.http() as http:
        job_id = http.post("api/training/execute", json=parameters).json()["job_id"]
    server.until(job_id, lambda job: (job["current_step"] or 0) >= 3)
    cancel(server, job_id)
    job = server.wait(job_id)
    assert (job["status"], job["cancelled_by"], job["exit"]["code"]) == ("cancelled", "flag", 0)
    assert processes(server.jobs_dir / job_id) == []


def test_a_starting_job_is_cancelled(quick: RealServer) -> None:
    job_id = quick.submit("import time; time.sleep(600)")
    quick.wait(job_id, "starting")
    cancel(quick, job_id)
    job = quick.wait(job_id)
    assert job["status"] == "cancelled"
    assert processes(quick.jobs_dir / job_id) == []


def test_a_job_in_the_queue_is_cancelled_at_once_and_never_starts(tmp_path: Path) -> None:
    with serve(tmp_path, one_at_a_time=True) as server:
        first, second, third = (server.submit("import time; time.sleep(600)") for _ in range(3))
        server.wait(first, "running")
        assert cancel(server, second)["status"] == "cancelled"
        with server.http() as http:
            http.post(f"api/training/jobs/{third}/pause")
        assert server.job(third)["status"] == "paused"
        assert cancel(server, third)["status"] == "cancelled"
        cancel(server, first)
        server.wait(first, "cancelled")
        time.sleep(0.5)
        for job_id in (second, third):
            job = server.job(job_id)
            assert (job["status"], job["error"], job["started_at"]) == ("cancelled", "Cancelled", None)
            assert not (server.jobs_dir / job_id / "journal" / "process.jsonl").exists()
            closing = (server.jobs_dir / job_id / "progress.json").read_text()
            assert '"status":"cancelled"' in closing


def test_a_job_whose_supervisor_is_gone_is_cancelled_too(quick: RealServer) -> None:
    job_id = quick.submit(SWALLOWS)
    log = quick.jobs_dir / job_id / "output.log"
    quick.until(job_id, lambda _: log.exists() and "ready" in log.read_text())
    spawned = json.loads((quick.jobs_dir / job_id / "journal" / "process.jsonl").read_text().splitlines()[0])
    os.kill(spawned["shim_pid"], signal.SIGKILL)
    cancel(quick, job_id)
    assert quick.wait(job_id)["status"] == "cancelled"
    assert processes(quick.jobs_dir / job_id) == []
