"""What charts mark of a training: checkpoints, pauses, and where it went on."""

from __future__ import annotations

import functools
from typing import Any

from jupyter_trainlive.protocol.facts import TrainingFacts, fold_training
from jupyter_trainlive.protocol.marks import MARKS_KEPT
from jupyter_trainlive.protocol.messages import job_view
from jupyter_trainlive.protocol.saved import restored, saved
from jupyter_trainlive.protocol.states import Job
from jupyter_trainlive.protocol.values import decode, dumps


def told(*records: dict[str, Any]) -> Job:
    numbered = ({"seq": t, "t": float(t), **record} for t, record in enumerate(records, 1))
    return Job("job_000000000000", training=functools.reduce(fold_training, numbered, TrainingFacts()))


def marks(*records: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    return [(mark["kind"], mark["step"], mark["time"][17:19]) for mark in job_view(told(*records))["marks"]]


def start(attempt: int = 1) -> dict[str, Any]:
    return {"kind": "start", "attempt": attempt}


def segment(step: int = 0) -> dict[str, Any]:
    return {"kind": "segment", "step": step, "total_steps": 100, "total_epochs": 1.0}


def steps(step: int) -> dict[str, Any]:
    return {"kind": "metrics", "step": step, "values": {"loss": 1.0}}


CHECKPOINT = {"kind": "checkpoint", "step": 10, "path": "checkpoints/checkpoint-10"}


def end(status: str) -> dict[str, Any]:
    return {"kind": "end", "status": status}


def test_checkpoints_and_holds_are_marked_at_their_steps() -> None:
    held, resumed = {"kind": "held", "request": 1, "step": 12}, {"kind": "resumed", "step": 12}
    assert marks(start(), segment(), steps(1), CHECKPOINT, steps(11), held, resumed, steps(13)) == [
        ("checkpoint", 10, "04"),
        ("paused", 12, "06"),
        ("resumed", 12, "07"),
    ]


def test_who_freed_its_gpu_is_paused_and_resumed_where_the_training_begins_again() -> None:
    again = marks(start(), segment(), steps(10), CHECKPOINT, end("released"), start(2), segment(10), steps(11))
    assert again == [("checkpoint", 10, "04"), ("paused", 10, "05"), ("resumed", 10, "07")]


def test_a_failed_training_that_goes_on_is_restarted_where_it_really_begins() -> None:
    again = [start(), segment(), steps(10), CHECKPOINT, steps(15), end("failed"), start(2)]
    assert marks(*again) == [("checkpoint", 10, "04")], "nothing is trained yet"
    # The checkpoint of step 10 was damaged.
    assert marks(*again, segment(5), segment(20)) == [("checkpoint", 10, "04"), ("restarted", 5, "08")]
    # Of the second attempt nothing is known but that the third began.
    assert marks(*again, start(3), segment())[1:] == [("restarted", 0, "09")]


def test_only_the_newest_are_at_hand_and_they_outlive_the_server() -> None:
    job = told(start(), *({**CHECKPOINT, "step": step} for step in range(500)), {"kind": "checkpoint", "step": "x"})
    shown = job_view(job)["marks"]
    assert len(shown) == MARKS_KEPT
    assert [shown[0]["step"], shown[-2]["step"], shown[-1]["step"]] == [301, 499, None]
    again = restored(job.job_id, {}, decode(dumps(saved(job)).encode()))
    assert again == job
    assert job_view(again)["marks"] == shown
