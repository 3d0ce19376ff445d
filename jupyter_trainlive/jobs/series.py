"""Series: every logged scalar, read from the training journal as points or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalReader, Record
from ..protocol.values import carry, finite, number, whole

CSV_COLUMNS = ("name", "step", "epoch", "time", "value")

#: A metric with a longer name, or a record with more of them, is not ours.
NAME_LIMIT = 200


@dataclass
class SeriesSummary:
    """How many points a series has, and its last value."""

    count: int = 0
    last: float = 0.0


@dataclass(frozen=True)
class Point:
    """One value of one series; `time` in Unix seconds."""

    name: str
    step: int | None
    epoch: float | None
    time: float
    value: float


def points(records: Iterable[Record]) -> Iterator[Point]:
    """The points in training records, in order; whatever is not a number under a sane name is left out."""
    for record in records:
        values = record.get("values")
        if record["kind"] != "metrics" or not isinstance(values, dict):
            continue
        step, epoch, time = whole(record.get("step")), finite(record.get("epoch")), float(record["t"])
        for name, item in values.items():
            value = number(item)
            if value is not None and len(name) <= NAME_LIMIT:
                yield Point(name, step, epoch, time, value)


def summarise(series: dict[str, SeriesSummary], records: Iterable[Record]) -> None:
    """Count the points of `records` into `series`."""
    for point in points(records):
        summary = series.setdefault(point.name, SeriesSummary())
        summary.count += 1
        summary.last = point.value


def columns(records: Iterable[Record]) -> dict[str, dict[str, list[Any]]]:
    """Points by series as the ``points`` frame carries them: {name: {"step", "time", "value"}}."""
    result: dict[str, dict[str, list[Any]]] = {}
    for point in points(records):
        column = result.setdefault(point.name, {"step": [], "time": [], "value": []})
        column["step"].append(point.step)
        column["time"].append(point.time)
        column["value"].append(carry(point.value))
    return result


def csv_chunks(job_dir: JobDir) -> Iterator[str]:
    """All points of a job as CSV, a chunk of the journal at a time.

    Columns ``name,step,epoch,time,value``; time in Unix seconds; non-finite values as ``nan``, ``inf``,
    ``-inf``; an unknown step or epoch is empty.
    """
    reader = JournalReader(job_dir.training_journal)
    yield ",".join(CSV_COLUMNS) + "\r\n"
    while records := reader.read():
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for point in points(records):
            writer.writerow((point.name, point.step, point.epoch, point.time, carry(point.value)))
        yield buffer.getvalue()
