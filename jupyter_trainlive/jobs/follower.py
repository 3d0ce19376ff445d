"""Follows every job that has not ended: its journals, its place among the living, and what is due by its state."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..kernels.launcher import remove_sockets
from ..protocol.doorbell import UNTOLD_SECONDS
from ..protocol.states import Job, Status
from .intake import IntakeLimits, Pace
from .registry import AnyLogger, Registry
from .stalls import StallWatch
from .supervisor import Supervisor
from .tracker import Tracker

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

    async def adopt(self, tracker: Tracker, registry: Registry) -> None:
        """Know a job from now on; follow it if it is active."""
        if tracker.job.status.ended:
            await asyncio.to_thread(remove_sockets, tracker.job_dir)
            return
        self.follow(tracker, registry)
        if self._owner.owns:
            self.see_to(tracker)

    def see_to(self, tracker: Tracker) -> None:
        """What the owner of the folder does for a job that it finds active."""
        job = tracker.job
        if job.status.ended:
            return
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

    def follow(self, tracker: Tracker, registry: Registry) -> None:
        """Follow an active job to its end."""
        if tracker not in self._followed:
            self._followed.add(tracker)
            self._count()
            self._owner.spawn(self._follow(tracker, registry))

    async def _follow(self, tracker: Tracker, registry: Registry) -> None:
        refused, looked_at, news_at = False, 0.0, 0.0
        stalls, pace = self._supervisor.stall_watch(), Pace(self._owner.intake.points_per_second)
        try:
            while not tracker.job.status.ended and registry.knows(tracker):
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
                    if self._owner.owns and (now - looked_at >= self._owner.poll_interval or not tracker.job.running):
                        looked_at = now
                        await self._mind(tracker, stalls)
                    if not tracker.job.status.ended:
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

    async def _mind(self, tracker: Tracker, stalls: StallWatch) -> None:
        """What is due for a job that was just caught up with."""
        stall = stalls.look(tracker.job, time.monotonic())
        if stall is not None:
            await tracker.note("alert", name="stalled", message=stall, step=tracker.job.training.step)
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


def _is_active(job: Job) -> bool:
    return not job.status.ended and job.status is not Status.PAUSED
