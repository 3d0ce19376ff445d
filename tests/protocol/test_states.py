"""A job's state follows from its journals alone, however they are read."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from jupyter_trainlive.protocol.exits import signal_name
from jupyter_trainlive.protocol.facts import ProcessFacts
from jupyter_trainlive.protocol.messages import job_view, message
from jupyter_trainlive.protocol.states import Job, Journal, Status, fold
from jupyter_trainlive.protocol.values import dumps

Entry = tuple[Journal, dict[str, Any]]


def entry(journal: str, kind: str, t: float = 1.0, **values: Any) -> Entry:
    return Journal(journal), {"seq": 1, "t": t, "kind": kind, **values}


def job_of(*entries: Entry) -> Job:
    job = Job("job_000000000000")
    for journal, record in entries:
        job = fold(job, journal, record)
    return job


SUBMITTED = entry("server", "submitted", 1)
QUEUED = entry("server", "queued", 1)
STARTING = entry("server", "starting", 2)
SPAWNED = entry("process", "spawned", 3, pid=7, start_time=70.0, shim_pid=6, shim_start_time=60.0)
STARTED = entry("training", "start", 4)
CANCEL = entry("server", "cancel_requested", 5)
LOST = entry("server", "lost", 9)
NO_START = entry("server", "start_failed", 3, error="no such command")
LATE = entry("server", "start_timed_out", 8, error="too late")


PAUSE = entry("server", "pause_requested", 5, release=False, request=1)
PAUSE_AGAIN = entry("server", "pause_requested", 7, release=False, request=2)
RELEASE = entry("server", "pause_requested", 5, release=True, request=1)
RESUME = entry("server", "resume_requested", 6)
HELD = entry("training", "held", 5, request=1, step=3)
GO_ON = entry("training", "resumed", 6, step=3)
HELD_AGAIN = entry("training", "held", 7, request=2, step=4)
NO_PAUSE = entry("training", "pause_refused", 5, request=1, error="the disk is full")
SECOND = RESUME, entry("server", "queued", 10, attempt=2)
STARTING_AGAIN = entry("server", "starting", 11, attempt=2)
SPAWNED_AGAIN = entry("process", "spawned", 12, attempt=2, pid=9, start_time=90.0, shim_pid=8, shim_start_time=80.0)
STARTED_AGAIN = entry("training", "start", 13, attempt=2)


def end(status: str, **values: Any) -> Entry:
    return entry("training", "end", 8, status=status, **values)


def exited(code: int | None = 0, signal: int | None = None) -> Entry:
    return entry("process", "exited", 9, code=code, signal=signal, peak_memory_gb=0.1)


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([], "queued"),
        ([SUBMITTED, QUEUED], "queued"),
        ([SUBMITTED, STARTING], "starting"),
        ([SPAWNED], "starting"),
        ([STARTING, SPAWNED, STARTED], "running"),
        ([STARTING, SPAWNED, STARTED, end("completed")], "running"),
        ([STARTING, SPAWNED, STARTED, end("completed"), exited()], "completed"),
        # Completed only with both facts.
        ([STARTING, SPAWNED, STARTED, exited()], "failed"),
        ([STARTING, SPAWNED, STARTED, end("completed"), exited(1)], "failed"),
        ([STARTING, SPAWNED, STARTED, end("completed"), exited(None, 9)], "failed"),
        ([STARTING, SPAWNED, STARTED, end("completed"), exited(None, None)], "failed"),
        ([STARTING, SPAWNED, STARTED, end("completed"), LOST], "interrupted"),
        ([STARTING, SPAWNED, STARTED, end("failed"), exited()], "failed"),
        ([STARTING, SPAWNED, STARTED, end("dancing"), exited()], "failed"),
        ([STARTING, SPAWNED, STARTED, LOST], "interrupted"),
        ([STARTING, SPAWNED, STARTED, end("failed", error="no"), LOST], "failed"),
        ([STARTING, SPAWNED, STARTED, end("failed", error="no"), CANCEL, LOST], "cancelled"),
        ([STARTING, SPAWNED, LOST, exited(), STARTED, end("completed")], "completed"),
        # What waits has no process to wait for.
        ([SUBMITTED, CANCEL], "cancelled"),
        ([SUBMITTED, QUEUED, STARTING, CANCEL], "cancelling"),
        ([SUBMITTED, QUEUED, STARTING, entry("server", "unleased")], "queued"),
        ([SUBMITTED, QUEUED, STARTING, entry("server", "unleased"), CANCEL], "cancelled"),
        # A pause is there when the training says that it waits, by the number of that very request.
        ([SUBMITTED, QUEUED, PAUSE], "paused"),
        ([SUBMITTED, QUEUED, PAUSE, RESUME], "queued"),
        ([SUBMITTED, QUEUED, PAUSE, CANCEL], "cancelled"),
        ([STARTING, PAUSE], "pausing"),
        ([STARTING, SPAWNED, STARTED, PAUSE], "pausing"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD], "paused"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD, RESUME], "running"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD, RESUME, PAUSE_AGAIN], "pausing"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD, RESUME, GO_ON, PAUSE_AGAIN, HELD_AGAIN], "paused"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD, CANCEL], "cancelling"),
        ([STARTING, SPAWNED, STARTED, PAUSE, HELD, exited(None, 9)], "failed"),
        ([STARTING, SPAWNED, STARTED, PAUSE, NO_PAUSE], "running"),
        ([STARTING, SPAWNED, STARTED, PAUSE, end("completed"), exited()], "completed"),
        # A release is there when the process has left, having said so.
        ([STARTING, SPAWNED, STARTED, RELEASE], "pausing"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released")], "pausing"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited()], "paused"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited(None, 9)], "failed"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited(), CANCEL], "cancelled"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited(), *SECOND], "queued"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited(), *SECOND, STARTING_AGAIN], "starting"),
        ([STARTING, SPAWNED, STARTED, RELEASE, end("released"), exited(), *SECOND, CANCEL], "cancelled"),
        # The next attempt knows nothing of how the last one ended.
        ([STARTING, SPAWNED, STARTED, LOST, *SECOND], "queued"),
        ([STARTING, SPAWNED, STARTED, CANCEL, exited(None, 9), *SECOND], "queued"),
        ([STARTING, SPAWNED, STARTED, end("failed"), exited(), *SECOND, STARTING_AGAIN, SPAWNED_AGAIN], "starting"),
        ([STARTING, SPAWNED, STARTED, LOST, *SECOND, STARTING_AGAIN, SPAWNED_AGAIN, STARTED_AGAIN], "running"),
        ([SPAWNED, STARTED, LOST, *SECOND, SPAWNED_AGAIN, STARTED_AGAIN, end("completed"), exited()], "completed"),
        # Whatever journal tells of it first.
        ([STARTING, SPAWNED, STARTED, end("failed"), exited(), SPAWNED_AGAIN], "starting"),
        ([STARTING, SPAWNED, STARTED, CANCEL], "cancelling"),
        ([STARTING, SPAWNED, STARTED, CANCEL, end("cancelled"), exited()], "cancelled"),
        ([STARTING, SPAWNED, STARTED, CANCEL, exited(None, 9)], "cancelled"),
        ([STARTING, SPAWNED, STARTED, CANCEL, end("completed"), exited()], "completed"),
        ([STARTING, SPAWNED, STARTED, CANCEL, LOST], "cancelled"),
        ([SUBMITTED, NO_START], "failed"),
        ([SUBMITTED, CANCEL, NO_START], "cancelled"),
        ([STARTING, SPAWNED, LATE], "starting"),
        ([STARTING, SPAWNED, LATE, exited(None, 15)], "failed"),
    ],
)
def test_what_the_journals_say_gives_the_status(entries: list[Entry], status: str) -> None:
    job = job_of(*entries)
    assert job.status.value == status
    assert job.status.ended == (status in ("completed", "failed", "cancelled", "interrupted"))
    assert (job.error is None) == (status not in ("failed", "cancelled", "interrupted"))


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([SPAWNED, STARTED, end("failed", error="ValueError: no"), exited()], "ValueError: no"),
        ([NO_START], "no such command"),
        ([entry("server", "start_failed")], "The job could not start."),
        ([SPAWNED, LATE, exited(None, 15)], "too late"),
        (
            [SPAWNED, exited(3)],
            "The training process exited with status 3 before it began its work; its output may say why.",
        ),
        (
            [SPAWNED, STARTED, exited(None, 9)],
            "The training process was killed by SIGKILL before the training reported its end.",
        ),
        (
            [SPAWNED, STARTED, end("completed"), exited(None, 11)],
            "The training process was killed by SIGSEGV after the training had completed.",
        ),
        ([CANCEL, SPAWNED, exited()], "Cancelled"),
        (
            [CANCEL, entry("server", "escalated", to="interrupt"), SPAWNED, exited()],
            "Cancelled (by an interrupt)",
        ),
        ([CANCEL, entry("server", "escalated", to="kill"), SPAWNED, exited()], "Cancelled (it had to be killed)"),
        ([CANCEL, entry("server", "escalated", to="unheard-of"), SPAWNED, exited()], "Cancelled"),
    ],
)
def test_the_error_says_why_in_one_line(entries: list[Entry], error: str) -> None:
    assert job_of(*entries).error == error


LIFE: dict[Journal, list[dict[str, Any]]] = {
    Journal.SERVER: [SUBMITTED[1], QUEUED[1], STARTING[1], CANCEL[1], entry("server", "escalated", to="interrupt")[1]],
    Journal.PROCESS: [SPAWNED[1], exited(None, 2)[1]],
    Journal.TRAINING: [
        STARTED[1],
        entry("training", "phase", 4, name="training")[1],
        entry("training", "segment", 4, step=0, total_steps=10, total_epochs=2)[1],
        entry("training", "metrics", 5, step=1, epoch=0.2, values={"loss": 2.0})[1],
        entry("training", "metrics", 6, step=2, epoch=0.4, values={"loss": "nan", "grad_norm": 1})[1],
        entry("training", "metrics", 7, step=2, epoch=0.4, values={"eval_loss": 1.5})[1],
        entry("training", "artifact", 7, path="artifacts/model")[1],
        end("cancelled")[1],
    ],
}


def test_any_interleaving_of_the_journals_gives_the_same_job() -> None:
    expected = None
    chance = random.Random(0)
    for _ in range(200):
        waiting = {journal: list(records) for journal, records in LIFE.items()}
        job = Job("job_000000000000")
        while left := [journal for journal, records in waiting.items() if records]:
            journal = chance.choice(left)
            job = fold(job, journal, waiting[journal].pop(0))
        expected = expected or job
        # Compared as text, since NaN is not equal to itself.
        assert repr(job) == repr(expected)
        assert job_view(job) == job_view(expected)
    assert expected is not None
    assert expected.status is Status.CANCELLED


ODD: tuple[Any, ...] = (None, True, "", "x", "nan", -1, 10**400, math.nan, math.inf, 1e308, [], {}, [[]], {"a": {}})


def test_odd_values_never_fail_and_give_a_message_that_is_json() -> None:
    chance = random.Random(1)
    kinds = {
        Journal.SERVER: (
            *("submitted", "queued", "leased", "unleased", "starting", "pause_requested", "resume_requested", "alert"),
            *("cancel_requested", "escalated", "start_failed", "start_timed_out", "lost"),
        ),
        Journal.PROCESS: ("spawned", "exited"),
        Journal.TRAINING: (
            *("metrics", "segment", "phase", "start", "artifact", "end", "checkpoint"),
            *("held", "resumed", "pause_refused", "alert"),
        ),
    }
    names = (
        *("pid", "start_time", "shim_pid", "code", "signal", "peak_memory_gb", "to", "error", "name", "path"),
        *("step", "epoch", "total_steps", "total_epochs", "values", "status", "hint", "traceback"),
        *("attempt", "request", "release", "gpus", "reason", "message", "boot_id", "oom_killed", "output", "by"),
    )
    for _ in range(3000):
        job = Job("job_000000000000")
        for _ in range(6):
            journal = chance.choice(list(Journal))
            values = {name: chance.choice(ODD) for name in names}
            if chance.random() < 0.5:
                values["values"] = {"loss": chance.choice(ODD), "x": chance.choice(ODD)}
            t = chance.choice((0, -1.0, 1e300, 5))
            job = fold(job, journal, {"seq": 1, "t": t, "kind": chance.choice(kinds[journal]), **values})
        assert "NaN" not in dumps(message(job, 1.0))
        assert "Infinity" not in dumps(job_view(job))


@pytest.mark.parametrize("journal", list(Journal))
def test_unknown_kinds_change_nothing(journal: Journal) -> None:
    job = job_of(SUBMITTED, STARTING, SPAWNED, STARTED)
    for kind in ("", "unheard-of", "dancing"):
        assert fold(job, journal, {"seq": 9, "t": 9.0, "kind": kind, "step": 3, "status": "completed"}) == job


def test_a_record_in_the_wrong_journal_changes_nothing() -> None:
    job = job_of(SPAWNED, STARTED)
    assert fold(job, Journal.TRAINING, exited()[1]).process == ProcessFacts(1, 7, 70.0, 6, 60.0)
    assert fold(job, Journal.SERVER, end("completed")[1]).training == job.training


def metrics(t: float, step: int | None = None, total: int | None = None, **values: float) -> Entry:
    return entry("training", "metrics", t, step=step, total_steps=total, values=values)


def test_odd_metrics_leave_what_was_known() -> None:
    known = job_of(STARTED, metrics(5, 3, 10, loss=0.5))
    odd = fold(known, Journal.TRAINING, entry("training", "metrics", 6, step="x", values={"loss": None, "y": []})[1])
    assert (odd.training.step, odd.training.total_steps, odd.training.latest) == (3, 10, {"loss": 0.5})
    assert fold(known, Journal.TRAINING, entry("training", "metrics", 6, values=[1])[1]).training.latest == {
        "loss": 0.5
    }


def test_progress_is_of_the_steps_and_100_only_when_completed() -> None:
    assert job_of(STARTED, metrics(5, 3)).progress is None
    assert job_of(STARTED, metrics(5, 3, 8)).progress == 37.5
    assert job_of(STARTED, metrics(5, 9, 8)).progress == 100.0
    assert job_of(STARTED, metrics(5, 0, 0)).progress is None
    assert job_of(SPAWNED, STARTED, metrics(5, 3, 8), end("completed"), exited()).progress == 100.0
    assert job_of(SPAWNED, STARTED, metrics(5, 3, 8), end("failed"), exited()).progress == 37.5


def test_numbers_that_lie_aside_are_known_and_move_nothing() -> None:
    aside = entry("training", "metrics", 7, step=90, values={"loss": 0.25}, aside=True)
    training = job_of(STARTING, SPAWNED, STARTED, metrics(5, 3, loss=2.0), aside).training
    assert (training.step, training.stepped_at, training.latest) == (3, 5, {"loss": 0.25})


def test_a_loop_without_a_trainer_can_not_be_told_to_stop() -> None:
    assert job_of(STARTED, entry("training", "segment", step=0, total_steps=9)).training.segments == 1
    loop = job_of(STARTED, entry("training", "segment", step=0, total_steps=9, trainer=False)).training
    assert (loop.segments, loop.total_steps) == (0, 9)


def test_the_remaining_time_is_reckoned_from_this_sessions_steps() -> None:
    resumed = [
        SPAWNED,
        STARTED,
        entry("training", "segment", 10, step=500, total_steps=600, total_epochs=1),
        metrics(100, 501),
        metrics(104, 503),
    ]
    assert job_of(*resumed).step_seconds == 2.0
    assert job_of(*resumed).eta_seconds == 2.0 * 97
    assert job_of(*resumed[:4]).eta_seconds is None, "one step is a warm-up"
    assert job_of(*resumed, end("completed"), exited()).eta_seconds is None
    # What was logged before the trainer began to count is no part of its speed.
    before = [metrics(4, 1), metrics(5, 2)]
    assert job_of(SPAWNED, STARTED, *before, *resumed[2:]).step_seconds == 2.0
    # What is logged of the same step later does not slow it down, and a clock set back is no speed.
    assert job_of(*resumed, metrics(200, 503)).step_seconds == 2.0
    assert job_of(*resumed, metrics(50, 504)).step_seconds is None


def test_the_time_a_job_was_held_is_no_steps_time() -> None:
    held = [
        SPAWNED,
        STARTED,
        entry("training", "segment", 10, step=0, total_steps=100, total_epochs=1),
        *(metrics(11, 1), metrics(12, 2)),
        entry("training", "held", 12, request=1, step=2),
        entry("training", "resumed", 5000, step=2),
    ]
    assert job_of(*held).step_seconds is None
    assert job_of(*held, metrics(5001, 3), metrics(5002, 4)).step_seconds == 1.0


def test_a_new_attempt_keeps_what_was_trained_and_forgets_how_it_ended() -> None:
    first = [
        *(SUBMITTED, STARTING, SPAWNED, STARTED, metrics(5, 7, 10, loss=0.5)),
        entry("training", "checkpoint", 5, step=5, path="checkpoints/checkpoint-5"),
        entry("training", "alert", 6, name="x", message="Look.", step=7),
        *(end("failed", error="no", traceback="..."), exited(1)),
    ]
    before, job = job_of(*first), job_of(*first, *SECOND)
    assert (before.error, before.ended_at) == ("no", 9)
    assert (job.status, job.error, job.ended_at, job.attempt) == (Status.QUEUED, None, None, 2)
    assert (job.progress, job.training.latest, job.training.checkpoint) == (70.0, {"loss": 0.5}, 5)
    assert [alert.message for alert in job.alerts] == ["Look."]
    shown = job_view(job_of(*first, *SECOND, STARTING_AGAIN, SPAWNED_AGAIN, STARTED_AGAIN))
    assert (shown["started_at"], shown["traceback"], shown["exit"]) == ("1970-01-01T00:00:04.000Z", None, None)


@pytest.mark.parametrize(
    ("entries", "error", "hint"),
    [
        ([STARTING, SPAWNED, STARTED, LOST], "vanished without a word", "begins again"),
        (
            [
                *(STARTING, SPAWNED, STARTED, entry("training", "checkpoint", 5, step=50)),
                entry("server", "lost", 9, reason="restarted"),
            ],
            "The machine was restarted while the job ran.",
            "goes on from its checkpoint of step 50",
        ),
        ([STARTING, SPAWNED, STARTED, end("completed"), LOST], "how the process exited is not known", "begins again"),
    ],
)
def test_an_interruption_says_what_is_known_of_it_and_how_to_go_on(entries: list[Entry], error: str, hint: str) -> None:
    job = Job("job_000000000000", {"kind": "finetune"})
    for journal, record in entries:
        job = fold(job, journal, record)
    assert error in (job.error or "")
    assert hint in (job.hint or "")
    assert job_of(*entries).hint is None, "code can't go on"


def test_a_pause_that_the_training_refuses_is_an_alert_that_says_why() -> None:
    (alert,) = job_of(STARTING, SPAWNED, STARTED, metrics(5, 7), PAUSE, NO_PAUSE).alerts
    assert (alert.name, alert.message, alert.step) == ("pause_refused", "the disk is full", 7)


def test_signals_are_named_where_they_have_a_name() -> None:
    assert (signal_name(9), signal_name(999)) == ("SIGKILL", "signal 999")


KEPT = entry("training", "kept", 9, until=3609.0)


@pytest.mark.parametrize("later", [exited(0), exited(None, 9), entry("process", "exited", 20, oom_killed=True), LOST])
@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_job_has_ended_once_its_kernel_is_kept_however_that_goes_later(status: str, later: Entry) -> None:
    life = [STARTING, SPAWNED, STARTED, metrics(5, 7), end(status, error="no weights")]
    assert job_of(*life).status is Status.RUNNING
    job = job_of(*life, KEPT)
    assert (job.status.value, job.ended_at, job.kept_until, job.occupied) == (status, 8, 3609.0, True)
    assert job.running is False
    assert message(job, 9.0)["complete"] is True
    assert job_view(job)["kept"] == {"until": "1970-01-01T01:00:09.000Z", "memory_gb": None}
    gone = job_of(*life, KEPT, CANCEL, later)
    assert (gone.status.value, gone.ended_at, gone.kept_until, gone.occupied) == (status, 8, None, False)
    assert (gone.error, gone.hint) == (job.error, job.hint) == (None if status == "completed" else "no weights", None)
    assert job_view(gone)["kept"] is None
    again = job_of(*life, KEPT, later, *SECOND)
    assert (again.status, again.kept_until) == (Status.QUEUED, None)


@pytest.mark.parametrize("ended", [[], [end("cancelled")], [end("released")]])
def test_no_kernel_is_kept_of_work_that_did_not_end_by_itself(ended: list[Entry]) -> None:
    job = job_of(STARTING, SPAWNED, STARTED, *ended, KEPT)
    assert (job.status, job.kept_until, job.occupied) == (Status.RUNNING, None, True)
