"""One job as the index keeps it, and how it is written into the tables and read from them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from dataclasses import dataclass, field
from typing import Any

from ..protocol.values import carry, dumps, finite, number
from .schema import Unusable

#: SQLite's largest integer; a number beyond it comes from a garbled journal.
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Snapshot:
    """One job as far as its journals were read; times in Unix seconds.

    `facts` is anything that JSON can carry (non-finite floats in it come back as the words of `values.carry`),
    written by the fold of version `fold_version`. `series` is {name: (count, last)}, `offsets`
    {journal: (bytes read, number of the last record)}.
    """

    job_id: str
    name: str
    status: str
    submitted_at: float | None
    ended_at: float | None
    facts: dict[str, Any]
    fold_version: int
    series: dict[str, tuple[int, float]] = field(default_factory=dict)
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)


def write(connection: sqlite3.Connection, snapshot: Snapshot) -> None:
    """Put it in place of what is there of the job; to be done within a transaction."""
    job_id = snapshot.job_id
    job = (
        snapshot.name,
        snapshot.status,
        _time(snapshot.submitted_at),
        _time(snapshot.ended_at),
        snapshot.fold_version,
        dumps(snapshot.facts),
    )
    offsets = {journal: (offset, min(seq, _LARGEST)) for journal, (offset, seq) in snapshot.offsets.items()}
    series = {name: (count, _carried(last)) for name, (count, last) in snapshot.series.items()}
    connection.execute(
        "INSERT INTO jobs (job_id, name, status, submitted_at, ended_at, fold_version, facts, checksum)"
        " VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET name = excluded.name,"
        " status = excluded.status, submitted_at = excluded.submitted_at, ended_at = excluded.ended_at,"
        " fold_version = excluded.fold_version, facts = excluded.facts, checksum = excluded.checksum",
        (job_id, _bytes(snapshot.name), *job[1:], _checksum(job_id, job, offsets, series)),
    )
    connection.execute("DELETE FROM journals WHERE job_id = ?", (job_id,))
    connection.executemany(
        "INSERT INTO journals (job_id, journal, offset, seq) VALUES (?, ?, ?, ?)",
        [(job_id, journal, *read) for journal, read in offsets.items()],
    )
    known = {
        name: (count, last)
        for name, count, last in connection.execute("SELECT name, count, last FROM series WHERE job_id = ?", (job_id,))
    }
    connection.executemany(
        "DELETE FROM series WHERE job_id = ? AND name = CAST(? AS TEXT)",
        [(job_id, _bytes(name)) for name in known.keys() - series.keys()],
    )
    connection.executemany(
        "INSERT INTO series (job_id, name, count, last) VALUES (?, CAST(? AS TEXT), ?, ?)"
        " ON CONFLICT (job_id, name) DO UPDATE SET count = excluded.count, last = excluded.last",
        [(job_id, _bytes(name), *summary) for name, summary in series.items() if known.get(name) != summary],
    )


def read(connection: sqlite3.Connection, job_id: str | None = None) -> list[Snapshot]:
    """All jobs or that one; raises Unusable where anything is not as it was written."""
    where, which = ("", ()) if job_id is None else (" WHERE job_id = ?", (job_id,))
    offsets: dict[str, dict[str, Any]] = {}
    for owner, journal, *read in connection.execute(f"SELECT job_id, journal, offset, seq FROM journals{where}", which):
        offsets.setdefault(owner, {})[journal] = tuple(read)
    series: dict[str, dict[str, Any]] = {}
    for owner, name, *summary in connection.execute(f"SELECT job_id, name, count, last FROM series{where}", which):
        series.setdefault(owner, {})[name] = tuple(summary)
    columns = "job_id, name, status, submitted_at, ended_at, fold_version, facts, checksum"
    return [
        _snapshot(row[0], row[1:-1], offsets.get(row[0], {}), series.get(row[0], {}), row[-1])
        for row in connection.execute(f"SELECT {columns} FROM jobs{where}", which)
    ]


def _snapshot(
    job_id: str, job: tuple[Any, ...], offsets: dict[str, Any], series: dict[str, Any], checksum: int
) -> Snapshot:
    if _checksum(job_id, job, offsets, series) != checksum:
        raise Unusable(f"what it says of {job_id!a} is not what was written")
    name, status, submitted_at, ended_at, fold_version, facts = job
    summaries = {name: (count, number(last) or 0.0) for name, (count, last) in series.items()}
    return Snapshot(job_id, name, status, submitted_at, ended_at, json.loads(facts), fold_version, summaries, offsets)


def _checksum(job_id: str, job: tuple[Any, ...], offsets: dict[str, Any], series: dict[str, Any]) -> int:
    """Of all that is kept of a job: SQLite notices damaged pages, not a damaged number in a sound one.

    A wrong offset beside right facts would count a step twice.
    """
    return zlib.crc32(
        ascii((job_id, job, sorted(map(ascii, offsets.items())), sorted(map(ascii, series.items())))).encode()
    )


def _bytes(text: str) -> bytes:
    """As `database` reads it again; half of a surrogate pair is refused as text."""
    return text.encode("utf-8", "surrogatepass")


def _time(seconds: float | None) -> float | None:
    """As SQLite gives it back: it knows no NaN and no negative zero."""
    known = finite(seconds)
    return None if known is None else known + 0.0


def _carried(value: float) -> float | str:
    return carry(float(value) + 0.0)
