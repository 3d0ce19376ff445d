"""What may be asked of a job in which state: one table, and the sentence that refuses anything else."""

from __future__ import annotations

from enum import Enum

from .states import Job, Status
from .values import clock


class Action(str, Enum):
    """What a person can ask of a job."""

    #: Wait at the next step boundary, keeping process and GPU; in the queue: do not start.
    PAUSE = "pause"
    #: Write a checkpoint, leave, and free the GPU.
    RELEASE = "release"
    RESUME = "resume"
    CANCEL = "cancel"
    DELETE = "delete"
    #: End the kernel that is kept after the end of the work.
    END_KERNEL = "end_kernel"


#: Every legal move: the states in which an action may be asked for.
MOVES: dict[Action, frozenset[Status]] = {
    Action.PAUSE: frozenset((Status.QUEUED, Status.STARTING, Status.RUNNING)),
    # Also of a job that is held, or about to be: then its GPU is freed after all.
    Action.RELEASE: frozenset((Status.STARTING, Status.RUNNING, Status.PAUSING, Status.PAUSED)),
    # Also of a pause that is still on its way, and of a job that ended before its work was done.
    Action.RESUME: frozenset(
        (Status.PAUSING, Status.PAUSED, Status.INTERRUPTED, Status.FAILED, Status.CANCELLED),
    ),
    # Asking again while it is being cancelled is no error, and changes nothing.
    Action.CANCEL: frozenset(
        (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.PAUSING, Status.PAUSED, Status.CANCELLING)
    ),
    Action.DELETE: frozenset((Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)),
    # Asking again is no error, and changes nothing.
    Action.END_KERNEL: frozenset((Status.COMPLETED, Status.FAILED)),
}

_NO_CHECKPOINT = (
    "The job can't free its GPU: a job of kind {kind} has no checkpoint to go on from; hold it instead, or cancel it."
)
_KEPT = (
    "The job has ended ({status}), and its kernel is kept until {until} and holds its memory: end the kernel first, "
    "then {action} the job."
)
_TRACKED = (
    "The job can't free its GPU: it is the training of a process of its own, which nobody starts again; hold it "
    "instead, or cancel it."
)
_TRACKED_HAS_ENDED = (
    "The job has ended ({status}) and can't go on from here: it was a process of its own; run its code again instead."
)
_NO_WAY_BACK = (
    "The job has ended ({status}) and can't go on: a job of kind {kind} has no checkpoint; submit it again instead."
)


def refusal(job: Job, action: Action) -> str | None:
    """Why the state of the job does not allow the action, in a sentence; None where it does."""
    status = job.status
    kind = job.spec.get("kind")
    if status not in MOVES[action]:
        return _sentence(status, action)
    if action is Action.RELEASE:
        if job.begun and not job.restartable:
            return _TRACKED if job.tracked else _NO_CHECKPOINT.format(kind=kind)
        if job.now.server.pause == "release" or job.released:
            return f"The job is {status.value} already, and its GPU is free or about to be."
        if not job.begun:
            return "The job is paused in the queue; it holds no GPU."
    if action is Action.END_KERNEL and job.kept_until is None:
        return _sentence(status, action)
    if action is Action.RESUME and status.ended and not job.restartable:
        return (_TRACKED_HAS_ENDED if job.tracked else _NO_WAY_BACK).format(status=status.value, kind=kind)
    if action in (Action.RESUME, Action.DELETE) and job.kept_until is not None:
        return _KEPT.format(status=status.value, until=clock(job.kept_until), action=action.value)
    return None


def allowed(job: Job) -> list[str]:
    """The actions that would change something about the job, for whoever shows buttons."""
    heard = {Action.CANCEL} if job.status is Status.CANCELLING else set[Action]()
    if job.now.server.end_kernel_requested_at is not None:
        heard.add(Action.END_KERNEL)
    return [action.value for action in Action if action not in heard and refusal(job, action) is None]


def _sentence(status: Status, action: Action) -> str:
    if status.ended and action is Action.END_KERNEL:
        return f"The job has ended ({status.value}), and no kernel of it is kept."
    if status.ended:
        return f"The job has ended ({status.value}); there is nothing to {action.value}."
    if action is Action.RELEASE and status is Status.QUEUED:
        return "The job waits in the queue and holds no GPU; pause it without release to keep it there."
    if action is Action.DELETE:
        return f"The job is {status.value}; cancel it before it is deleted."
    if action is Action.END_KERNEL:
        return f"The job is {status.value}; a kernel is kept only after the end of its work. Cancel it instead."
    if action is Action.RESUME:
        return f"The job is {status.value}; only a paused job can be resumed, or one that ended before its time."
    if action is Action.PAUSE and status in (Status.PAUSED, Status.PAUSING):
        return f"The job is {status.value} already."
    return f"The job is {status.value}; it can't be told to {action.value} now."
