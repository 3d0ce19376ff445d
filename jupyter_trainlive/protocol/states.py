"""The life of a job as a fold over its three journals.

Each journal is folded into facts of its own, and everything else (the status above all) is computed
from those facts. So it does not matter how the three are interleaved, or how often reading is resumed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from .journal import Record
from .values import finite, number, whole


class Status(str, Enum):
    """What a job is doing, in the words of the contract."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        return self in _ENDS


#: How the error of a cancelled job names the force that was needed.
_FORCE = {
    "interrupt": " (by an interrupt)",
    "terminate": " (it had to be terminated)",
    "kill": " (it had to be killed)",
}

_ENDS = frozenset((Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED))


class Journal(str, Enum):
    """The three journals of a job, by who writes them."""

    SERVER = "server"
    PROCESS = "process"
    TRAINING = "training"


@dataclass(frozen=True)
class ServerFacts:
    """What the server did, from server.jsonl; times are Unix seconds."""

    submitted_at: float | None = None
    starting_at: float | None = None
    cancel_requested_at: float | None = None
    escalation: str | None = None
    ended_at: float | None = None
    start_error: str | None = None
    start_failed: bool = False
    lost: bool = False


@dataclass(frozen=True)
class ProcessFacts:
    """What became of the process, from process.jsonl."""

    pid: int | None = None
    start_time: float | None = None
    shim_pid: int | None = None
    shim_start_time: float | None = None
    exited_at: float | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    peak_memory_gb: float | None = None


@dataclass(frozen=True)
class TrainingFacts:
    """What the training reported, from training.jsonl."""

    started_at: float | None = None
    phase: str | None = None
    #: How many trainers have begun; each reads the flag that asks it to stop.
    segments: int = 0
    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    total_epochs: float | None = None
    latest: dict[str, float] = field(default_factory=dict)
    #: Time and step from which this session's speed is reckoned.
    anchor: tuple[float, int] | None = None
    #: Time of the last record that moved the step.
    stepped_at: float | None = None
    ended_at: float | None = None
    end: str | None = None
    error: str | None = None
    hint: str | None = None
    traceback: str | None = None
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One job: what was asked for, and the facts of its three journals."""

    job_id: str
    spec: dict[str, Any] = field(default_factory=dict)
    server: ServerFacts = ServerFacts()
    process: ProcessFacts = ProcessFacts()
    training: TrainingFacts = TrainingFacts()

    @property
    def status(self) -> Status:
        server, process, training = self.server, self.process, self.training
        cancelled = server.cancel_requested_at is not None
        if process.exited_at is not None:
            clean = process.exit_code == 0 and process.exit_signal is None
            if training.end == "completed" and clean:
                return Status.COMPLETED
            if training.end == "cancelled" or cancelled:
                return Status.CANCELLED
            return Status.FAILED
        if server.start_failed:
            return Status.CANCELLED if cancelled else Status.FAILED
        if server.lost and not cancelled:
            # How the process ended nobody knows, but a failure that was reported is one.
            return Status.FAILED if training.end == "failed" else Status.INTERRUPTED
        if server.lost:
            return Status.CANCELLED
        if cancelled:
            return Status.CANCELLING
        if training.started_at is not None:
            return Status.RUNNING
        if server.starting_at is not None or process.pid is not None:
            return Status.STARTING
        return Status.QUEUED

    @property
    def ended_at(self) -> float | None:
        return self.process.exited_at if self.process.exited_at is not None else self.server.ended_at

    @property
    def progress(self) -> float | None:
        """Percent of the steps done, 0 to 100; None while it isn't known how many there are."""
        if self.status is Status.COMPLETED:
            return 100.0
        training = self.training
        if training.step is None or not training.total_steps:
            return None
        return round(min(100.0, 100.0 * training.step / training.total_steps), 2)

    @property
    def step_seconds(self) -> float | None:
        """Mean seconds a step in this session, its first recorded step left out as a warm-up."""
        training = self.training
        if training.anchor is None or training.stepped_at is None or training.step is None:
            return None
        since, step = training.anchor
        done = training.step - step
        return (training.stepped_at - since) / done if done > 0 and training.stepped_at > since else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last step at this session's speed; None when not running or not known."""
        training, speed = self.training, self.step_seconds
        if self.status is not Status.RUNNING or speed is None or training.total_steps is None:
            return None
        return round(max(0, training.total_steps - (training.step or 0)) * speed, 1)

    @property
    def error(self) -> str | None:
        """In one line, why the job did not complete; None where it did or has not ended."""
        status = self.status
        if status is Status.CANCELLED:
            return "Cancelled" + _FORCE.get(self.server.escalation or "", "")
        if status is Status.INTERRUPTED:
            return "The training process vanished without a word; the machine may have been restarted."
        if status is not Status.FAILED:
            return None
        return self.training.error or self.server.start_error or self._exit_error()

    def _exit_error(self) -> str:
        process = self.process
        end = "before the training reported its end"
        if self.training.end == "completed":
            end = "after the training had completed"
        elif self.training.started_at is None:
            end = "before it began its work; its output may say why"
        if process.exit_signal is not None:
            return f"The training process was killed by {signal_name(process.exit_signal)} {end}."
        return f"The training process exited with status {process.exit_code} {end}."


