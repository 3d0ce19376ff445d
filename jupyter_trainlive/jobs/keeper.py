"""Keeps the index up to date, and knows what to do when it is lost or out of reach: nothing is lost with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from .curves import Curves, prepare
from .database import IndexUnavailable
from .index import Index, IndexClosed, IndexLost
from .registry import AnyLogger, Registry
from .snapshots import Snapshot
from .tracker import Tracker

_T = TypeVar("_T")

INDEX_NAME = "index.sqlite3"
_SAVE_SECONDS = 1.0
#: A job's curves are behind with so many records, or points; whoever asks for one has then little to wait for.
_RECORDS_BEHIND = 4096
_POINTS_BEHIND = 1 << 16
#: So many threads read curves at a time.
_READING_AT_ONCE = 2


class Keeper:
    """Saves what was folded since the last time, all jobs in one transaction, about once a second.

    It is also the store of all jobs' curves (`curves.CurveStore`), whichever index is open.
    """

    def __init__(self, registry: Registry, log: AnyLogger) -> None:
        self._registry = registry
        self._log = log
        self._path: Path = registry.jobs_dir / INDEX_NAME
        self._index: Index | None = None
        self._writable = False
        self._complained = False
        #: Held while something is written that another writing could bring back or undo.
        self._writing = asyncio.Lock()
        #: Jobs that are to be saved though nothing is new: what was saved of them is lost.
        self._again: set[Tracker] = set()
        #: Jobs of which something new was folded, which their curves may not have.
        self._changed: set[Tracker] = set()
        self.reading = asyncio.Semaphore(_READING_AT_ONCE)

    def curves_of(self, tracker: Tracker) -> Curves:
        """The curves of a job, kept here."""
        return Curves(tracker.job_dir, self, max_series=tracker.most_series, ended=lambda: tracker.job.status.ended)

    @property
    def writable(self) -> bool:
        return self._writable

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        return self._ask(lambda index: index.read(work))

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return self._ask(lambda index: index.write(work))

    def _ask(self, work: Callable[[Index], _T]) -> _T:
        if self._index is None:
            raise IndexUnavailable(f"The index {self._path} is not open")
        try:
            return work(self._index)
        except IndexClosed as error:
            raise IndexUnavailable(f"The index {self._path} is not open") from error
        except IndexLost as lost:
            self._note_loss(lost)
            raise

    async def open(self, *, writable: bool) -> None:
        """Begin with what the index knows of the jobs."""
        await self._close_index()
        self._writable = writable
        index = self._index = await asyncio.to_thread(lambda: Index.open(self._path, writable=writable))
        if index.rebuilt is not None:
            self._log.warning("%s", index.rebuilt)
        snapshots: list[Snapshot] = []

        def load() -> None:
            snapshots.extend(index.load())

        await self._do(load)
        self._registry.snapshots = {snapshot.job_id: snapshot for snapshot in snapshots}

    async def keep(self) -> None:
        """Save again and again."""
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            await self.save()

    async def keep_curves(self) -> None:
        """Have curves taken in while their jobs run, and to their end: nobody need ask for that."""
        prepared = False
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            if self._registry.trackers and not prepared:
                # What curves are made with takes a moment to load, for which the first who looks at one need not wait.
                prepared = True
                await asyncio.to_thread(prepare)
            for tracker in list(self._changed):
                await self._look_after_curves(tracker)

    async def save(self) -> None:
        """Save every job of which something new is known."""
        changed = {tracker for tracker in self._registry.trackers.values() if tracker.unsaved}
        self._changed |= changed
        if self._index is not None:
            again, self._again = self._again, set()
            await self._save(changed | again)

    async def rebuild(self) -> int:
        """Fold every job anew from its directory and fill an empty index with that; how many jobs those are."""
        trackers = list(self._registry.trackers.values())
        for tracker in trackers:
            await tracker.refold()
        if self._index is not None:
            await self._do(self._index.clear)
        await self._save(trackers)
        for tracker in trackers:
            await tracker.curves.begin_again()
            await self._catch_up(tracker)
        return len(trackers)

    async def forget(self, job_id: str) -> None:
        """A job is deleted."""
        if self._index is not None:
            index = self._index
            async with self._writing:
                await self._do(lambda: index.forget(job_id))

    async def close(self) -> None:
        """Save what is left to save."""
        if self._writable:
            await self.save()
        await self._close_index()

    async def _close_index(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            await asyncio.to_thread(index.close)

    async def _look_after_curves(self, tracker: Tracker) -> None:
        known, ended, curves = self._registry.knows(tracker), tracker.job.status.ended, tracker.curves
        if not known or ended:
            # One that is resumed is saved again.
            self._changed.discard(tracker)
        points = sum(summary.count for summary in tracker.series.values())
        behind = tracker.seq - curves.seq >= _RECORDS_BEHIND or points - curves.points >= _POINTS_BEHIND
        if known and (ended or behind):
            await self._catch_up(tracker)
            if ended and curves.unsaved:
                self._changed.add(tracker)

    async def _catch_up(self, tracker: Tracker) -> None:
        try:
            await tracker.curves.catch_up()
        except OSError as error:
            self._complain(error)

    async def _save(self, trackers: Collection[Tracker]) -> None:
        async with self._writing:
            # One may have been deleted meanwhile.
            trackers = [tracker for tracker in trackers if self._registry.knows(tracker)]
            if self._index is None or not trackers:
                return
            index, snapshots = self._index, [tracker.snapshot() for tracker in trackers]
            if not await self._do(lambda: index.save(snapshots)):
                self._again.update(trackers)

    async def _do(self, work: Callable[[], None]) -> bool:
        """Whether the index did it; where it was lost everything is to be saved again."""
        try:
            await asyncio.to_thread(work)
        except IndexLost as lost:
            self._note_loss(lost)
            return False
        except IndexUnavailable as error:
            # Jobs are known without it; only the next start takes longer.
            self._complain(error)
            return False
        self._complained = False
        return True

    def _note_loss(self, lost: IndexLost) -> None:
        self._log.warning("%s", lost)
        self._again = set(self._registry.trackers.values())

    def _complain(self, error: OSError) -> None:
        """Once, until it is over."""
        if not self._complained:
            self._log.warning("%s", error)
        self._complained = True
