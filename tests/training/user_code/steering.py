"""What a server does to a job, from a thread of the job itself, and what the job's own code says of itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jupyter_trainlive.protocol.control import Desired, Wish, write_wish
from jupyter_trainlive.protocol.journal import JournalReader
from jupyter_trainlive.training.owner import job_dir_of_this_process
from jupyter_trainlive.training.recorder import current

#: Long enough for a thread to be heard between two steps.
STEP_SECONDS = 0.01

_ANSWERS = {Desired.PAUSED: "held", Desired.RELEASED: "pause_refused"}
_request = 0
job_dir = job_dir_of_this_process()
assert job_dir is not None
os.chdir(job_dir.path)


def slowly(item: Any) -> Any:
    """As data that takes its time."""
    time.sleep(STEP_SECONDS)
    return item


def told(name: str, value: Any) -> None:
    """Leave what the framework itself reported."""
    (Path(job_dir.path) / f"told-{name}.json").write_text(json.dumps(value))


@contextlib.contextmanager
def steered(step: int, *wishes: Desired, interrupt: bool = False, new: bool = True) -> Iterator[None]:
    """Wish one thing after the other once that step is done in here, each as soon as the one before was answered.

    `new`: it is a trainer that begins in here.
    """
    begun = _segments() + new
    thread = threading.Thread(target=_steer, args=(step, wishes, interrupt, begun), daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive(), f"{wishes} had no answer"
    write_wish(job_dir.control_file, Wish())


def records() -> list[dict[str, Any]]:
    return JournalReader(job_dir.training_journal).read()


def _segments() -> int:
    return sum(record["kind"] == "segment" for record in records())


def _steer(step: int, wishes: tuple[Desired, ...], interrupt: bool, begun: int) -> None:
    global _request
    recorder = current()
    assert recorder is not None
    _until(lambda: _segments() >= begun and (recorder.step or 0) >= step)
    for wish in wishes:
        _request += 1
        request = _request
        write_wish(job_dir.control_file, Wish(wish, request))
        if wish in _ANSWERS:
            answer = (_ANSWERS[wish], request)
            _until(lambda answer=answer: answer in [(r["kind"], r.get("request")) for r in records()])
            time.sleep(0.1)
    if interrupt:
        os.kill(os.getpid(), signal.SIGINT)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
