"""Chunks: the points of one curve that one flush brought, as they lie in the index.

A chunk has a head, the points in columns, and for each axis a summary: its buckets at the finest level at which they
are few. Each of them is sealed with a checksum: SQLite notices damaged pages, not a damaged number in a sound one.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .buckets import BUCKET, Buckets, fewest_levels, of_points
from .points import End, Floats, Ints, Placed, Points, keys_of, placed, segments_of
from .schema import Unusable

#: A chunk has at most so many points, so that reading one for a few of them takes a millisecond or two.
CHUNK_POINTS = 1 << 16
#: A summary has at most so many buckets, each for so many points on average; a chunk of few points has none.
_SUMMARY_BUCKETS = 128
_SUMMARY_SHARE = 128
_FEW_POINTS = 1024
_AXES = ("step", "time", "epoch")
_SEALS = np.dtype("<u4").itemsize


class Head(NamedTuple):
    """What is known of a chunk without a look into it.

    It holds `size` points of its curve, from number `first` on. `stride` is that between any two neighbouring steps,
    None where they differ. On each axis the points are in the finest buckets `low` to `high` (None: nowhere), and the
    summary is `shift` levels above those (None: there is none).
    """

    curve: int
    first: int
    size: int
    segment: int
    last_segment: int
    first_step: int
    last_step: int
    stride: int | None
    step_low: int
    step_high: int
    step_shift: int | None
    time_low: int | None
    time_high: int | None
    time_shift: int | None
    epoch_low: int | None
    epoch_high: int | None
    epoch_shift: int | None


_HEAD = ", ".join(Head._fields)
_BLOBS = (*(f"{axis}_buckets" for axis in _AXES), "raw_values", "raw_steps", "raw_times", "raw_epochs")
_COLUMNS = ("job_id", *Head._fields, "checksum", *_BLOBS)
_INSERT = f"INSERT INTO chunks ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def encode(job_id: str, curve: int, points: Points) -> Iterator[tuple[Any, ...]]:
    """The rows that hold these points, for `write`."""
    for start in range(0, len(points), CHUNK_POINTS):
        yield _row(job_id, curve, points.part(start, start + CHUNK_POINTS))


def write(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Put them into the index; to be done within the transaction of their flush."""
    connection.executemany(_INSERT, rows)


def end_of(connection: sqlite3.Connection, job_id: str, curve: int) -> End:
    """Where the curve ends; raises Unusable."""
    query = f"SELECT {_HEAD}, checksum FROM chunks WHERE job_id = ? AND curve = ? ORDER BY first DESC LIMIT 1"
    for row in connection.execute(query, (job_id, curve)):
        head = _head(job_id, row)
        return End(head.first + head.size, head.last_step, head.last_segment)
    return End()


class Chunk:
    """One chunk in the index. What it is asked for is read then; each method raises Unusable."""

    stored = True

    def __init__(self, connection: sqlite3.Connection, job_id: str, head: Head, **blobs: object) -> None:
        self._connection = connection
        self._job_id = job_id
        self._head = head
        #: Columns that were read with the head.
        self._blobs = blobs

    @property
    def first(self) -> int:
        """The number of its first point."""
        return self._head.first

    def extent(self, axis: str) -> tuple[int, int] | None:
        """The finest buckets between which its points lie; None where their places are unknown."""
        low, high = getattr(self._head, f"{axis}_low"), getattr(self._head, f"{axis}_high")
        return None if low is None else (low, high)

    def shift(self, axis: str) -> int | None:
        """How many levels above the finest its summary is; None where it has none."""
        shift: int | None = getattr(self._head, f"{axis}_shift")
        return shift

    @property
    def summary_size(self) -> int:
        """How many buckets its summary may have; one level below it has more, if there is one."""
        return _summary_size(self._head.size)

    def buckets(self, axis: str) -> Buckets:
        """The summary."""
        buckets: Buckets = self._read(f"{axis}_buckets", BUCKET)
        return buckets

    def values(self) -> tuple[Floats, Ints]:
        """The value and the segment of every point."""
        head = self._head
        if head.segment == head.last_segment:
            segments = np.full(head.size, head.segment, dtype=np.int64)
        else:
            segments = segments_of(self._steps(), head.segment)
        return self._read("raw_values", np.dtype("<f8"), head.size), segments

    def placed(self, axis: str) -> Placed:
        """The points on an axis, in order, where it has an extent there."""
        values, segments = self.values()
        if axis == "step":
            return placed(self.first, segments, self._steps(), None, values).in_order()
        keys, known = keys_of(self._read(f"raw_{axis}s", np.dtype("<f8"), len(values)))
        return placed(self.first, segments, keys, known, values).in_order()

    def _steps(self) -> Ints:
        head = self._head
        steps: Ints = (
            self._read("raw_steps", np.dtype("<i8"), head.size)
            if head.stride is None
            else head.first_step + head.stride * np.arange(head.size, dtype=np.int64)
        )
        return steps

    def _read(self, column: str, dtype: np.dtype[Any], count: int | None = None) -> Any:
        """A column, of so many items where that is known."""
        head, blob = self._head, self._blobs.get(column)
        if blob is None:
            query = f"SELECT {column} FROM chunks WHERE job_id = ? AND curve = ? AND first = ?"
            [blob] = self._connection.execute(query, (self._job_id, head.curve, head.first)).fetchone() or [None]
        if isinstance(blob, bytes):
            content, seal = memoryview(blob)[:-_SEALS], blob[-_SEALS:]
            if seal == _seal(content, self._job_id, head, column) and not len(content) % dtype.itemsize:
                items = np.frombuffer(content, dtype)
                if count is None or len(items) == count:
                    return items
        raise _not_as_written(self._job_id, head)


