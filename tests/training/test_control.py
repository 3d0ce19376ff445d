"""The gate: what is wished is heeded between two steps, and answered by the number of its request."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.training.log import log
from jupyter_trainlive.training.recorder import Recorder

from .conftest import Job

RUNNING, PAUSED, RELEASED, CANCELLED = Desired.RUNNING, Desired.PAUSED, Desired.RELEASED, Desired.CANCELLED


class Server:
    """Wishes one thing after the other, each as soon as the one before was answered."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._threads: list[threading.Thread] = []

    def once_held(self, *wishes: tuple[Desired, int]) -> None:
        def follow() -> None:
            for number, (desired, request) in enumerate(wishes, 1):
                deadline = time.monotonic() + 30
                while len(self._job.records("held")) < number and time.monotonic() < deadline:
                    time.sleep(0.005)
                self._job.wish(desired, request)

        self._threads.append(threading.Thread(target=follow))
        self._threads[-1].start()

    def interrupt_later(self) -> None:
        """As the server does some time after it wished the end; the work is to wait for that."""
        self._threads.append(threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def server(job: Job) -> Iterator[Server]:
    server = Server(job)
    yield server
    server.join()


def answers(job: Job) -> list[tuple[Any, ...]]:
    kinds = {"held": ("request", "step"), "resumed": ("step",), "pause_refused": ("request",)}
    return [
        (record["kind"], *(record[key] for key in kinds[record["kind"]]))
        for record in job.records()
        if record["kind"] in kinds
    ]


def test_nothing_wished_is_nothing_written(job: Job, recorder: Recorder) -> None:
    assert recorder.gate.ask(1) is RUNNING
    job.wish(RUNNING, 3)
    assert recorder.gate.ask(2) is RUNNING
    assert answers(job) == []


def test_a_held_training_waits_until_it_is_resumed(job: Job, recorder: Recorder, server: Server) -> None:
    job.wish(PAUSED, 1)
    server.once_held((RUNNING, 1))
    assert recorder.gate.ask(4) is RUNNING
    assert answers(job) == [("held", 1, 4), ("resumed", 4)]


def test_it_goes_on_at_once(job: Job, recorder: Recorder, server: Server) -> None:
    job.wish(PAUSED, 1)
    server.once_held((RUNNING, 1))
    recorder.gate.ask(4)
    returned = time.time()
    assert returned - job.dir.control_file.stat().st_mtime < 0.5


def test_a_hold_asked_for_anew_before_it_went_on_is_answered_anew(job: Job, recorder: Recorder, server: Server) -> None:
    job.wish(PAUSED, 1)
    server.once_held((PAUSED, 2), (RUNNING, 2))
    assert recorder.gate.ask(4) is RUNNING
    assert answers(job) == [("held", 1, 4), ("held", 2, 4), ("resumed", 4)]


@pytest.mark.parametrize(("then", "heeded"), [(CANCELLED, True), (RELEASED, False)])
def test_waiting_ends_where_it_should_stop_or_leave(
    job: Job, recorder: Recorder, server: Server, then: Desired, heeded: bool
) -> None:
    job.wish(PAUSED, 1)
    server.once_held((then, 2))
    assert recorder.gate.ask(4) is then
    assert recorder.gate.heeded is heeded
    assert recorder.gate.leaving is not heeded
    assert answers(job) == [("held", 1, 4)]


def test_a_release_that_can_not_be_is_refused_once_and_the_training_goes_on(job: Job, recorder: Recorder) -> None:
    job.wish(RELEASED, 3)
    for step in (4, 5):
        assert recorder.gate.ask(step, no_release="No checkpoint here.") is RUNNING
    assert not recorder.gate.leaving
    job.wish(RELEASED, 4)
    recorder.gate.ask(6, no_release="No checkpoint here.")
    assert answers(job) == [("pause_refused", 3), ("pause_refused", 4)]
    assert job.records("pause_refused")[0]["error"] == "No checkpoint here."


def test_a_release_from_a_hold_that_can_not_be_goes_on(job: Job, recorder: Recorder, server: Server) -> None:
    job.wish(PAUSED, 1)
    server.once_held((RELEASED, 2))
    assert recorder.gate.ask(4) is RELEASED
    recorder.gate.stay(4, "The disk is full.")
    assert recorder.gate.ask(5) is RUNNING
    assert answers(job) == [("held", 1, 4), ("pause_refused", 2), ("resumed", 4)]


def test_a_release_taken_back_before_it_could_be_obeyed_is_forgotten(job: Job, recorder: Recorder) -> None:
    job.wish(RELEASED, 1)
    assert recorder.gate.ask(0) is RELEASED
    job.wish(RUNNING, 1)
    assert recorder.gate.ask(1) is RUNNING
    assert not recorder.gate.leaving


@pytest.mark.parametrize("wish", [PAUSED, RELEASED])
def test_where_several_train_together_every_pause_is_refused(job: Job, recorder: Recorder, wish: Desired) -> None:
    job.wish(wish, 1)
    for _ in range(2):
        recorder.gate.decline("Several train together.")
    assert answers(job) == [("pause_refused", 1)]


def test_a_loop_without_a_trainer_is_held_where_it_logs(in_job: Job, server: Server) -> None:
    in_job.wish(PAUSED, 1)
    server.once_held((RUNNING, 1))
    log({"loss": 1.0}, step=8)
    log({"loss": 1.0}, step=9)
    assert answers(in_job) == [("held", 1, 8), ("resumed", 8)]
    kinds = [record["kind"] for record in in_job.records()]
    assert kinds.index("metrics") < kinds.index("held"), "what was logged is there before it waits"


def test_a_held_loop_without_a_trainer_does_no_step_more_when_cancelled(in_job: Job, server: Server) -> None:
    """Nothing tells it to stop but an interrupt, and that is on its way."""
    from jupyter_trainlive.training.recorder import current

    in_job.wish(PAUSED, 1)
    server.once_held((CANCELLED, 1))
    server.interrupt_later()
    with pytest.raises(KeyboardInterrupt):
        log({"loss": 1.0})
    recorder = current()
    assert recorder is not None
    assert not recorder.gate.heeded, "log stops nobody, so nobody was told to stop"
    assert answers(in_job) == [("held", 1, 1)]


def test_a_loop_without_a_trainer_goes_on_when_it_is_to_be_released(in_job: Job) -> None:
    in_job.wish(RELEASED, 2)
    log({"loss": 1.0})
    assert answers(in_job) == [("pause_refused", 2)]
    assert "hold it instead" in in_job.records("pause_refused")[0]["error"]


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_a_loop_of_several_processes_is_not_held(
    in_job: Job, server: Server, monkeypatch: pytest.MonkeyPatch, ranks: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", ranks)
    in_job.wish(PAUSED, 1)
    if ranks == "1":
        server.once_held((RUNNING, 1))
    log({"loss": 1.0})
    assert answers(in_job)[0] == (("held", 1, 1) if ranks == "1" else ("pause_refused", 1))


def test_other_threads_and_what_logs_beside_a_trainer_are_not_held(in_job: Job) -> None:
    from jupyter_trainlive.training.recorder import current

    in_job.wish(PAUSED, 1)
    thread = threading.Thread(target=log, args=({"loss": 1.0},))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    recorder = current()
    assert recorder is not None
    recorder.segment(step=0, total_steps=None, total_epochs=None)
    log({"loss": 1.0})
    assert answers(in_job) == []


def test_an_interrupt_ends_the_waiting(job: Job, recorder: Recorder) -> None:
    import _thread

    job.wish(PAUSED, 1)
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        recorder.gate.ask(1)
    timer.join()


def test_asking_reads_nothing_while_nothing_changes(
    job: Job, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    files: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: files.append(path) or read(path))
    job.wish(RUNNING)
    for step in range(100):
        recorder.gate.ask(step)
    assert files == [job.dir.control_file]
