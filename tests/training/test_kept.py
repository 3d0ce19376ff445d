"""A kernel that is kept after its work: open to its user, silent in the journal, and gone by itself."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from jupyter_trainlive.protocol.control import Desired

from .conftest import Job
from .test_boot import Kernel

FAILS = """
from jupyter_trainlive.training.kept import namespace
import jupyter_trainlive as trainlive
def step(rate):
    weights = [rate] * 3
    raise ValueError("bad weights")
namespace["trainer"] = "what a recipe leaves"
print("in the log")
trainlive.log({"loss": 0.5})
step(0.25)
"""


def cell(kernel: Kernel, code: str, *answers: str) -> list[dict[str, Any]]:
    """Run a cell as a client would, and answer what it asks; the messages that it sends."""
    messages: list[dict[str, Any]] = []
    said = iter(answers)
    kernel.client.execute_interactive(
        code,
        allow_stdin=True,
        output_hook=messages.append,
        stdin_hook=lambda _: kernel.client.input(next(said)),
        timeout=30,
    )
    return messages


def text(messages: list[dict[str, Any]]) -> str:
    content = [message["content"] for message in messages]
    return "".join(each.get("text") or each.get("data", {}).get("text/plain", "") for each in content)


@pytest.mark.parametrize("head", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_what_failed_is_still_there_and_nothing_more_is_recorded(job: Job, head: str) -> None:
    kernel = Kernel(job).start(kind="code", code=head + FAILS, keep_kernel=600.0)
    kernel.until("kept")
    (kept,) = job.records("kept")
    assert 590 < kept["until"] - time.time() <= 600
    assert job.end()["error"] == "ValueError: bad weights"
    # It answers once its cell is over: the closing message is written behind the last record.
    kernel.client.wait_for_ready(timeout=30)
    closing = json.loads(job.dir.progress_file.read_text())
    assert (closing["status"], closing["complete"]) == ("failed", True)
    assert text(cell(kernel, "print('to the console')\ntrainer")) == "to the console\n'what a recipe leaves'"
    assert "bad weights" in text(cell(kernel, "import sys; sys.last_value"))
    debugged = text(cell(kernel, "%debug", "p weights", "up", "q"))
    assert "[0.25, 0.25, 0.25]" in debugged
    assert "boot.py" not in debugged
    records, log = len(job.records()), kernel.log
    cell(kernel, "trainlive.log({'loss': 0.1})\nexit")
    assert text(cell(kernel, "1 + 1")) == "2", "leaving a console leaves the kernel"
    assert (len(job.records()), kernel.log) == (records, log)
    assert "to the console" not in log
    assert "in the log" in log
    job.wish(Desired.CANCELLED)
    assert kernel.wait() == 0
    kernel.stop()


def test_it_ends_by_itself_at_its_time_though_a_cell_holds_the_interpreter(job: Job) -> None:
    hang = "import ctypes; lock, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)\n"
    hang += "libc.pthread_mutex_lock(lock); libc.pthread_mutex_lock(lock)"
    code = "import jupyter_trainlive.training.kept as kept; kept._ALARM_SECONDS = 1.0"
    kernel = Kernel(job).start(kind="code", code=code, keep_kernel=1.0)
    kernel.until("kept")
    kernel.client.execute(hang)
    assert kernel.wait() == -14, "by the system's alarm"
    kernel.stop()


def test_it_ends_by_itself_at_its_time_in_the_middle_of_a_cell(job: Job) -> None:
    kernel = Kernel(job).start(kind="code", code="pass", keep_kernel=1.0)
    kernel.until("kept")
    kernel.client.execute("import time\nwhile True: time.sleep(0.01)")
    assert kernel.wait() == 0
    kernel.stop()


@pytest.mark.parametrize("code", ["exit()", "from jupyter_trainlive.training import cell; cell.hand_over = None"])
def test_one_that_wants_to_go_or_cannot_be_kept_goes_at_once(job: Job, code: str) -> None:
    kernel = Kernel(job).start(kind="code", code=code, keep_kernel=600.0)
    assert kernel.wait() == 0
    assert (job.end()["status"], job.records("kept")) == ("completed", [])
    kernel.stop()
