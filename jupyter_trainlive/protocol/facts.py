"""What each of a job's three journals says, folded record by record into facts of its own.

A job has attempts, numbered from 1: a new one begins when it is resumed after it left or ended. A record may
bear its attempt; the records behind it in the same journal belong to it too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

from .journal import Record
from .marks import Mark, with_mark
from .spark import Spark
from .values import finite, number, whole

AnyFacts = TypeVar("AnyFacts", "ServerFacts", "ProcessFacts", "TrainingFacts")

#: Those of a training's numbers that messages tell by name; all others are points of their series and no more.
TOLD = frozenset(
    (
        "loss",
        "eval_loss",
        "learning_rate",
        "grad_norm",
        "samples_per_second",
        "step_time_seconds",
        "gpu_memory_allocated_gb",
    )
)
#: Of a job's alerts so many are kept at hand, the latest ones; all of them stay in its journals.
ALERTS_KEPT = 20
#: More attempts than this are no number of ours.
_MOST_ATTEMPTS = 1_000_000


@dataclass(frozen=True)
class Alert:
    """Something about a training that its user should know; `t` in Unix seconds."""

    name: str
    message: str
    step: int | None
    t: float


@dataclass(frozen=True)
class ServerFacts:
    """What the server did, from server.jsonl; times are Unix seconds."""

    attempt: int = 1
    submitted_at: float | None = None
    #: How many pauses were asked for in the job's life; answers name the one they answer.
    pause_request: int = 0
    #: How often the server by itself had the job go on after an interruption.
    auto_resumes: int = 0
    alerts: tuple[Alert, ...] = ()
    # From here on of this attempt alone.
    queued_at: float | None = None
    gpus: tuple[str, ...] = ()
    starting_at: float | None = None
    #: The pause that is wanted: ``hold`` or ``release``.
    pause: str | None = None
    cancel_requested_at: float | None = None
    #: When somebody asked a kept kernel to end before its time.
    end_kernel_requested_at: float | None = None
    escalation: str | None = None
    ended_at: float | None = None
    start_error: str | None = None
    start_hint: str | None = None
    start_failed: bool = False
    lost: bool = False
    lost_reason: str | None = None


@dataclass(frozen=True)
class ProcessFacts:
    """What became of the latest attempt's process, from process.jsonl."""

    attempt: int = 1
    pid: int | None = None
    start_time: float | None = None
    shim_pid: int | None = None
    shim_start_time: float | None = None
    boot_id: str | None = None
    #: The machine or container whose pids these are, where the process itself has said so.
    host: str | None = None
    exited_at: float | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    peak_memory_gb: float | None = None
    oom_killed: bool = False
    output: str | None = None


@dataclass(frozen=True)
class TrainingFacts:
    """What the training reported, from training.jsonl."""

    attempt: int = 1
    first_started_at: float | None = None
    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    total_epochs: float | None = None
    #: The newest of each number that is told.
    latest: dict[str, float] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    #: Step of the last complete checkpoint.
    checkpoint: int | None = None
    marks: tuple[Mark, ...] = ()
    #: The shape of the loss.
    spark: Spark = field(default_factory=Spark)
    #: The mark to make where this attempt, which is not the first, begins to train.
    goes_on: str | None = None
    # From here on of this attempt alone.
    started_at: float | None = None
    phase: str | None = None
    #: How many trainers have begun; each reads the wish between its steps.
    segments: int = 0
    #: The pause request that the training is being held by.
    held: int | None = None
    #: The last pause request that the training could not grant; an alert says why.
    refused: int | None = None
    #: Time and step from which this session's speed is reckoned.
    anchor: tuple[float, int] | None = None
    #: Time of the last record that moved the step.
    stepped_at: float | None = None
    ended_at: float | None = None
    end: str | None = None
    error: str | None = None
    hint: str | None = None
    traceback: str | None = None
    #: Until when the kernel is kept for inspection, in Unix seconds, where the work has ended and it is.
    kept_until: float | None = None


def _with(facts: AnyFacts, **changes: Any) -> AnyFacts:
    """The facts with some of them changed: `dataclasses.replace` for every record of a long journal, so quicker."""
    changed = object.__new__(type(facts))
    changed.__dict__.update(facts.__dict__)
    changed.__dict__.update(changes)
    return changed


def attempt_of(record: Record, current: int) -> int:
    """The attempt that a record begins, or `current` where it begins none."""
    attempt = whole(record.get("attempt"))
    return attempt if attempt is not None and current < attempt <= _MOST_ATTEMPTS else current


