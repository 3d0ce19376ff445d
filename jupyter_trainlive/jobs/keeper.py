"""Keeps the index up to date, and knows what to do when it is lost or out of reach: nothing is lost with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from .database import IndexUnavailable
from .index import Index, IndexLost
from .registry import AnyLogger, Registry
from .snapshots import Snapshot
from .tracker import Tracker

INDEX_NAME = "index.sqlite3"
_SAVE_SECONDS = 1.0


class Keeper:
    """Saves what was folded since the last time, all jobs in one transaction, about once a second."""

    def __init__(self, registry: Registry, log: AnyLogger) -> None:
        self._registry = registry
        self._log = log
        self._path: Path = registry.jobs_dir / INDEX_NAME
        self._index: Index | None = None
        self._writable = False
        self._complained = False

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

    async def save(self) -> None:
        """Save every job of which something new is known."""
        await self._save([tracker for tracker in self._registry.trackers.values() if tracker.unsaved])

    async def rebuild(self) -> int:
        """Fold every job anew from its directory and fill an empty index with that; how many jobs those are."""
        trackers = list(self._registry.trackers.values())
        if self._index is not None:
            await self._do(self._index.clear)
        for tracker in trackers:
            await tracker.refold()
        await self._save(trackers)
        return len(trackers)

    async def forget(self, job_id: str) -> None:
        """A job is deleted."""
        if self._index is not None:
            index = self._index
            await self._do(lambda: index.forget(job_id))

    async def close(self) -> None:
        """Save what is left to save."""
        if self._writable:
            await self.save()
        await self._close_index()

    async def _close_index(self) -> None:
        if self._index is not None:
            await asyncio.to_thread(self._index.close)
            self._index = None

    async def _save(self, trackers: Sequence[Tracker]) -> None:
        if self._index is None or not trackers:
            return
        index, snapshots = self._index, [tracker.snapshot() for tracker in trackers]
        if not await self._do(lambda: index.save(snapshots)):
            for tracker in trackers:
                tracker.unsaved = True

    async def _do(self, work: Callable[[], None]) -> bool:
        """Whether the index did it; where it was lost everything is to be saved again."""
        try:
            await asyncio.to_thread(work)
        except IndexLost as lost:
            self._log.warning("%s", lost)
            for tracker in self._registry.trackers.values():
                tracker.unsaved = True
            return False
        except IndexUnavailable as error:
            # Jobs are known without it; only the next start takes longer.
            if not self._complained:
                self._log.warning("%s", error)
            self._complained = True
            return False
        self._complained = False
        return True
