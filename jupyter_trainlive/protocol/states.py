"""The life of a job as a fold over its three journals.

Each journal is folded into facts of its own, and everything else (the status above all) is computed
from those facts. So it does not matter how the three are interleaved, or how often reading is resumed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from .exits import explain_exit
from .facts import (
    Alert,
    ProcessFacts,
    ServerFacts,
    TrainingFacts,
    fold_process,
    fold_server,
    fold_training_all,
)
from .journal import Record


class Status(str, Enum):
    """What a job is doing, in the words of the contract."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
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

#: The ends of work after which a kernel may be kept; then they are known before the process is gone.
_KEPT_ENDS = {"completed": Status.COMPLETED, "failed": Status.FAILED}


class Journal(str, Enum):
    """The three journals of a job, by who writes them."""

    SERVER = "server"
    PROCESS = "process"
    TRAINING = "training"


@dataclass(frozen=True)
class Job:
    """One job: what was asked for, and the facts of its three journals."""

    job_id: str
    spec: dict[str, Any] = field(default_factory=dict)
    server: ServerFacts = field(default_factory=ServerFacts)
    process: ProcessFacts = field(default_factory=ProcessFacts)
    training: TrainingFacts = field(default_factory=TrainingFacts)

    @property
    def attempt(self) -> int:
        """The latest attempt that any journal knows of; facts of earlier ones say nothing of the status."""
        return max(self.server.attempt, self.process.attempt, self.training.attempt)

    @property
    def now(self) -> Job:
        """The job with the facts of its latest attempt alone."""
        attempt = self.attempt
        if self.server.attempt == self.process.attempt == self.training.attempt:
            return self
        return replace(
            self,
            server=self.server if self.server.attempt == attempt else ServerFacts(attempt),
            process=self.process if self.process.attempt == attempt else ProcessFacts(attempt),
            training=self.training if self.training.attempt == attempt else TrainingFacts(attempt),
        )

    @property
    def begun(self) -> bool:
        """Whether the latest attempt was more than waited for: its processes may be there."""
        job = self.now
        return job.server.starting_at is not None or job.process.pid is not None or job.training.started_at is not None

    @property
    def status(self) -> Status:
        job = self.now
        server, process, training = job.server, job.process, job.training
        cancelled = server.cancel_requested_at is not None
        if job._ended_and_kept is not None:
            # How its kernel goes later, and when, is no matter of the work any more.
            return job._ended_and_kept
        if process.exited_at is not None:
            return job._status_after_exit(cancelled)
        if server.start_failed:
            return Status.CANCELLED if cancelled else Status.FAILED
        if server.lost and not cancelled:
            # How the process ended nobody knows, but a failure that was reported is one.
            return Status.FAILED if training.end == "failed" else Status.INTERRUPTED
        if server.lost:
            return Status.CANCELLED
        if cancelled:
            return Status.CANCELLING if self.begun else Status.CANCELLED
        if server.pause is not None and training.refused != server.pause_request:
            held = server.pause == "hold" and training.held == server.pause_request
            return Status.PAUSED if held or not self.begun else Status.PAUSING
        if training.started_at is not None:
            return Status.RUNNING
        return Status.STARTING if self.begun else Status.QUEUED

    def _status_after_exit(self, cancelled: bool) -> Status:
        clean = self.process.exit_code == 0 and self.process.exit_signal is None
        if self.training.end == "completed" and clean:
            return Status.COMPLETED
        if self.training.end == "cancelled" or cancelled:
            return Status.CANCELLED
        return Status.PAUSED if self.training.end == "released" and clean else Status.FAILED

    @property
    def released(self) -> bool:
        """Whether the latest attempt has left after a checkpoint, to go on in another one."""
        return self.status is Status.PAUSED and self.now.training.end == "released"

    @property
    def running(self) -> bool:
        """Whether processes of the job are there, or are about to be: it keeps its GPUs."""
        return not self.status.ended and self.begun and not self.released

    @property
    def _ended_and_kept(self) -> Status | None:
        """How the work of this attempt ended, where its kernel was kept after that; it may be gone by now."""
        training = self.training
        return None if training.kept_until is None else _KEPT_ENDS.get(training.end or "")

    @property
    def kept_until(self) -> float | None:
        """Unix seconds until which the kernel of the ended job is kept at most; None where none is there (any more)."""
        job = self.now
        gone = job._ended_and_kept is None or job.process.exited_at is not None or job.server.lost
        return None if gone else job.training.kept_until

    @property
    def occupied(self) -> bool:
        """Whether processes of the job hold memory and its GPUs: it runs, or its kernel is kept."""
        return self.running or self.kept_until is not None

    @property
    def restartable(self) -> bool:
        """Whether its work can go on in another process from a checkpoint: the recipe's can."""
        return self.spec.get("kind") == "finetune"

    @property
    def tracked(self) -> bool:
        """Whether it is a process of the user's own that records itself: nobody started it, or may end it."""
        return self.spec.get("kind") == "track"

    @property
    def ended_at(self) -> float | None:
        """Unix seconds at which it ended; None while it has not."""
        if not self.status.ended:
            return None
        job = self.now
        if job._ended_and_kept is not None:
            return job.training.ended_at
        server, exited = job.server, job.process.exited_at
        # What waited, or had left, was over when it was told so.
        waited = server.ended_at is None and (exited is None or job.training.end == "released")
        if job.status is Status.CANCELLED and waited and server.cancel_requested_at is not None:
            return server.cancel_requested_at
        return exited if exited is not None else server.ended_at

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
    def alerts(self) -> list[Alert]:
        """The latest alerts of the server and of the training, in the order of their times."""
        return sorted((*self.server.alerts, *self.training.alerts), key=lambda alert: alert.t)

    @property
    def cancelled_by(self) -> str | None:
        """What it took to cancel the job: ``flag``, ``interrupt``, ``terminate`` or ``kill``; None where it waited."""
        job = self.now
        if self.status is not Status.CANCELLED or not self.begun:
            return None
        return job.server.escalation if job.server.escalation in _FORCE else "flag"

    @property
    def error(self) -> str | None:
        """In one line, why the job did not complete; None where it did or has not ended."""
        return self._explanation[0]

    @property
    def hint(self) -> str | None:
        """What its user can do about that, where it is known."""
        hint = self._explanation[1]
        if self.status is Status.FAILED and self.restartable and self.training.checkpoint is not None:
            return " ".join(filter(None, (hint, self._way_on())))
        return hint

    @property
    def _explanation(self) -> tuple[str | None, str | None]:
        status, job = self.status, self.now
        if status is Status.CANCELLED:
            return "Cancelled" + _FORCE.get(job.server.escalation or "", ""), None
        if status is Status.INTERRUPTED:
            return job._interruption(), self._way_on()
        if status is not Status.FAILED:
            return None, None
        server, process, training = job.server, job.process, job.training
        exit_error, exit_hint = explain_exit(
            code=process.exit_code,
            signal=process.exit_signal,
            oom_killed=process.oom_killed,
            began=training.started_at is not None,
            completed=training.end == "completed",
            output=process.output,
        )
        if job._ended_and_kept is not None:
            return training.error or "The training failed, without a word why.", training.hint
        if training.error:
            return training.error, training.hint or (exit_hint if process.oom_killed else None)
        if server.start_error:
            return server.start_error, server.start_hint
        return exit_error, exit_hint

    def _interruption(self) -> str:
        if self.server.lost_reason == "restarted":
            return "The machine was restarted while the job ran."
        if self.training.end == "completed":
            return (
                "The training reported its completion, but its supervisor was killed, so how the process exited is "
                "not known."
            )
        return "The training process vanished without a word; the machine may have been restarted."

    def _way_on(self) -> str | None:
        if not self.restartable:
            return None
        at = self.training.checkpoint
        return "Resume it, and it " + ("begins again." if at is None else f"goes on from its checkpoint of step {at}.")


def fold(job: Job, journal: Journal, record: Record) -> Job:
    """The job after one more record of one journal; unknown kinds and odd values change nothing."""
    return fold_all(job, journal, (record,))


def fold_all(job: Job, journal: Journal, records: Iterable[Record]) -> Job:
    """The job after more records of one journal, in their order."""
    if journal is Journal.TRAINING:
        return replace(job, training=fold_training_all(job.training, records))
    if journal is Journal.PROCESS:
        return replace(job, process=functools.reduce(fold_process, records, job.process))
    return replace(job, server=functools.reduce(fold_server, records, job.server))
