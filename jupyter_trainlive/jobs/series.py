"""Series: every logged scalar, read from the training journal as columns or as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalReader, Record
from ..protocol.values import carry, finite, number, whole

CSV_COLUMNS = ("name", "step", "epoch", "time", "value")

#: What spreadsheets compute, also in the width of East Asian scripts, and the mark by which they let it be.
_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20'")

#: A metric with a longer name is not ours.
NAME_LIMIT = 200

#: One value of one series: its name, step, epoch, time in Unix seconds, and itself; a step or an epoch may be unknown.
Point: TypeAlias = tuple[str, int | None, float | None, float, float]


@dataclass
class SeriesSummary:
    """How many points a series has, and its last value."""

    count: int = 0
    last: float = 0.0


@dataclass
class Columns:
    """Points of one series, in order; times in Unix seconds, values may be NaN or infinite."""

    step: list[int | None] = field(default_factory=list)
    epoch: list[float | None] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)


def points(records: Iterable[Record]) -> Iterator[Point]:
    """The points in training records, in order; whatever is not a number under a sane name is left out."""
    for record in records:
        values = record.get("values")
        if record["kind"] != "metrics" or not isinstance(values, dict):
            continue
        step, epoch, time = whole(record.get("step")), finite(record.get("epoch")), float(record["t"])
        for name, item in values.items():
            # Nearly all of them are floats, and there may be a hundred thousand a second.
            value = item if type(item) is float else number(item)
            if value is not None and len(name) <= NAME_LIMIT:
                yield name, step, epoch, time, value


def columns(records: Iterable[Record]) -> dict[str, Columns]:
    """The points in training records by series, in the order in which the series first appear."""
    result: dict[str, Columns] = {}
    for name, step, epoch, time, value in points(records):
        column = result.get(name)
        if column is None:
            column = result[name] = Columns()
        column.step.append(step)
        column.epoch.append(epoch)
        column.time.append(time)
        column.value.append(value)
    return result


def joined(parts: Sequence[Mapping[str, Columns]]) -> Mapping[str, Columns]:
    """The points of several parts one behind the other."""
    if len(parts) == 1:
        return parts[0]
    result: dict[str, Columns] = {}
    for part in parts:
        for name, column in part.items():
            whole_column = result.setdefault(name, Columns())
            whole_column.step += column.step
            whole_column.epoch += column.epoch
            whole_column.time += column.time
            whole_column.value += column.value
    return result


def summarise(series: dict[str, SeriesSummary], new: Mapping[str, Columns], most: int) -> str | None:
    """Count new points into `series`, of which there may be `most`; the name of one that found no place, or None."""
    refused = None
    for name, column in new.items():
        summary = series.get(name)
        if summary is None:
            if len(series) >= most:
                refused = refused or name
                continue
            summary = series[name] = SeriesSummary()
        summary.count += len(column.value)
        summary.last = column.value[-1]
    return refused


def frame_columns(new: Mapping[str, Columns], names: Container[str]) -> dict[str, dict[str, list[Any]]]:
    """The points of series among `names` as the ``points`` frame has them: {name: {"step", "time", "value"}}."""
    return {
        name: {"step": column.step, "time": column.time, "value": _carried(column.value)}
        for name, column in new.items()
        if name in names
    }


def _carried(values: list[float]) -> list[Any]:
    return values if all(map(math.isfinite, values)) else [carry(value) for value in values]


def csv_chunks(job_dir: JobDir) -> Iterator[str]:
    """All points of a job as CSV, a chunk of the journal at a time.

    Columns ``name,step,epoch,time,value``; time in Unix seconds; non-finite values as ``nan``, ``inf``,
    ``-inf``; an unknown step or epoch is empty. A name that a spreadsheet would take for a formula begins with an
    apostrophe, and so does, once more, one that begins with an apostrophe by itself.
    """
    reader = JournalReader(job_dir.training_journal)
    yield ",".join(CSV_COLUMNS) + "\r\n"
    while records := reader.read():
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for name, step, epoch, time, value in points(records):
            writer.writerow((f"'{name}" if name.startswith(_FORMULA) else name, step, epoch, time, carry(value)))
        yield buffer.getvalue()