def signal_name(number: int) -> str:
    """SIGKILL for 9; the bare number where it has no name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def fold(job: Job, journal: Journal, record: Record) -> Job:
    """The job after one more record of one journal; unknown kinds and odd values change nothing."""
    if journal is Journal.TRAINING:
        return replace(job, training=_training(job.training, record))
    if journal is Journal.PROCESS:
        return replace(job, process=_process(job.process, record))
    return replace(job, server=_server(job.server, record))


def _server(facts: ServerFacts, record: Record) -> ServerFacts:
    kind, t = record["kind"], float(record["t"])
    if kind == "submitted":
        return replace(facts, submitted_at=t)
    if kind == "starting":
        return replace(facts, starting_at=t)
    if kind == "cancel_requested":
        return replace(facts, cancel_requested_at=facts.cancel_requested_at or t)
    if kind == "escalated":
        return replace(facts, escalation=_text(record.get("to")))
    if kind == "start_timed_out":
        return replace(facts, start_error=_text(record.get("error")))
    if kind == "start_failed":
        error = _text(record.get("error")) or "The job could not start."
        return replace(facts, start_error=error, start_failed=True, ended_at=t)
    if kind == "lost":
        return replace(facts, lost=True, ended_at=t)
    return facts


def _process(facts: ProcessFacts, record: Record) -> ProcessFacts:
    kind = record["kind"]
    if kind == "spawned":
        return replace(
            facts,
            pid=whole(record.get("pid")),
            start_time=finite(record.get("start_time")),
            shim_pid=whole(record.get("shim_pid")),
            shim_start_time=finite(record.get("shim_start_time")),
        )
    if kind == "exited":
        return replace(
            facts,
            exited_at=float(record["t"]),
            exit_code=whole(record.get("code")),
            exit_signal=whole(record.get("signal")),
            peak_memory_gb=finite(record.get("peak_memory_gb")),
        )
    return facts


def _training(facts: TrainingFacts, record: Record) -> TrainingFacts:
    kind, t = record["kind"], float(record["t"])
    if kind == "metrics":
        return _metrics(facts, record, t)
    if kind == "segment":
        return replace(
            facts,
            total_steps=whole(record.get("total_steps")),
            total_epochs=finite(record.get("total_epochs")),
            step=whole(record.get("step")) or 0,
            segments=facts.segments + 1,
            anchor=None,
            stepped_at=None,
        )
    if kind == "phase":
        return replace(facts, phase=_text(record.get("name")))
    if kind == "start":
        return replace(facts, started_at=t)
    if kind == "artifact":
        name = _text(record.get("path"))
        return replace(facts, artifacts=(*facts.artifacts, name)) if name else facts
    if kind == "end":
        return replace(
            facts,
            ended_at=t,
            end=_text(record.get("status")),
            error=_text(record.get("error")),
            hint=_text(record.get("hint")),
            traceback=_text(record.get("traceback")),
        )
    return facts


def _metrics(facts: TrainingFacts, record: Record, t: float) -> TrainingFacts:
    step = whole(record.get("step"))
    epoch = finite(record.get("epoch"))
    total = whole(record.get("total_steps"))
    latest = facts.latest
    values = record.get("values")
    if isinstance(values, dict) and values:
        latest = {**latest, **{name: value for name, item in values.items() if (value := number(item)) is not None}}
    moved = step is not None and step != facts.step
    return replace(
        facts,
        latest=latest,
        step=step if step is not None else facts.step,
        epoch=epoch if epoch is not None else facts.epoch,
        total_steps=total if total is not None else facts.total_steps,
        stepped_at=t if moved else facts.stepped_at,
        anchor=(t, step) if facts.anchor is None and moved and step is not None else facts.anchor,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
