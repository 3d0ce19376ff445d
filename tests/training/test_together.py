"""Ranks that agree: however their steps and the server's wishes fall together, all heed a wish behind the same step."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.control import Desired, Wish
from jupyter_trainlive.protocol.jobdir import write_json
from jupyter_trainlive.training.log import between_steps
from jupyter_trainlive.training.recorder import Recorder, of_job
from jupyter_trainlive.training.together import Agreed, Agreement, Follower, Leader, QuietRecorder, RankRecorder, Steps
from jupyter_trainlive.training.together import begin as begin_together
from jupyter_trainlive.training.watch import NonFiniteLoss

from .conftest import Job

RUNNING, PAUSED, RELEASED, CANCELLED = Desired.RUNNING, Desired.PAUSED, Desired.RELEASED, Desired.CANCELLED
RANKS, TRAINERS, STEPS = 3, 3, 4


class Server:
    """What is wanted, without a file in between."""

    def __init__(self) -> None:
        self.wanted = Wish()

    def wish(self) -> Wish:
        return self.wanted


class Stopped(Exception):
    """The rank was told to stop."""


class Rank:
    """One rank as a machine that does one thing at a time.

    Its script has several trainers one after the other, and comes to the gate when one begins, behind each step, and
    once more at the end of an epoch. Only to end a step does it need the others.
    """

    def __init__(self, job: Job, server: Server, leads: bool) -> None:
        self._steps = Steps()
        self._reader: Leader | Follower
        if leads:
            self._reader = Leader(job.dir, self._steps)
            self._reader.wanted = server  # type: ignore[assignment]
        else:
            self._reader = Follower(job.dir, self._steps)
        #: Steps begun and ended in all, and how often it was held.
        self.begun = self.ended = self.holds = 0
        self.held = self.over = False
        self.stopped_at: int | None = None

    def close(self) -> None:
        self._reader.close()

    def script(self, ranks: list[Rank]) -> Iterator[None]:
        for _ in range(TRAINERS):
            self._steps.begin(0)
            yield from self._gate(0)
            for step in range(1, STEPS + 1):
                self.begun += 1
                while any(other.begun < self.begun for other in ranks):
                    yield
                self.ended += 1
                yield from self._gate(step)
                if step % 2 == 0:
                    yield from self._gate(step)
        self.over = True

    def _gate(self, step: int) -> Iterator[None]:
        yield
        self._steps.see(step)
        while (wish := self._reader.wish()).desired is PAUSED:
            self.holds += not self.held
            self.held = True
            yield
        self.held = False
        if wish.desired is CANCELLED:
            self.stopped_at = self.ended
            raise Stopped


def test_all_heed_a_wish_behind_the_same_step(tmp_path: Path) -> None:
    chance = random.Random(5)
    held = stopped = 0
    for _ in range(200):
        job, server = Job(tmp_path), Server()
        begin_together(job.dir)
        ranks = [Rank(job, server, leads=not number) for number in range(RANKS)]
        scripts = [rank.script(ranks) for rank in ranks]

        def go_on(*numbers: int, scripts: list[Iterator[None]] = scripts) -> None:
            for number in numbers:
                with contextlib.suppress(StopIteration, Stopped):
                    next(scripts[number])

        for nth in range(120):
            if chance.random() < 0.2:
                wanted = chance.choices((PAUSED, RUNNING, RELEASED, CANCELLED), (10, 10, 2, 1))[0]
                if server.wanted.desired is not CANCELLED:
                    server.wanted = Wish(wanted, nth)
            elif ranks[0].held and server.wanted.desired is PAUSED and chance.random() < 0.3:
                held += 1
                # However long it lasts: none of them waits within a step, which a watchdog of theirs would end.
                go_on(*range(1, RANKS), *range(1, RANKS), *range(1, RANKS), *range(1, RANKS))
                step = ranks[0].ended
                assert {(rank.held, rank.begun, rank.ended) for rank in ranks} == {(True, step, step)}
                if chance.random() < 0.2:
                    server.wanted = Wish(CANCELLED, nth)
                    go_on(*range(RANKS))
                    assert {rank.stopped_at for rank in ranks} == {step}, "and not one step more"
            else:
                go_on(*[chance.randrange(RANKS)] * chance.randint(1, 4))
        if server.wanted.desired is not CANCELLED:
            server.wanted = Wish(RUNNING, 1000)
        go_on(*[*range(RANKS)] * 60)
        assert len({rank.stopped_at for rank in ranks}) == 1, "all of them, or none, and behind the same step"
        assert all(rank.over or rank.stopped_at is not None for rank in ranks), "none waits for another"
        stopped += ranks[0].stopped_at is not None
        for rank in ranks:
            rank.close()
    assert held > 50
    assert 20 < stopped < 180


def test_the_agreement_is_one_of_those_that_were_made(job: Job) -> None:
    begin_together(job.dir)
    mine, theirs = Agreement(job.dir), Agreement(job.dir)
    assert theirs.read() == Agreed()
    for agreed in (Agreed(Wish(PAUSED, 1), 7), Agreed(Wish(CANCELLED, 2), 1 << 40), Agreed()):
        mine.write(agreed)
        assert theirs.read() == agreed
    file = job.dir.kernel / "agreement"
    torn = bytearray(file.read_bytes())
    torn[3] ^= 1
    with file.open("r+b") as half_written:
        half_written.write(torn)
    assert theirs.read() == Agreed(), "what was there before, until the write is complete"
    begin_together(job.dir)
    assert Agreement(job.dir).read() == Agreed()


def test_rank_0_goes_on_with_the_journal_and_the_others_leave_it_alone(job: Job) -> None:
    begin_together(job.dir)
    kernel = Recorder(job.dir)
    kernel.start()
    with kernel.lent():
        kernel.metrics({"loss": 9.0}, step=9)
        recorders = [of_job(job.dir, RankRecorder), of_job(job.dir, QuietRecorder)]
        for recorder in recorders:
            recorder.segment(step=0, total_steps=4, total_epochs=None)
            recorder.metrics({"loss": 0.5}, step=2)
            recorder.alert("odd", "Something is odd.")
        assert [recorder.step for recorder in recorders] == [2, 2]
        with pytest.raises(TypeError, match="loss"):
            recorders[1].metrics({"loss": "low"})
        told = json.loads(job.dir.progress_file.read_text())
        assert (told["status"], told["total_steps"]) == ("running", 4)
    kernel.end("completed")
    assert [record["kind"] for record in job.records()] == ["start", "segment", "metrics", "alert", "end"]
    told = json.loads(job.dir.progress_file.read_text())
    assert (told["current_step"], told["loss"]) == (2, 0.5)
    for each in (*recorders, kernel):
        each.close()


def test_a_loss_that_is_none_stops_all_ranks_and_not_one(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_together(job.dir)
    write_json(job.dir.spec_file, {"nan_patience": 1, "stop_on_nan": True})
    first, other = of_job(job.dir, RankRecorder), of_job(job.dir, QuietRecorder)
    for recorder in (first, other):
        recorder.segment(step=0, total_steps=4, total_epochs=None)
        assert recorder.gate.ask(1) is RUNNING
        recorder.metrics({"loss": math.nan}, step=1)
    assert first.gate.ask(1) is other.gate.ask(1) is RUNNING
    assert first.gate.ask(2) is other.gate.ask(2) is CANCELLED
    assert first.stop is None
    assert isinstance(first.reason, NonFiniteLoss)
    first.close()
    other.close()


def test_what_logs_without_an_end_of_a_step_is_not_held_and_says_so(job: Job) -> None:
    begin_together(job.dir)
    recorder = of_job(job.dir, RankRecorder)
    job.wish(PAUSED, 3)
    for _ in range(9):
        between_steps(recorder)
    assert job.records("pause_refused") == []
    between_steps(recorder)
    (refused,) = job.records("pause_refused")
    assert (refused["request"], "together" in refused["error"]) == (3, True)
    recorder.close()