def fold_server(facts: ServerFacts, record: Record) -> ServerFacts:
    """The server's facts after one more record; unknown kinds and odd values change nothing."""
    kind, t = record["kind"], float(record["t"])
    if (attempt := attempt_of(record, facts.attempt)) > facts.attempt:
        facts = ServerFacts(attempt, facts.submitted_at, facts.pause_request, facts.auto_resumes, facts.alerts)
    if kind == "submitted":
        return _with(facts, submitted_at=t)
    if kind == "queued":
        return _with(facts, queued_at=t)
    if kind == "leased":
        return _with(facts, gpus=_texts(record.get("gpus")))
    if kind == "starting":
        return _with(facts, starting_at=t)
    if kind == "unleased":
        # The GPUs were taken by somebody else in the meantime: it waits again.
        return _with(facts, gpus=(), starting_at=None)
    if kind == "pause_requested":
        request = whole(record.get("request")) or 0
        pause = "release" if record.get("release") is True else "hold"
        return _with(facts, pause=pause, pause_request=max(facts.pause_request, request))
    if kind == "resume_requested":
        return _with(facts, pause=None, auto_resumes=facts.auto_resumes + (record.get("by") == "auto_resume"))
    if kind == "cancel_requested":
        return _with(facts, cancel_requested_at=t if facts.cancel_requested_at is None else facts.cancel_requested_at)
    if kind == "end_kernel_requested":
        return _with(facts, end_kernel_requested_at=t)
    if kind == "escalated":
        return _with(facts, escalation=_text(record.get("to")))
    if kind == "alert":
        return _with(facts, alerts=_with_alert(facts.alerts, record, t))
    return _not_started(facts, record, kind, t)


def _not_started(facts: ServerFacts, record: Record, kind: str, t: float) -> ServerFacts:
    error, hint = _text(record.get("error")), _text(record.get("hint"))
    if kind == "start_timed_out":
        return _with(facts, start_error=error, start_hint=hint)
    if kind == "start_failed":
        error = error or "The job could not start."
        return _with(facts, start_error=error, start_hint=hint, start_failed=True, ended_at=t)
    if kind == "lost":
        return _with(facts, lost=True, lost_reason=_text(record.get("reason")), ended_at=t)
    return facts


def fold_process(facts: ProcessFacts, record: Record) -> ProcessFacts:
    """The process's facts after one more record."""
    kind = record["kind"]
    if (attempt := attempt_of(record, facts.attempt)) > facts.attempt:
        facts = ProcessFacts(attempt)
    if kind == "spawned":
        return _with(
            facts,
            pid=whole(record.get("pid")),
            start_time=finite(record.get("start_time")),
            shim_pid=whole(record.get("shim_pid")),
            shim_start_time=finite(record.get("shim_start_time")),
            boot_id=_text(record.get("boot_id")),
            host=_text(record.get("host")),
        )
    if kind == "exited":
        return _with(
            facts,
            exited_at=float(record["t"]),
            exit_code=whole(record.get("code")),
            exit_signal=whole(record.get("signal")),
            peak_memory_gb=finite(record.get("peak_memory_gb")),
            oom_killed=record.get("oom_killed") is True,
            output=_text(record.get("output")),
        )
    return facts


