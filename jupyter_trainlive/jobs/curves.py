"""Curves: every logged scalar of a job at full resolution, served as a window of buckets at any length."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..protocol.jobdir import JobDir
from .database import IndexUnavailable
from .flushes import Moved
from .index import IndexLost

if TYPE_CHECKING:
    # It brings numpy, which is loaded when the first curve is asked for, in a thread.
    from .ingest import Ingest

_T = TypeVar("_T")

AXES = ("step", "time", "epoch")
#: How often to begin again with an index that was replaced meanwhile.
_TRIES = 4
#: So long a journal that grows is read before who asks has an answer.
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Window:
    """What is asked for: the part of an axis from `x0` to `x1` (None: all there is), in at most `most` buckets.

    Steps and epochs are themselves, time is in Unix seconds. `smoothing` is the weight of the moving average, from 0
    (none is asked for) to below 1. Raises ValueError, with a sentence, for anything else.
    """

    axis: str = "step"
    x0: float | None = None
    x1: float | None = None
    most: int = 400
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ValueError(f"axis must be one of {', '.join(AXES)}")
        if any(x is not None and math.isnan(x) for x in (self.x0, self.x1)):
            raise ValueError("x0 and x1 must be numbers")
        if self.most < 1:
            raise ValueError("most must be at least 1")
        if not 0 <= self.smoothing < 1:
            raise ValueError("smoothing must be from 0 to below 1")


@dataclass(frozen=True)
class Curve:
    """`n` points in the window, and its buckets, by segment and x: dictionaries that JSON can carry.

    A bucket holds all points of its segment from `x0` to below `x1`: `n` of them, of which `nan` are NaN and `inf`
    infinite; `min`, `max` and `last` are of the finite ones, None where there is none. `segment` is there only
    where it is not 0, `smoothed`, the average at the last finite point, where smoothing was asked for.
    """

    n: int
    buckets: list[dict[str, Any]]


class CurveStore(Protocol):
    """Where curves are kept: the index, as its keeper has it open now. The methods are called in threads."""

    #: Held while curves are read, so that threads are left for everybody else.
    reading: asyncio.Semaphore

    @property
    def writable(self) -> bool:
        """Whether this server is the one that writes the index."""

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Do it in one transaction; None where the index isn't ours and can't be read.

        Raises IndexUnavailable or IndexLost.
        """

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do all of it or nothing; raises IndexUnavailable or IndexLost."""


def prepare() -> None:
    """Load what curves are made with: numpy, with all that comes along."""
    from . import ingest  # noqa: F401


class Curves:
    """The curves of one job. `ended` says whether the journal is complete, so that nothing more is waited for.

    Every method raises IndexUnavailable where the index is out of reach and the journal too long to do without, and
    OSError where the journal can't be read; nothing is lost with either.
    """

    def __init__(self, job_dir: JobDir, store: CurveStore, *, max_series: int, ended: Callable[[], bool]) -> None:
        self._job_dir = job_dir
        self._store = store
        self._max_series = max_series
        self._ended = ended
        self._lock = asyncio.Lock()
        self._ingest: Ingest | None = None

    @property
    def names(self) -> list[str]:
        """The names of the curves taken in so far, in the order in which they first appeared."""
        return self._ingest.names if self._ingest is not None else []

    @property
    def seq(self) -> int:
        """The number of the last training record taken in so far."""
        return self._ingest.seq if self._ingest is not None else 0

    @property
    def points(self) -> int:
        """How many points were taken in so far."""
        return self._ingest.points if self._ingest is not None else 0

    @property
    def unsaved(self) -> bool:
        """Whether something taken in is not in the index yet."""
        return self._ingest is not None and self._ingest.unsaved

    async def catch_up(self) -> int:
        """Take in what is new in the journal; the number of the last record that is contained now.

        Of a job that runs, and writes more than can be read at once, that is not the last one there.
        """
        async with self._lock:
            return (await self._catch_up()).seq

    async def read(self, names: Sequence[str] | None, window: Window) -> tuple[int, dict[str, Curve]]:
        """Catch up, and read one window of the curves of these names, those that are known; of all where None.

        The number of the last record that is contained (see `catch_up`), and {name: curve}.
        """
        for _ in range(_TRIES):
            async with self._lock:
                ingest = await self._catch_up()
                moment = await asyncio.to_thread(ingest.freeze, names)
            try:
                async with self._store.reading:
                    return moment.seq, await asyncio.to_thread(ingest.read, moment, window)
            except (Moved, IndexLost):
                self._drop(ingest)
        raise self._never_the_same()

    async def position_of(self, seq: int) -> tuple[int, int]:
        """A place in the training journal at or before the end of record `seq`, to go on reading from.

        (offset, number of the last record before it), as `JournalReader.go_on_from` takes them; (0, 0) at worst.
        """
        async with self._lock:
            ingest = await self._begin()
            try:
                return await asyncio.to_thread(ingest.place_before, seq)
            except (Moved, IndexLost, IndexUnavailable):
                return 0, 0

    async def begin_again(self) -> None:
        """Forget what was taken in, and begin with what the index has now."""
        async with self._lock:
            self._ingest = None

    async def _catch_up(self) -> Ingest:
        for _ in range(_TRIES):
            ingest = await self._begin()
            try:
                if not await asyncio.to_thread(ingest.stale):
                    deadline = time.monotonic() + _PATIENCE_SECONDS
                    while await asyncio.to_thread(ingest.step, self._ended()):
                        if time.monotonic() > deadline and not self._ended():
                            break
                    return ingest
                self._drop(ingest)
            except (Moved, IndexLost):
                self._drop(ingest)
            except IndexUnavailable:
                # What is pending stays.
                raise
            except Exception:
                # It may have read what it did not take in.
                self._drop(ingest)
                raise
        raise self._never_the_same()

    async def _begin(self) -> Ingest:
        if self._ingest is None:
            for _ in range(_TRIES):
                try:
                    self._ingest = await asyncio.to_thread(self._new_ingest)
                    break
                except IndexLost:
                    continue
            else:
                raise self._never_the_same()
        return self._ingest

    def _new_ingest(self) -> Ingest:
        from .ingest import Ingest

        return Ingest(self._job_dir, self._store, self._max_series)

    def _drop(self, ingest: Ingest) -> None:
        if self._ingest is ingest:
            self._ingest = None

    def _never_the_same(self) -> IndexUnavailable:
        return IndexUnavailable(
            f"The index is replaced again and again while curves of {self._job_dir.job_id} are read"
        )
