"""Ingest: the training journal of one job, read for its points alone, and put into the index flush by flush."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalReader
from . import chunks, flushes
from .averages import Averages
from .curves import Curve, CurveStore, Window
from .database import IndexUnavailable
from .flushes import NO_MARK, Mark
from .points import End, Points, Tail
from .schema import Unusable
from .series import columns
from .windows import Part, Pending, keys, read

#: A flush is due with so many points, or bytes of the journal, since the last one.
FLUSH_POINTS = 1 << 16
FLUSH_BYTES = 4 << 20
#: So many are kept in memory while the index is out of reach.
MOST_PENDING = 1_000_000
#: SQLite's largest integer; a number beyond it comes from a garbled journal.
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class _Frozen:
    """One curve at one moment: its number, how many of its points are in chunks, and those that are not."""

    curve: int
    stored: int
    pending: Points


@dataclass(frozen=True)
class Moment:
    """Some curves of a job, by name, after record `seq`: what they have in chunks came with the flush `mark`."""

    seq: int
    mark: Mark
    curves: dict[str, _Frozen]


class Ingest:
    """Goes on where the last flush stopped. Everything here blocks, and may be called from any thread.

    Every method raises IndexUnavailable or IndexLost as the index does, and Moved where that has gone on without it.
    """

    def __init__(self, job_dir: JobDir, store: CurveStore, max_series: int) -> None:
        self._job_id = job_dir.job_id
        self._store = store
        self._max_series = max_series
        self._lock = threading.Lock()
        self._reader = JournalReader(job_dir.training_journal)
        self._averages = Averages()
        try:
            known = store.read(lambda connection: _known(connection, self._job_id))
        except IndexUnavailable:
            known = None
        #: Whether it began without a look into the index: then the journal is read from its beginning.
        self._blind = known is None
        mark, ends = known or (NO_MARK, {})
        #: The last flush there was when it began, and that upon which the next one follows.
        self._began, self._mark = mark, mark
        try:
            self._reader.go_on_from(mark.offset, mark.seq)
        except ValueError:
            # These are not the points of this journal.
            if store.writable:
                store.write(lambda connection: flushes.drop(connection, self._job_id))
            self._mark, ends = NO_MARK, {}
        self._numbers = {name: number for number, name in enumerate(ends)}
        self._written = len(ends)
        self._tails = [Tail(end) for end in ends.values()]
        self._pending = 0
        self._set_due()

    @property
    def names(self) -> list[str]:
        """The names of the curves, in the order in which they first appeared."""
        return list(self._numbers)

    @property
    def seq(self) -> int:
        """The number of the last record taken in."""
        return self._reader.seq

    @property
    def points(self) -> int:
        """How many points were taken in."""
        return self._mark.points + self._pending

    @property
    def unsaved(self) -> bool:
        """Whether something taken in is not in the index yet."""
        return self._reader.offset > self._mark.offset

    def stale(self) -> bool:
        """Whether the index has another last flush than when this began, other than by this."""
        if self._store.writable and not self._blind:
            return False
        try:
            last = self._store.read(lambda connection: flushes.last_mark(connection, self._job_id))
        except IndexUnavailable:
            return False
        self._blind = self._blind and last is None
        return last is not None and last != self._began

    def step(self, ended: bool) -> bool:
        """Take in the next piece of the journal; False where there was none.

        Raises IndexUnavailable where no more can be kept in memory; nothing is lost then.
        """
        with self._lock:
            if self._pending >= MOST_PENDING and not self._try_to_flush():
                raise IndexUnavailable(f"No more points of {self._job_id} can be kept while the index is out of reach")
            before = self._reader.offset
            for name, new in columns(self._reader.read()).items():
                number = self._numbers.get(name)
                if number is None:
                    if len(self._tails) >= self._max_series:
                        continue
                    number = self._numbers[name] = len(self._tails)
                    self._tails.append(Tail(End()))
                self._tails[number].add(new)
                self._pending += len(new.value)
            offset = self._reader.offset
            at_the_end = offset == before and ended and offset > self._mark.offset
            if self._pending >= self._due_points or offset >= self._due_offset or at_the_end:
                self._try_to_flush()
            return offset != before

    def freeze(self, names: Sequence[str] | None) -> Moment:
        """The curves of these names as they are now, those that are known; all where None."""
        with self._lock:
            frozen = dict[str, _Frozen]()
            for name in self._numbers if names is None else names:
                number = self._numbers.get(name)
                if number is not None:
                    points = self._tails[number].view()
                    frozen[name] = _Frozen(number, points.first, points)
            return Moment(self.seq, self._mark, frozen)

    def read(self, moment: Moment, window: Window) -> dict[str, Curve]:
        """A window of each of its curves."""
        return {name: self._read(moment.mark, curve, window) for name, curve in moment.curves.items()}

    def _read(self, mark: Mark, curve: _Frozen, window: Window) -> Curve:
        def work(connection: Connection) -> Curve:
            flushes.require(connection, self._job_id, mark)
            asked = (curve.curve, curve.stored, window.axis, *keys(window))
            return self._look(chunks.chunks_of(connection, self._job_id, *asked), curve, window)

        if not curve.stored:
            return self._look([], curve, window)
        result = self._store.read(work)
        if result is None:
            raise IndexUnavailable("The index, which another server keeps, can't be read")
        return result

    def _look(self, parts: Sequence[Part], curve: _Frozen, window: Window) -> Curve:
        pending = [Pending(curve.pending)] if len(curve.pending) else []
        return read([*parts, *pending], window, curve.curve, self._averages)

    def place_before(self, seq: int) -> tuple[int, int]:
        """A place in the journal at or before the end of record `seq`: (offset, number of the last record)."""
        with self._lock:
            offset, last = self._reader.position
        if last <= seq:
            return offset, last
        mark = self._store.read(lambda connection: flushes.mark_before(connection, self._job_id, seq)) or NO_MARK
        # Another server's flushes may be of an index that is not that of this journal.
        return (mark.offset, mark.seq) if mark.number <= self._mark.number else (0, 0)

    def _try_to_flush(self) -> bool:
        try:
            flushed = self._store.writable and self._flush()
        except IndexUnavailable:
            flushed = False
        self._set_due()
        return flushed

    def _set_due(self) -> None:
        """When to flush next, or to try again."""
        self._due_points = self._pending + FLUSH_POINTS
        self._due_offset = self._reader.offset + FLUSH_BYTES

    def _flush(self) -> bool:
        """Put what is pending into the index; False where that does not know the job yet."""
        before, (offset, seq) = self._mark, self._reader.position
        mark = Mark(before.number + 1, offset, min(seq, _LARGEST), self.points)
        rows = [
            row
            for number, tail in enumerate(self._tails)
            if len(tail)
            for row in chunks.encode(self._job_id, number, tail.view())
        ]

        def work(connection: Connection) -> bool:
            if not flushes.append_mark(connection, self._job_id, before, mark):
                return False
            flushes.append_names(connection, self._job_id, self._written, self.names[self._written :])
            chunks.write(connection, rows)
            return True

        if not self._store.write(work):
            return False
        self._mark, self._written, self._pending = mark, len(self._tails), 0
        self._tails = [Tail(tail.end) if len(tail) else tail for tail in self._tails]
        return True


def _known(connection: Connection, job_id: str) -> tuple[Mark, dict[str, End]]:
    """The last flush, and where each curve ends, by name and in the order of their numbers. Raises Unusable."""
    mark = flushes.last_mark(connection, job_id)
    names = flushes.names_of(connection, job_id)
    ends = {name: chunks.end_of(connection, job_id, number) for number, name in enumerate(names)}
    if sum(end.count for end in ends.values()) != mark.points or not all(end.count for end in ends.values()):
        raise Unusable(f"points of {job_id!a} are missing")
    return mark, ends