def chunks_of(
    connection: sqlite3.Connection, job_id: str, curve: int, count: int, axis: str, low: int, high: int
) -> list[Chunk]:
    """The chunks of the first `count` points of a curve, in order; raises Unusable where one is missing.

    The summaries of those between the finest buckets `low` and `high` of the axis are read with them.
    """
    summary = f"{axis}_buckets"
    query = (
        f"SELECT {_HEAD}, checksum, CASE WHEN {axis}_low <= ? AND {axis}_high >= ? THEN {summary} END"
        " FROM chunks WHERE job_id = ? AND curve = ? AND first < ? ORDER BY first"
    )
    chunks, end = list[Chunk](), 0
    for *row, blob in connection.execute(query, (high, low, job_id, curve, count)):
        head = _head(job_id, row)
        if head.first != end:
            break
        end += head.size
        chunks.append(Chunk(connection, job_id, head, **{summary: blob}))
    if end != count:
        raise Unusable(f"points of curve {curve} of {job_id!a} are missing")
    return chunks


def _row(job_id: str, curve: int, points: Points) -> tuple[Any, ...]:
    steps = points.steps
    strides = np.diff(steps)
    even = not len(strides) or bool((strides == strides[0]).all())
    extents, summaries = list[Any](), list[Buckets | None]()
    for axis in _AXES:
        on_axis = points.on(axis).in_order()
        shift, summary = _summary(on_axis, len(points))
        extents += [*(on_axis.extent or (None, None)), shift]
        summaries.append(summary)
    head = Head(
        curve,
        points.first,
        len(points),
        int(points.segments[0]),
        int(points.segments[-1]),
        int(steps[0]),
        int(steps[-1]),
        (int(strides[0]) if len(strides) else 0) if even else None,
        *extents,
    )
    columns = (
        *summaries,
        points.values,
        None if even else steps,
        points.times,
        None if np.isnan(points.epochs).all() else points.epochs,
    )
    blobs = [
        None if column is None else _sealed(column, job_id, head, name)
        for name, column in zip(_BLOBS, columns, strict=True)
    ]
    return (job_id, *head, _checksum(job_id, head), *blobs)


def _summary(points: Placed, size: int) -> tuple[int | None, Buckets | None]:
    """The summary of a chunk of that size, and how many levels above the finest it is."""
    most = _summary_size(size)
    if most and len(points):
        shift = fewest_levels(points.segments, points.keys, most)
        buckets = of_points(points, shift)
        # There may be more segments than that.
        if len(buckets) <= most:
            return shift, buckets
    return None, None


def _summary_size(size: int) -> int:
    return min(_SUMMARY_BUCKETS, size // _SUMMARY_SHARE) if size >= _FEW_POINTS else 0


def _head(job_id: str, row: Sequence[Any]) -> Head:
    head = Head(*row[:-1])
    if row[-1] != _checksum(job_id, head):
        raise _not_as_written(job_id, head)
    return head


def _checksum(job_id: str, head: Head) -> int:
    return zlib.crc32(ascii((job_id, *head)).encode())


def _sealed(column: np.ndarray[Any, Any], job_id: str, head: Head, name: str) -> bytes:
    content = column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()
    return content + _seal(content, job_id, head, name)


def _seal(content: bytes | memoryview, job_id: str, head: Head, column: str) -> bytes:
    owner = zlib.crc32(ascii((job_id, head.curve, head.first, column)).encode())
    return zlib.crc32(content, owner).to_bytes(_SEALS, "little")


def _not_as_written(job_id: str, head: Head) -> Unusable:
    return Unusable(f"the points of curve {head.curve} of {job_id!a} from number {head.first} on are not as written")
