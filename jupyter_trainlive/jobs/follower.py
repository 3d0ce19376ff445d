"""Follows every job of which something is there: its journals, its place among the living, what is due by its state."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..kernels.launcher import remove_sockets
from ..protocol.doorbell import UNTOLD_SECONDS
from ..protocol.states import Job, Status
from ..system import Sample
from .intake import IntakeLimits, Pace
from .kept import is_overdue
from .registry import AnyLogger, Registry
from .supervisor import Supervisor
from .tracker import Tracker
from .watch import JobWatch

_OBEYING = (Status.PAUSING, Status.CANCELLING)
#: A job's journals are read at once after a quiet moment, then so often at the most.
_TICK_SECONDS = 1 / 30
#: Between two readings of which the first brought nothing.
_LEAST_SECONDS = 0.002


class Owner(Protocol):
    """What the follower needs of the manager."""

    @property
    def owns(self) -> bool: ...

    @property
    def poll_interval(self) -> float: ...

    @property
    def intake(self) -> IntakeLimits: ...

    @property
    def gauges(self) -> Callable[[], Sample | None]:
        """The latest reading of the machine, where somebody reads it."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...

    async def went_by_itself(self, tracker: Tracker) -> None:
        """A job was resumed while it left, or was interrupted."""


class Follower:
    """One task for each active job. `wake` is called when the queue may have something to do."""

    def __init__(self, owner: Owner, supervisor: Supervisor, log: AnyLogger, wake: Callable[[], None]) -> None:
        self._owner = owner
        self._supervisor = supervisor
        self._log = log
        self._wake = wake
        self._followed: set[Tracker] = set()
        self._active = 0
        #: Called with the number of active jobs whenever it changes.
        self.on_activity: Callable[[int], None] = lambda active: None

    @property
    def active(self) -> int:
        """How many jobs run, or wait to: paused ones do neither."""
        return self._active

    @property
    def occupied(self) -> list[Job]:
        """The jobs of which processes are there, in the order of their ids. May be asked from any thread."""
        jobs = [tracker.job for tracker in list(self._followed)]
        return sorted((job for job in jobs if job.occupied), key=lambda job: job.job_id)

    async def adopt(self, tracker: Tracker, registry: Registry) -> None:
        """Know a job from now on; follow it if it is active, or its kernel is there."""
        if _is_over(tracker.job):
            await asyncio.to_thread(remove_sockets, tracker.job_dir)
            return
        self.follow(tracker, registry)
        if self._owner.owns:
            self.see_to(tracker)

    def see_to(self, tracker: Tracker) -> None:
        """What the owner of the folder does for a job that it finds active."""
        job = tracker.job
        if _is_over(job):
            return
        if job.kept_until is not None and job.now.server.end_kernel_requested_at is not None:
            self._owner.spawn(self._end_kernel(tracker))
        if job.running:
            self._owner.spawn(self._reattach(tracker))
            if job.now.server.cancel_requested_at is not None:
                self._owner.spawn(self._supervisor.cancel(tracker))
        self._wake()

    async def _reattach(self, tracker: Tracker) -> None:
        # An earlier server may have been killed between its journal and control.json, or the file be damaged.
        with contextlib.suppress(OSError):
            await self._supervisor.tell(tracker)
        await self._supervisor.reattach(tracker)
        # A launch that led to nothing is to be made again.
        self._wake()

    async def _end_kernel(self, tracker: Tracker) -> None:
        # As for a job that runs, control.json may say something else than the journal.
        with contextlib.suppress(OSError):
            await self._supervisor.tell(tracker)
        await self._supervisor.end_kernel(tracker)

    def follow(self, tracker: Tracker, registry: Registry) -> None:
        """Follow an active job to its end, and a kept kernel to its."""
        if tracker not in self._followed:
            self._followed.add(tracker)
            self._count()
            self._owner.spawn(self._follow(tracker, registry))

    async def _follow(self, tracker: Tracker, registry: Registry) -> None:
        refused, looked_at, news_at, kept, overdue = False, 0.0, 0.0, False, False
        watch, pace = self._supervisor.watch(tracker.job), Pace(self._owner.intake.points_per_second)
        try:
            while not _is_over(tracker.job) and registry.knows(tracker):
                try:
                    began, job, points = time.monotonic(), tracker.job, tracker.points
                    complete = await tracker.catch_up()
                    now = time.monotonic()
                    if tracker.job is not job or tracker.points > points:
                        news_at = began
                    wait = pace.took(tracker.points - points, now)
                    # Whoever stops or holds a job wants to see that it obeyed.
                    await asyncio.sleep(0 if tracker.job.status in _OBEYING else wait)
                    if self._owner.owns and pace.hasty(now):
                        await self._alert_once(tracker, "too_many_points", self._owner.intake.too_many_points())
                    if not complete:
                        continue
                    self._count()
                    if tracker.job.kept_until is not None and not kept and self._owner.owns:
                        kept = True
                        # The training itself has said how it ended, but knows less of its job than the server.
                        await self._supervisor.write_progress(tracker)
                        self._wake()
                    if self._owner.owns and (now - looked_at >= self._owner.poll_interval or not tracker.job.running):
                        looked_at = now
                        await self._mind(tracker, watch)
                    if is_overdue(tracker.job) and not overdue and self._owner.owns:
                        overdue = True
                        self._log.warning("The kept kernel of job %s does not end by itself.", tracker.job.job_id)
                        self._owner.spawn(self._supervisor.end_kernel(tracker))
                    if not _is_over(tracker.job):
                        # A job that has just rung may have more, of which it doesn't tell.
                        soon = time.monotonic() - news_at < UNTOLD_SECONDS + _TICK_SECONDS
                        await tracker.rung(_TICK_SECONDS if soon else self._owner.poll_interval)
                        # Many rings, one reading; and rings that bring nothing, whoever sends them, cost little.
                        rest = max(news_at + _TICK_SECONDS, began + _LEAST_SECONDS) - time.monotonic()
                        await asyncio.sleep(max(0.0, rest))
                except OSError as error:
                    # A full disk, too few file descriptors: it is followed again when that is over.
                    if not refused:
                        refused = True
                        self._log.warning("Job %s can't be followed: %s", tracker.job_dir.job_id, error)
                    await asyncio.sleep(self._owner.poll_interval)
                    await registry.discover()
        finally:
            self._followed.discard(tracker)
            self._count()
        tracker.put(None)
        await asyncio.to_thread(remove_sockets, tracker.job_dir)
        self._wake()
        if self._owner.owns and registry.knows(tracker) and tracker.job.status is Status.INTERRUPTED:
            await self._owner.went_by_itself(tracker)

    async def _mind(self, tracker: Tracker, watch: JobWatch) -> None:
        """What is due for a job that was just caught up with."""
        for name, sentence in watch.look(tracker.job, self._owner.gauges(), time.monotonic()):
            await tracker.note("alert", name=name, message=sentence, step=tracker.job.training.step)
        if tracker.refused_series is not None:
            sentence = self._owner.intake.too_many_series(tracker.refused_series)
            await self._alert_once(tracker, "too_many_series", sentence)
        await self._supervisor.notice_loss(tracker)
        job = tracker.job
        if job.status is not Status.QUEUED:
            tracker.put(None)
        if job.released:
            self._wake()
            if job.now.server.pause is None:
                await self._owner.went_by_itself(tracker)

    async def _alert_once(self, tracker: Tracker, name: str, message: str) -> None:
        if all(alert.name != name for alert in tracker.job.server.alerts):
            await tracker.note("alert", name=name, message=message, step=tracker.job.training.step)

    def _count(self) -> None:
        active = sum(_is_active(tracker.job) for tracker in self._followed)
        if active != self._active:
            self._active = active
            self.on_activity(active)


def _is_over(job: Job) -> bool:
    """Whether nothing of it is there any more."""
    return job.status.ended and not job.occupied


def _is_active(job: Job) -> bool:
    return not job.status.ended and job.status is not Status.PAUSED