def fold_training(facts: TrainingFacts, record: Record) -> TrainingFacts:
    """The training's facts after one more record."""
    kind, t = record["kind"], float(record["t"])
    if (attempt := attempt_of(record, facts.attempt)) > facts.attempt:
        facts = _next_attempt(facts, attempt)
    if kind == "metrics":
        return _metrics(facts, (record,))
    if kind == "segment":
        if facts.goes_on is not None:
            marks = with_mark(facts.marks, facts.goes_on, whole(record.get("step")) or 0, t)
            facts = _with(facts, marks=marks, goes_on=None)
        return _with(
            facts,
            total_steps=whole(record.get("total_steps")),
            total_epochs=finite(record.get("total_epochs")),
            step=whole(record.get("step")) or 0,
            segments=facts.segments + (record.get("trainer") is not False),
            anchor=None,
            stepped_at=None,
        )
    if kind == "phase":
        return _with(facts, phase=_text(record.get("name")))
    if kind == "start":
        first = t if facts.first_started_at is None else facts.first_started_at
        return _with(facts, started_at=t, first_started_at=first)
    if kind == "checkpoint":
        step = whole(record.get("step"))
        return _with(facts, checkpoint=step, marks=with_mark(facts.marks, kind, step, t))
    if kind == "held":
        # It is held behind a step whose numbers are not logged yet.
        step = whole(record.get("step"))
        step = facts.step if step is None else step
        marks = with_mark(facts.marks, "paused", step, t)
        return _with(facts, held=whole(record.get("request")), step=step, marks=marks)
    if kind == "resumed":
        # The time it was held is no step's time.
        marks = with_mark(facts.marks, kind, facts.step, t)
        return _with(facts, held=None, anchor=None, stepped_at=None, marks=marks)
    if kind == "pause_refused":
        # Who asked for it sees why nothing came of it.
        told = {"name": kind, "message": record.get("error"), "step": facts.step}
        alerts = _with_alert(facts.alerts, told, t)
        return _with(facts, refused=whole(record.get("request")), alerts=alerts)
    if kind == "alert":
        return _with(facts, alerts=_with_alert(facts.alerts, record, t))
    if kind == "artifact":
        name = _text(record.get("path"))
        return _with(facts, artifacts=(*facts.artifacts, name)) if name and name not in facts.artifacts else facts
    if kind == "end":
        status = _text(record.get("status"))
        if status == "released":
            facts = _with(facts, marks=with_mark(facts.marks, "paused", facts.checkpoint, t))
        return _with(
            facts,
            held=None,
            ended_at=t,
            end=status,
            error=_text(record.get("error")),
            hint=_text(record.get("hint")),
            traceback=_text(record.get("traceback")),
        )
    if kind == "kept":
        return _with(facts, kept_until=finite(record.get("until")))
    return facts


def fold_training_all(facts: TrainingFacts, records: Iterable[Record]) -> TrainingFacts:
    """The training's facts after more records: what `fold_training` makes of them, but quicker with many numbers."""
    for are_numbers, run in groupby(records, key=_numbers_alone):
        facts = (_metrics if are_numbers else _one_by_one)(facts, run)
    return facts


def _numbers_alone(record: Record) -> bool:
    return record["kind"] == "metrics" and "attempt" not in record


def _one_by_one(facts: TrainingFacts, records: Iterable[Record]) -> TrainingFacts:
    return functools.reduce(fold_training, records, facts)


def _next_attempt(facts: TrainingFacts, attempt: int) -> TrainingFacts:
    return TrainingFacts(
        attempt=attempt,
        first_started_at=facts.first_started_at,
        step=facts.step,
        total_steps=facts.total_steps,
        epoch=facts.epoch,
        total_epochs=facts.total_epochs,
        latest=facts.latest,
        artifacts=facts.artifacts,
        alerts=facts.alerts,
        checkpoint=facts.checkpoint,
        marks=facts.marks,
        spark=facts.spark,
        goes_on="resumed" if facts.end == "released" else "restarted",
    )


def _metrics(facts: TrainingFacts, records: Iterable[Record]) -> TrainingFacts:
    """The facts after more numbers, none of which begins an attempt: there may be many thousands a second."""
    latest, step, epoch, total = dict(facts.latest), facts.step, facts.epoch, facts.total_steps
    stepped_at, anchor, losses = facts.stepped_at, facts.anchor, list[float]()
    for record in records:
        values = record.get("values")
        if isinstance(values, dict):
            for name in TOLD & values.keys():
                if (value := number(values[name])) is not None:
                    latest[name] = value
                    if name == "loss":
                        losses.append(value)
        at = whole(record.get("step"))
        if at is not None and at != step and "aside" not in record:
            step, stepped_at = at, float(record["t"])
            if anchor is None:
                anchor = (stepped_at, at)
        if "epoch" in record and (known := finite(record["epoch"])) is not None:
            epoch = known
        if "total_steps" in record and (most := whole(record["total_steps"])) is not None:
            total = most
    spark = facts.spark.extended(losses) if losses else facts.spark
    moved = {"step": step, "stepped_at": stepped_at, "anchor": anchor}
    return _with(facts, latest=latest, epoch=epoch, total_steps=total, spark=spark, **moved)


def _with_alert(alerts: tuple[Alert, ...], record: Record, t: float) -> tuple[Alert, ...]:
    name, message = _text(record.get("name")), _text(record.get("message"))
    if not name or not message:
        return alerts
    return (*alerts, Alert(name, message, whole(record.get("step")), t))[-ALERTS_KEPT:]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(values: object) -> tuple[str, ...]:
    items: Iterable[Any] = values if isinstance(values, list) else ()
    return tuple(item for item in items if isinstance(item, str))
