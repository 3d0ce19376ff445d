"""The plain dialect: the progress message of an active job and the closing message of an ended one.

Every key is always there; what is not known is null; a loss that is no number is null as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .moves import allowed
from .states import Job, Status
from .values import finite, iso

Message = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A queued job's place, 1 for the next to start, and what it waits for, in words."""

    position: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {"position": self.position, "reason": self.reason}


def progress_message(
    job: Job, now: float, *, gpu_utilization_percent: float | None = None, place: Place | None = None
) -> Message:
    """Where an active job is, at `now` (Unix seconds)."""
    training = job.training
    latest = training.latest
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "progress": job.progress,
        "current_epoch": training.epoch,
        "total_epochs": training.total_epochs,
        "current_step": training.step,
        "total_steps": training.total_steps,
        "loss": finite(latest.get("loss")),
        "eval_loss": finite(latest.get("eval_loss")),
        "samples_per_second": finite(latest.get("samples_per_second")),
        "gpu_memory_allocated_gb": finite(latest.get("gpu_memory_allocated_gb")),
        "gpu_utilization_percent": gpu_utilization_percent,
        "eta_seconds": job.eta_seconds,
        "queue": None if place is None else place.as_dict(),
        "timestamp": iso(now),
        "complete": False,
    }


def closing_message(job: Job, now: float) -> Message:
    """How a job ended: a completion, or else a failure with its reason."""
    if job.status is Status.COMPLETED:
        latest = job.training.latest
        return {
            "job_id": job.job_id,
            "status": job.status.value,
            "progress": 100.0,
            "final_loss": finite(latest.get("loss")),
            "eval_loss": finite(latest.get("eval_loss")),
            "complete": True,
            "completed_at": iso(job.ended_at),
            "error": None,
            "timestamp": iso(now),
        }
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "error": job.error,
        "hint": job.hint,
        "complete": True,
        "timestamp": iso(now),
    }


def message(
    job: Job, now: float, *, gpu_utilization_percent: float | None = None, place: Place | None = None
) -> Message:
    """The message that is true of the job at `now`."""
    if job.status.ended:
        return closing_message(job, now)
    return progress_message(job, now, gpu_utilization_percent=gpu_utilization_percent, place=place)


def job_view(job: Job, place: Place | None = None) -> dict[str, Any]:
    """The job as REST and the ``trainlive.v1`` dialect show it; `place` is its place in the queue.

    The values of the environment variables it was given are left out: they may be secrets.
    """
    now = job.now
    training, process = now.training, now.process
    latest = job.training.latest
    spec = dict(job.spec)
    if isinstance(spec.get("env"), dict):
        spec["env"] = sorted(spec["env"])
    return {
        "job_id": job.job_id,
        "name": spec.get("name"),
        "kind": spec.get("kind"),
        "status": job.status.value,
        "phase": training.phase if job.running else None,
        "actions": allowed(job),
        "attempt": job.attempt,
        "pause": "release" if job.released else now.server.pause,
        "queue": None if place is None else place.as_dict(),
        "gpus": list(now.server.gpus),
        "progress": job.progress,
        "current_epoch": job.training.epoch,
        "total_epochs": job.training.total_epochs,
        "current_step": job.training.step,
        "total_steps": job.training.total_steps,
        "loss": finite(latest.get("loss")),
        "eval_loss": finite(latest.get("eval_loss")),
        "final_loss": finite(latest.get("loss")) if job.status is Status.COMPLETED else None,
        "learning_rate": finite(latest.get("learning_rate")),
        "grad_norm": finite(latest.get("grad_norm")),
        "samples_per_second": finite(latest.get("samples_per_second")),
        "step_time_seconds": finite(latest.get("step_time_seconds")),
        "gpu_memory_allocated_gb": finite(latest.get("gpu_memory_allocated_gb")),
        "eta_seconds": job.eta_seconds,
        "submitted_at": iso(job.server.submitted_at),
        "started_at": iso(job.training.first_started_at),
        "ended_at": iso(job.ended_at),
        "kept": None if job.kept_until is None else {"until": iso(job.kept_until), "memory_gb": None},
        "error": job.error,
        "hint": job.hint,
        "traceback": training.traceback,
        "cancelled_by": job.cancelled_by,
        "alerts": [
            {"name": alert.name, "message": alert.message, "step": alert.step, "time": iso(alert.t)}
            for alert in job.alerts
        ],
        "marks": [mark.shown for mark in job.training.marks],
        "checkpoint_step": job.training.checkpoint,
        "exit": None
        if process.exited_at is None
        else {
            "code": process.exit_code,
            "signal": process.exit_signal,
            "peak_memory_gb": process.peak_memory_gb,
            "oom_killed": process.oom_killed,
            "output": process.output,
        },
        "artifacts": list(job.training.artifacts),
        "spec": spec,
    }
