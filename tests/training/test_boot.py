"""The training kernel: a real ipykernel takes the job, does the work, tells the end and leaves with status 0."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.protocol.jobdir import write_json

from .conftest import Job

BOOT = "from jupyter_trainlive.training.boot import run; run()"


class Kernel:
    """A real kernel of a job."""

    def __init__(self, job: Job, attempt: int = 1) -> None:
        self.job = job
        self.attempt = attempt
        kernel = job.dir.kernel
        self.manager = KernelManager(
            kernel_name="python3",
            connection_file=str(job.dir.connection_file),
            transport="ipc",
            ip=str(kernel / "s"),
        )

    def start(self, **spec: Any) -> Kernel:
        write_json(self.job.dir.spec_file, {"cwd": str(self.job.dir.path), **spec})
        with self.job.dir.output_log.open("ab") as log:
            env = self.job.environment(self.attempt)
            self.manager.start_kernel(env=env, stdout=log, stderr=log, independent=True)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.execute(BOOT, store_history=False)
        return self

    def wait(self) -> int:
        process: subprocess.Popen[bytes] = self.manager.provisioner.process  # type: ignore[union-attr]
        return process.wait(30)

    def until(self, kind: str) -> None:
        deadline = time.monotonic() + 30
        while not self.job.records(kind):
            assert time.monotonic() < deadline, (kind, self.log)
            time.sleep(0.02)

    @property
    def log(self) -> str:
        text = self.job.dir.output_log.read_bytes().decode()
        # ipykernel says first how to connect to it.
        return text.partition("connection.json\n")[2]

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(job: Job) -> Iterator[Kernel]:
    kernel = Kernel(job)
    yield kernel
    kernel.stop()


def run(kernel: Kernel, code: str) -> dict[str, Any]:
    """Run a code job to its end; returns its end record."""
    assert kernel.start(kind="code", code=code).wait() == 0
    assert kernel.job.records()[0]["kind"] == "start"
    return kernel.job.end()


def test_a_cell_runs_as_in_a_notebook_and_its_output_is_in_the_log(kernel: Kernel) -> None:
    code = (
        "import os, sys\n"
        "print('from print')\n"
        "os.system('echo from a shell')\n"
        "!echo from a magic\n"
        "os.write(1, b'from a library\\n')\n"
        "print('from stderr', file=sys.stderr)\n"
        "display('shown')\n"
        "import jupyter_trainlive; jupyter_trainlive.log({'loss': 0.5})\n"
        "Path = __name__\n"
        "[Path, 'last value']"
    )
    assert run(kernel, code)["status"] == "completed"
    assert kernel.log.splitlines() == [
        "from print",
        "from a shell",
        "from a magic",
        "from a library",
        "from stderr",
        "'shown'",
        "['__main__', 'last value']",
    ]
    assert kernel.job.series("loss") == [(1, 0.5)]


def test_a_cell_may_await(kernel: Kernel) -> None:
    code = "import asyncio\nawait asyncio.sleep(0.1)\nprint('awaited')\n'last value'"
    assert run(kernel, code)["status"] == "completed"
    assert kernel.log == "awaited\n'last value'\n"


@pytest.mark.parametrize("head", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_an_error_ends_the_job_with_its_traceback(kernel: Kernel, head: str) -> None:
    code = head + "def step():\n    raise ValueError('bad\\nweights')\nstep()"
    end = run(kernel, code)
    assert (end["status"], end["error"]) == ("failed", "ValueError: bad")
    assert end["traceback"].startswith("Traceback (most recent call last):\n")
    assert "    step()\n" in end["traceback"]
    assert "IPython" not in end["traceback"]
    assert "boot.py" not in end["traceback"]
    assert kernel.log == end["traceback"]


def test_code_that_does_not_compile(kernel: Kernel) -> None:
    end = run(kernel, "x = (1,\nif x:")
    assert end["status"] == "failed"
    assert end["error"].startswith("SyntaxError")
    assert "boot.py" not in end["traceback"]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("import sys; sys.exit()", "completed", None),
        ("import sys; sys.exit(0)", "completed", None),
        ("import sys; sys.exit(3)", "failed", "SystemExit: 3"),
        ("import sys; sys.exit('no data')", "failed", "SystemExit: no data"),
        ("exit()", "completed", None),
        ("raise KeyboardInterrupt", "failed", "Interrupted"),
    ],
)
def test_other_ways_to_end(kernel: Kernel, code: str, status: str, error: str | None) -> None:
    end = run(kernel, code)
    assert (end["status"], end.get("error")) == (status, error)


def test_exit_handlers_run_and_threads_are_waited_for(kernel: Kernel) -> None:
    code = (
        "import atexit, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(); pool.submit(print, 'pooled').result()\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), print('thread done'))).start()"
    )
    assert run(kernel, code)["status"] == "completed"
    assert kernel.log.splitlines() == ["pooled", "thread done", "at exit"]


def test_a_thread_that_never_ends_does_not_keep_the_job(kernel: Kernel) -> None:
    code = (
        "import threading\n"
        "from jupyter_trainlive.training import boot\n"
        "boot.EXIT_GRACE_SECONDS = 0.5\n"
        "threading.Thread(target=threading.Event().wait, name='stuck').start()"
    )
    assert run(kernel, code)["status"] == "completed"
    assert "alive: ['stuck']" in kernel.log


def test_a_second_request_does_nothing(kernel: Kernel) -> None:
    kernel.start(kind="code", code="import time; time.sleep(0.5); print('once')")
    kernel.client.execute(BOOT)
    assert kernel.wait() == 0
    assert kernel.log == "once\n"
    assert len(kernel.job.records("start")) == len(kernel.job.records("end")) == 1


@pytest.mark.parametrize("sleep", ["time.sleep(60)", "await asyncio.sleep(60)"])
def test_an_interrupt_ends_a_cancelled_job_as_cancelled(kernel: Kernel, sleep: str) -> None:
    kernel.start(kind="code", code=f"import asyncio, time\n{sleep}")
    kernel.until("start")
    time.sleep(0.3)
    kernel.job.cancel()
    kernel.manager.interrupt_kernel()
    assert kernel.wait() == 0
    assert kernel.job.end()["status"] == "cancelled"


def test_an_interrupt_nobody_wished_is_a_failure(kernel: Kernel) -> None:
    kernel.start(kind="code", code="import time; time.sleep(60)")
    kernel.until("start")
    time.sleep(0.3)
    kernel.manager.signal_kernel(signal.SIGINT)
    assert kernel.wait() == 0
    end = kernel.job.end()
    assert (end["status"], end["error"]) == ("failed", "Interrupted")


def test_a_job_cancelled_before_its_kernel_was_up_does_nothing(kernel: Kernel) -> None:
    kernel.job.cancel()
    assert run(kernel, "print('work')")["status"] == "cancelled"
    assert kernel.log == ""


def test_a_cancellation_nobody_saw_does_not_unmake_complete_work(kernel: Kernel) -> None:
    control = str(kernel.job.dir.control_file)
    code = (
        "from pathlib import Path\n"
        "from jupyter_trainlive.protocol.control import Desired, Wish, write_wish\n"
        f"write_wish(Path({control!r}), Wish(Desired.CANCELLED))"
    )
    assert run(kernel, code)["status"] == "completed"


def test_a_job_of_an_unknown_kind(kernel: Kernel) -> None:
    assert kernel.start(kind="dance").wait() == 0
    assert "can't run jobs of kind 'dance'" in kernel.job.end()["error"]


def test_a_fine_tune_from_start_to_end(kernel: Kernel, model: Path, data: Callable[..., Path]) -> None:
    parameters = {"model_name": str(model), "dataset_path": str(data()), "max_steps": 5, "max_length": 32}
    assert kernel.start(kind="finetune", parameters=parameters).wait() == 0
    assert kernel.job.end()["status"] == "completed", kernel.log
    kinds = [record["kind"] for record in kernel.job.records()]
    assert (kinds[0], kinds[-2:]) == ("start", ["artifact", "end"])
    assert [step for step, _ in kernel.job.series("loss")] == [1, 2, 3, 4, 5]
    assert (kernel.job.dir.artifacts / "model" / "model.safetensors").is_file()
    assert "Trained 5 steps" in kernel.log


def test_a_fine_tune_that_can_not_begin_says_why_without_a_traceback(kernel: Kernel, model: Path) -> None:
    parameters = {"model_name": str(model), "dataset_path": "/nowhere/rows.jsonl"}
    assert kernel.start(kind="finetune", parameters=parameters).wait() == 0
    end = kernel.job.end()
    assert (end["status"], "traceback" in end) == ("failed", False)
    assert end["error"].startswith("/nowhere/rows.jsonl: does not exist")
    assert end["error"] in kernel.log


def test_a_cancelled_fine_tune_leaves_no_model(kernel: Kernel, model: Path, data: Callable[..., Path]) -> None:
    parameters = {"model_name": str(model), "dataset_path": str(data()), "max_steps": 10**6, "max_length": 32}
    kernel.start(kind="finetune", parameters=parameters)
    kernel.until("metrics")
    kernel.job.cancel()
    assert kernel.wait() == 0
    assert kernel.job.end()["status"] == "cancelled"
    assert list(kernel.job.dir.artifacts.iterdir()) == []


def test_an_interrupt_ends_a_held_job_as_cancelled(kernel: Kernel) -> None:
    kernel.job.wish(Desired.PAUSED, 1)
    kernel.start(kind="code", code="import jupyter_trainlive as t\nwhile True: t.log({'loss': 1})")
    kernel.until("held")
    kernel.job.cancel()
    kernel.manager.interrupt_kernel()
    assert kernel.wait() == 0
    assert kernel.job.end()["status"] == "cancelled"


@pytest.mark.parametrize("head", ["", "try:\n  "])
def test_work_that_was_to_stop_for_its_loss_has_failed_also_if_it_returns(kernel: Kernel, head: str) -> None:
    tail = "\nexcept Exception: pass" if head else ""
    code = f"import jupyter_trainlive as t\n{head}for _ in range(9): t.log({{'loss': float('nan')}}){tail}"
    assert kernel.start(kind="code", code=code, stop_on_nan=True).wait() == 0
    end = kernel.job.end()
    assert (end["status"], end["error"]) == ("failed", "The loss was NaN in 3 logs in a row (steps 1 to 3).")
    assert "Lower learning_rate" in end["hint"]
