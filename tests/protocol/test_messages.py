"""The plain dialect's messages have all the contract's keys, whatever is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_trainlive.protocol.messages import job_view, message
from jupyter_trainlive.protocol.states import Job, Journal, fold
from jupyter_trainlive.protocol.values import dumps

PROGRESS_KEYS = {
    *("job_id", "status", "progress", "current_epoch", "total_epochs", "current_step", "total_steps", "loss"),
    *("eval_loss", "samples_per_second", "gpu_memory_allocated_gb", "gpu_utilization_percent", "eta_seconds"),
    *("queue", "timestamp", "complete"),
}
COMPLETION_KEYS = {
    *("job_id", "status", "progress", "final_loss", "eval_loss", "complete", "completed_at", "error", "timestamp"),
}
FAILURE_KEYS = {"job_id", "status", "error", "hint", "complete", "timestamp"}


def job_with(*records: tuple[str, str, dict[str, Any]]) -> Job:
    job = Job("job_000000000000", spec={"name": "mine", "kind": "code", "env": {"SECRET": "s3cret", "A": "b"}})
    for seq, (journal, kind, values) in enumerate(records):
        job = fold(job, Journal(journal), {"seq": seq, "t": float(seq), "kind": kind, **values})
    return job


RUNNING = ("process", "spawned", {"pid": 7}), ("training", "start", {})


def test_of_a_job_of_which_nothing_is_known_all_keys_are_there_and_null() -> None:
    shown = message(job_with(), 0.0)
    assert set(shown) == PROGRESS_KEYS
    known = {key: value for key, value in shown.items() if value is not None}
    assert known == {
        "job_id": "job_000000000000",
        "status": "queued",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "complete": False,
    }


def test_what_is_known_is_told() -> None:
    values = {"loss": 0.5, "eval_loss": 0.75, "samples_per_second": 12.0, "gpu_memory_allocated_gb": 1.5}
    job = job_with(
        *RUNNING,
        ("training", "segment", {"step": 0, "total_steps": 10, "total_epochs": 2}),
        ("training", "metrics", {"step": 4, "epoch": 0.8, "values": values}),
        ("training", "metrics", {"step": 5, "epoch": 1.0, "values": {}}),
    )
    assert message(job, 61.5, gpu_utilization_percent=93.0) == {
        "job_id": "job_000000000000",
        "status": "running",
        "progress": 50.0,
        "current_epoch": 1.0,
        "total_epochs": 2.0,
        "current_step": 5,
        "total_steps": 10,
        **values,
        "gpu_utilization_percent": 93.0,
        "eta_seconds": 5.0,
        "queue": None,
        "timestamp": "1970-01-01T00:01:01.500Z",
        "complete": False,
    }


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_null(value: str) -> None:
    losses = {"values": {"loss": value, "eval_loss": value, "samples_per_second": value}}
    running = job_with(*RUNNING, ("training", "metrics", {"step": 1, **losses}))
    shown = message(running, 0.0)
    assert set(shown) == PROGRESS_KEYS
    assert (shown["loss"], shown["eval_loss"], shown["samples_per_second"]) == (None, None, None)
    ended = fold(running, Journal.TRAINING, {"seq": 8, "t": 8.0, "kind": "end", "status": "completed"})
    ended = fold(ended, Journal.PROCESS, {"seq": 9, "t": 9.0, "kind": "exited", "code": 0})
    shown = message(ended, 0.0)
    assert (shown["final_loss"], shown["eval_loss"]) == (None, None)


def test_the_completion() -> None:
    job = job_with(
        *RUNNING,
        ("training", "metrics", {"step": 1, "values": {"loss": 0.25}}),
        ("training", "end", {"status": "completed"}),
        ("process", "exited", {"code": 0}),
    )
    assert message(job, 60.0) == {
        "job_id": "job_000000000000",
        "status": "completed",
        "progress": 100.0,
        "final_loss": 0.25,
        "eval_loss": None,
        "complete": True,
        "completed_at": "1970-01-01T00:00:04.000Z",
        "error": None,
        "timestamp": "1970-01-01T00:01:00.000Z",
    }
    assert set(message(job, 60.0)) == COMPLETION_KEYS


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (("process", "exited", {"code": 1}), "failed"),
        (("server", "lost", {}), "interrupted"),
        (("server", "cancel_requested", {}), "cancelled"),
    ],
)
def test_the_failure(record: tuple[str, str, dict[str, Any]], status: str) -> None:
    shown = message(
        job_with(*RUNNING, record, ("process", "exited", {"code": 1}) if status == "cancelled" else record), 0
    )
    assert set(shown) == FAILURE_KEYS
    assert (shown["status"], shown["complete"]) == (status, True)
    assert shown["error"]


def test_the_view_of_a_job_names_its_variables_and_keeps_their_values() -> None:
    job = job_with(*RUNNING)
    view = job_view(job)
    assert view["spec"]["env"] == ["A", "SECRET"]
    assert "s3cret" not in dumps(view)
    assert job.spec["env"]["SECRET"] == "s3cret", "the job itself is as it was"
    assert json.loads(dumps(view)) == view
    assert {"name", "kind", "phase", "exit", "error", "hint", "traceback", "artifacts"} <= set(view)
