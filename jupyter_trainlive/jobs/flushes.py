"""Flushes: how far the training journal of a job was put into the index, and which curves that made.

A flush is one transaction that brings the new points of every curve, and a mark in the journal behind the last of them.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .schema import Unusable


class Moved(Exception):
    """The index no longer holds what it held of this job: begin again with what it holds now."""


@dataclass(frozen=True)
class Mark:
    """Flush `number` of a job took in the journal up to byte `offset`, the end of record `seq`: `points` so far."""

    number: int = 0
    offset: int = 0
    seq: int = 0
    points: int = 0


#: What a job has of which nothing was put into the index yet.
NO_MARK = Mark()


def last_mark(connection: sqlite3.Connection, job_id: str) -> Mark:
    """The last flush of the job; raises Unusable."""
    return next(_marks(connection, job_id, ""), NO_MARK)


def mark_before(connection: sqlite3.Connection, job_id: str, seq: int) -> Mark:
    """The last flush that holds no record behind number `seq`; raises Unusable."""
    return next(_marks(connection, job_id, "AND seq <= ?", min(seq, 2**63 - 1)), NO_MARK)


def require(connection: sqlite3.Connection, job_id: str, mark: Mark) -> None:
    """Raises Moved where the job has no such flush."""
    if next(_marks(connection, job_id, "AND number = ?", mark.number), NO_MARK) != mark:
        raise Moved(job_id)


def append_mark(connection: sqlite3.Connection, job_id: str, before: Mark, mark: Mark) -> bool:
    """Put `mark` behind `before`; False where the index does not know the job yet. Raises Moved or Unusable."""
    if last_mark(connection, job_id) != before:
        raise Moved(job_id)
    if connection.execute("SELECT 1 FROM jobs WHERE job_id = ?", (job_id,)).fetchone() is None:
        return False
    connection.execute(
        "INSERT INTO flushes (job_id, number, offset, seq, points, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        (job_id, mark.number, mark.offset, mark.seq, mark.points, _checksum(job_id, mark)),
    )
    return True


def append_names(connection: sqlite3.Connection, job_id: str, first: int, names: Iterable[str]) -> None:
    """Number the curves of these names from `first` on."""
    connection.executemany(
        "INSERT INTO curves (job_id, number, name, checksum) VALUES (?, ?, CAST(? AS TEXT), ?)",
        [
            # Half of a surrogate pair is refused as text.
            (job_id, number, name.encode("utf-8", "surrogatepass"), _checksum(job_id, number, name))
            for number, name in enumerate(names, first)
        ],
    )


def names_of(connection: sqlite3.Connection, job_id: str) -> list[str]:
    """The names of the job's curves, by number; raises Unusable."""
    names = list[str]()
    query = "SELECT number, name, checksum FROM curves WHERE job_id = ? ORDER BY number"
    for number, name, checksum in connection.execute(query, (job_id,)):
        if number != len(names) or checksum != _checksum(job_id, number, name):
            raise Unusable(f"the names of the curves of {job_id!a} are not those that were written")
        names.append(name)
    return names


def drop(connection: sqlite3.Connection, job_id: str) -> None:
    """Keep no curve of the job any more."""
    for table in ("chunks", "curves", "flushes"):
        connection.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))


def _marks(connection: sqlite3.Connection, job_id: str, where: str, *values: int) -> Iterator[Mark]:
    """Marks of a job, the last one first."""
    query = f"SELECT number, offset, seq, points, checksum FROM flushes WHERE job_id = ? {where} ORDER BY number DESC"
    for *row, checksum in connection.execute(query, (job_id, *values)):
        mark = Mark(*row)
        if checksum != _checksum(job_id, mark):
            raise Unusable(f"flush {mark.number} of {job_id!a} is not what was written")
        yield mark


def _checksum(*what: object) -> int:
    return zlib.crc32(ascii(what).encode())
