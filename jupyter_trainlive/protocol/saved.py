"""The facts of a job as JSON and back, so that folding can go on where it stopped."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, TypeVar

from .facts import Alert, ProcessFacts, ServerFacts, TrainingFacts
from .marks import Mark
from .spark import Spark
from .states import Job
from .values import finite, number

#: Counts up whenever facts, or how records are folded into them, change: what was saved before is folded anew.
FOLD_VERSION = 4

AnyFacts = TypeVar("AnyFacts", ServerFacts, ProcessFacts, TrainingFacts)


def saved(job: Job) -> dict[str, Any]:
    """The job's facts as values that JSON can carry, non-finite floats as `protocol.values.dumps` writes them."""
    return {"server": asdict(job.server), "process": asdict(job.process), "training": asdict(job.training)}


def restored(job_id: str, spec: dict[str, Any], facts: dict[str, Any]) -> Job:
    """The job whose facts `saved` gave; raises ValueError where they are not of that form."""
    try:
        return Job(
            job_id,
            spec,
            _facts(ServerFacts, facts["server"]),
            _facts(ProcessFacts, facts["process"]),
            _facts(TrainingFacts, facts["training"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"these are no facts of a job: {error}") from error


def _facts(kind: type[AnyFacts], values: dict[str, Any]) -> AnyFacts:
    if set(values) != {field.name for field in fields(kind)}:
        raise ValueError(f"these are no {kind.__name__}")
    return kind(**{name: _value(name, value) for name, value in values.items()})


def _value(name: str, value: Any) -> Any:
    if name == "alerts":
        return tuple(Alert(**alert) for alert in value)
    if name == "marks":
        return tuple(Mark(**mark) for mark in value)
    if name == "spark":
        # A sum may be infinite, for which JSON has a word.
        means = tuple(None if item is None else finite(item) for item in value["values"])
        return Spark(**{**value, "values": means, "total": number(value["total"]) or 0.0})
    if name == "latest":
        return {key: number(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value
