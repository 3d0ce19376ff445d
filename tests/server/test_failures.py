"""What goes wrong is said in words: the reason, what to do, the last lines of output; and alerts while it runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from ..real_server import TOKEN, RealServer, serve


@pytest.mark.parametrize(
    ("code", "error", "hint"),
    [
        (
            "import ctypes\nprint('before it broke', flush=True)\nctypes.string_at(0)",
            "The training process was killed by SIGSEGV before the training reported its end.",
            "C++ or CUDA crashed",
        ),
        (
            "import os, signal\nprint('before it broke', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)",
            "The training process was killed by SIGKILL before the training reported its end.",
            "",
        ),
        (
            "class OutOfMemoryError(RuntimeError): pass\nprint('before it broke', flush=True)\n"
            "raise OutOfMemoryError('CUDA out of memory. Tried to allocate 2.10 GiB. GPU 0 has 24 GiB')",
            "The GPU is out of memory: 2.10 GiB more were asked for.",
            "per_device_train_batch_size",
        ),
        (
            "print('before it broke', flush=True)\nimport no_such_module",
            "ModuleNotFoundError: No module named 'no_such_module'",
            "install",
        ),
    ],
    ids=["a crash in native code", "SIGKILL", "memory of the GPU", "a missing module"],
)
def test_a_failure_says_why_what_to_do_and_what_it_said_last(
    server: RealServer, code: str, error: str, hint: str
) -> None:
    job = server.wait(server.submit(code), "failed")
    assert job["error"] == error
    assert "\n" not in job["error"]
    assert hint in (job["hint"] or "")
    assert "before it broke" in job["output_tail"]


def test_a_full_disk_is_named_though_torch_hides_it(server: RealServer, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        code = "import torch\ntorch.save({'weights': torch.zeros(1 << 20)}, 'model.pt')"
        job = server.wait(server.submit(code, cwd=str(disk)), "failed")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert "disk" in job["error"].lower()
    assert "full" in job["error"].lower()
    assert str(disk) in job["error"] + job["hint"]
    assert job["traceback"]


NAN = """
import jupyter_trainlive as trainlive
losses = [1.0, "nan", 1.0, "nan", "nan", "inf", "nan", 1.0]
for step, loss in enumerate(losses, 1):
    trainlive.log({"loss": float(loss)}, step=step, total_steps=len(losses))
"""


def test_a_loss_that_is_no_number_three_times_in_a_row_is_an_alert_and_stops_nothing(server: RealServer) -> None:
    job_id = server.submit(NAN)
    job = server.wait(job_id, "completed")
    (alert,) = job["alerts"]
    assert (alert["name"], alert["step"]) == ("non_finite_loss", 6)
    assert "3 logs in a row" in alert["message"]
    with connect(
        server.socket_url(job_id), additional_headers={"Authorization": f"token {TOKEN}"}, subprotocols=["trainlive.v1"]
    ) as socket:
        hello = json.loads(socket.recv(10))
    assert [shown["message"] for shown in hello["job"]["alerts"]] == [alert["message"]]


def test_such_a_loss_ends_the_training_when_asked_to(server: RealServer) -> None:
    job = server.wait(server.submit(NAN, stop_on_nan=True, nan_patience=2), "failed")
    assert "2 logs in a row" in job["error"]
    assert "learning_rate" in job["hint"]
    assert job["current_step"] == 5


STALLS = """
import time, jupyter_trainlive as trainlive
for step in range(1, 60):
    trainlive.log({"loss": 1 / step}, step=step)
    time.sleep(4 if step == 40 else 0.02)
"""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    config: dict[str, Any] = {"JobManager": {"stall_seconds": 1.5, "stall_factor": 10, "poll_interval": 0.3}}
    with serve(tmp_path_factory.mktemp("impatient"), config=config) as running:
        yield running


def test_no_step_for_far_longer_than_usual_is_one_alert(impatient: RealServer) -> None:
    job_id = impatient.submit(STALLS)
    job = impatient.until(job_id, lambda job: job["alerts"])
    assert job["status"] == "running"
    job = impatient.wait(job_id, "completed")
    (alert,) = job["alerts"]
    assert (alert["name"], alert["step"]) == ("stalled", 40)
    assert "No step for" in alert["message"]


PHASES = """
import time, jupyter_trainlive as trainlive
from jupyter_trainlive.training.recorder import current
for step in range(1, 40):
    trainlive.log({"loss": 1 / step}, step=step)
    time.sleep(0.02)
current().phase("evaluating")
time.sleep(2.2)
current().phase("saving")
time.sleep(2.2)
"""


def test_evaluating_and_saving_are_no_stall(impatient: RealServer) -> None:
    job = impatient.wait(impatient.submit(PHASES), "completed")
    assert job["alerts"] == []
