"""What may be asked of a job: the one table, and a sentence for everything else."""

from __future__ import annotations

import pytest

from jupyter_trainlive.protocol.moves import MOVES, Action, allowed, refusal
from jupyter_trainlive.protocol.states import Job, Journal, Status, fold

Steps = list[tuple[str, str, dict[str, object]]]

QUEUED: Steps = [("server", "submitted", {}), ("server", "queued", {"attempt": 1})]
STARTING: Steps = [*QUEUED, ("server", "starting", {"attempt": 1})]
RUNNING: Steps = [*STARTING, ("process", "spawned", {"pid": 7}), ("training", "start", {})]
PAUSING: Steps = [*RUNNING, ("server", "pause_requested", {"release": False, "request": 1})]
HELD: Steps = [*PAUSING, ("training", "held", {"request": 1})]
RELEASING: Steps = [*RUNNING, ("server", "pause_requested", {"release": True, "request": 1})]
RELEASED: Steps = [*RELEASING, ("training", "end", {"status": "released"}), ("process", "exited", {"code": 0})]
WAITING: Steps = [*QUEUED, ("server", "pause_requested", {"release": False, "request": 1})]
CANCELLING: Steps = [*RUNNING, ("server", "cancel_requested", {})]
COMPLETED: Steps = [*RUNNING, ("training", "end", {"status": "completed"}), ("process", "exited", {"code": 0})]
FAILED: Steps = [*RUNNING, ("process", "exited", {"code": 1})]
CANCELLED: Steps = [*CANCELLING, ("process", "exited", {"code": 1})]
INTERRUPTED: Steps = [*RUNNING, ("server", "lost", {})]
KEPT: Steps = [*RUNNING, ("training", "end", {"status": "failed"}), ("training", "kept", {"until": 3600.0})]
ENDING: Steps = [*KEPT, ("server", "end_kernel_requested", {})]
GONE: Steps = [*ENDING, ("process", "exited", {"signal": 9})]


def job_in(steps: Steps, kind: str = "finetune") -> Job:
    job = Job("job_000000000000", {"kind": kind})
    for seq, (journal, name, values) in enumerate(steps):
        job = fold(job, Journal(journal), {"seq": seq, "t": 1.0, "kind": name, **values})
    return job


@pytest.mark.parametrize(
    ("steps", "of_the_recipe", "of_code"),
    [
        (QUEUED, "pause cancel", "pause cancel"),
        (STARTING, "pause release cancel", "pause cancel"),
        (RUNNING, "pause release cancel", "pause cancel"),
        (PAUSING, "release resume cancel", "resume cancel"),
        (HELD, "release resume cancel", "resume cancel"),
        (RELEASING, "resume cancel", "resume cancel"),
        (RELEASED, "resume cancel", "resume cancel"),
        (WAITING, "resume cancel", "resume cancel"),
        (CANCELLING, "", ""),
        (COMPLETED, "delete", "delete"),
        (FAILED, "resume delete", "delete"),
        (CANCELLED, "resume delete", "delete"),
        (INTERRUPTED, "resume delete", "delete"),
        (KEPT, "end_kernel", "end_kernel"),
        (ENDING, "", ""),
        (GONE, "resume delete", "delete"),
    ],
)
def test_what_each_state_allows(steps: Steps, of_the_recipe: str, of_code: str) -> None:
    assert allowed(job_in(steps)) == of_the_recipe.split()
    assert allowed(job_in(steps, "code")) == of_code.split()


@pytest.mark.parametrize(
    ("steps", "action", "sentence"),
    [
        (COMPLETED, Action.CANCEL, "The job has ended (completed); there is nothing to cancel."),
        (COMPLETED, Action.RESUME, "The job has ended (completed); there is nothing to resume."),
        (HELD, Action.PAUSE, "The job is paused already."),
        (
            RUNNING,
            Action.RESUME,
            "The job is running; only a paused job can be resumed, or one that ended before its time.",
        ),
        (RUNNING, Action.DELETE, "The job is running; cancel it before it is deleted."),
        (
            QUEUED,
            Action.RELEASE,
            "The job waits in the queue and holds no GPU; pause it without release to keep it there.",
        ),
        (WAITING, Action.RELEASE, "The job is paused in the queue; it holds no GPU."),
        (CANCELLING, Action.PAUSE, "The job is cancelling; it can't be told to pause now."),
        (KEPT, Action.CANCEL, "The job has ended (failed); there is nothing to cancel."),
        (
            KEPT,
            Action.RESUME,
            "The job has ended (failed), and its kernel is kept until 1970-01-01 01:00 UTC and holds its memory: "
            "end the kernel first, then resume the job.",
        ),
        (GONE, Action.END_KERNEL, "The job has ended (failed), and no kernel of it is kept."),
        (CANCELLED, Action.END_KERNEL, "The job has ended (cancelled), and no kernel of it is kept."),
        (
            RUNNING,
            Action.END_KERNEL,
            "The job is running; a kernel is kept only after the end of its work. Cancel it instead.",
        ),
    ],
)
def test_what_is_refused_is_refused_in_a_sentence(steps: Steps, action: Action, sentence: str) -> None:
    assert refusal(job_in(steps), action) == sentence


def test_a_job_without_checkpoints_refuses_what_needs_one_and_says_why() -> None:
    assert "kind code has no checkpoint" in (refusal(job_in(RUNNING, "code"), Action.RELEASE) or "")
    assert "submit it again" in (refusal(job_in(INTERRUPTED, "code"), Action.RESUME) or "")


def test_cancelling_again_is_no_error() -> None:
    assert refusal(job_in(CANCELLING), Action.CANCEL) is None


def test_the_table_has_every_action_and_every_state_allows_something() -> None:
    assert set(MOVES) == set(Action)
    assert frozenset().union(*MOVES.values()) == set(Status)
