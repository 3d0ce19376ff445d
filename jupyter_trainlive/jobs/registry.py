"""The jobs of one folder: found in their directories, read once, and forgotten when their directory is gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any

from ..protocol.checks import JOB_NAME_LIMIT
from ..protocol.jobdir import JobDir, is_job_id
from .errors import UnknownJob
from .snapshots import Snapshot
from .tracker import Tracker, load

#: A directory this young may be about to be written by another server.
_YOUNG_SECONDS = 60.0

AnyLogger = Logger | LoggerAdapter[Any]


class Registry:
    """Knows a tracker for each job.

    `prepare` is called, in a thread, with every tracker before it reads its journals, and `adopt` is awaited with it
    afterwards.
    """

    def __init__(
        self,
        jobs_dir: Path,
        log: AnyLogger,
        prepare: Callable[[Tracker], None],
        adopt: Callable[[Tracker], Awaitable[None]],
    ) -> None:
        self.jobs_dir = jobs_dir
        self.trackers: dict[str, Tracker] = {}
        #: What the index knew of jobs that were not looked at yet.
        self.snapshots: dict[str, Snapshot] = {}
        self._log = log
        self._prepare = prepare
        self._adopt = adopt
        self._finding: dict[str, asyncio.Task[None]] = {}
        self._unreadable: set[str] = set()
        self._deleted: set[str] = set()

    async def get(self, job_id: str) -> Tracker:
        """The tracker of one job; raises UnknownJob."""
        if job_id not in self.trackers and is_job_id(job_id):
            # One that is under way may have begun before the job was there.
            under_way = job_id in self._finding
            await self._find(job_id)
            if under_way and job_id not in self.trackers:
                await self._find(job_id)
        try:
            return self.trackers[job_id]
        except KeyError:
            raise UnknownJob(job_id) from None

    def knows(self, tracker: Tracker) -> bool:
        """Whether the job is still there."""
        return self.trackers.get(tracker.job_dir.job_id) is tracker

    async def discover(self) -> None:
        """Know the jobs that are there, and no longer those whose directories were removed."""
        known = set(self.trackers)
        try:
            names = set(await asyncio.to_thread(os.listdir, self.jobs_dir))
        except (FileNotFoundError, NotADirectoryError):
            names = set()
        for job_id in known - names:
            tracker = self.trackers.pop(job_id, None)
            if tracker is not None:
                self._say_that_it_is_gone(tracker)
        await asyncio.gather(*(self._find(name) for name in names - known if is_job_id(name)))

    def forget(self, tracker: Tracker) -> None:
        """Know a job no longer, though its directory is still there: it is being deleted."""
        self._deleted.add(tracker.job_dir.job_id)
        self.trackers.pop(tracker.job_dir.job_id, None)

    def keep(self, tracker: Tracker) -> None:
        """Know a job again that could not be deleted."""
        self._deleted.discard(tracker.job_dir.job_id)
        self.trackers[tracker.job_dir.job_id] = tracker

    def _say_that_it_is_gone(self, tracker: Tracker) -> None:
        job = tracker.job
        words = "The directory of job %s was removed by somebody else; the job is forgotten."
        if job.occupied:
            words += f" Its process (pid {job.now.process.pid}) was there, and may still be."
        self._log.warning(words, job.job_id)

    async def _find(self, job_id: str) -> None:
        """Know the job in that directory, if there is one; several who ask wait for the same reading."""
        if job_id not in self._finding:
            self._finding[job_id] = asyncio.create_task(self._read(job_id))
        try:
            await asyncio.shield(self._finding[job_id])
        finally:
            self._finding.pop(job_id, None)

    async def _read(self, job_id: str) -> None:
        job_dir = JobDir(self.jobs_dir / job_id)
        if job_id in self.trackers or job_id in self._deleted or not await asyncio.to_thread(job_dir.path.is_dir):
            return
        try:
            tracker = await asyncio.to_thread(self._load, job_dir)
            while not await tracker.catch_up():
                pass
        except (OSError, ValueError) as error:
            young = await asyncio.to_thread(_age_seconds, job_dir.path) <= _YOUNG_SECONDS
            if not young and job_id not in self._unreadable:
                self._unreadable.add(job_id)
                self._log.warning("The job in %s can't be read and is left alone: %s", job_dir.path, error)
            return
        if job_id in self._deleted:
            return
        self.trackers[job_id] = tracker
        await self._adopt(tracker)

    def _load(self, job_dir: JobDir) -> Tracker:
        spec = job_dir.read_spec()
        # Who writes a directory by himself may call it whatever he likes.
        if "name" in spec:
            spec["name"] = str(spec["name"] or "")[:JOB_NAME_LIMIT]
        tracker = load(job_dir, spec, self.snapshots.pop(job_dir.job_id, None))
        self._prepare(tracker)
        return tracker


def _age_seconds(path: Path) -> float:
    """Seconds since the file was written; 0 where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
