"""Which waiting jobs start now, and on which GPUs: the rules of the queue applied to this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..kernels import leases
from ..protocol.states import Job, Status
from ..system import Gpu
from ..system.mask import visible
from .gpus import describe, foreign_holder
from .inventory import GpuInventory
from .kept import holder as kept_words
from .queue import Decision, Slot, Waiting, decide
from .registry import AnyLogger, Registry
from .supervisor import Supervisor
from .tracker import Tracker

#: How often the queue is looked at when nothing tells that a GPU was let go by somebody else.
_LOOK_SECONDS = 2.0


class Scheduler:
    """Starts what waits, in order, as GPUs and places become free.

    `max_concurrent` jobs run at a time; None: one per GPU, one without GPUs.
    """

    def __init__(
        self,
        inventory: GpuInventory,
        registry: Registry,
        supervisor: Supervisor,
        *,
        max_concurrent: int | None,
        lease_dir: Path | None,
    ) -> None:
        self._inventory = inventory
        self._max_concurrent = max_concurrent
        self._lease_dir = lease_dir
        self._registry = registry
        self._supervisor = supervisor
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the queue now: something in it, or what it waits for, may have changed."""
        self._woken.set()

    async def serve(self, spawn: Callable[[Coroutine[Any, Any, None]], None], log: AnyLogger) -> None:
        """Start jobs for as long as the server lives; `spawn` runs what takes longer."""
        while True:
            waiting = any(tracker.job.status is Status.QUEUED for tracker in self._registry.trackers.values())
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _LOOK_SECONDS if waiting else None)
            self._woken.clear()
            try:
                await self._start_what_may(spawn)
            except OSError as error:
                # A full disk, a directory that was removed: what can't be noted can't be started.
                log.warning("Not every job that might start can: %s", error)
                await self._registry.discover()
                await asyncio.sleep(_LOOK_SECONDS)

    async def _start_what_may(self, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        trackers = dict(self._registry.trackers)
        decision = await self.decide([tracker.job for tracker in trackers.values()])
        for job_id, place in decision.waiting.items():
            trackers[job_id].put(place if trackers[job_id].job.status is Status.QUEUED else None)
        refused = list[OSError]()
        for job_id, gpus in decision.start.items():
            tracker = trackers[job_id]
            async with tracker.deciding:
                if tracker.job.status is not Status.QUEUED or not self._registry.knows(tracker):
                    continue
                try:
                    await self._supervisor.take(tracker, gpus)
                except OSError as error:
                    refused.append(error)
                    continue
            tracker.put(None)
            spawn(self._launch(tracker, _shown(tracker.job, gpus)))
        if refused:
            raise refused[0]

    async def _launch(self, tracker: Tracker, gpus: Sequence[str] | None) -> None:
        await self._supervisor.launch(tracker, gpus)
        self.wake()

    async def count(self) -> int:
        """How many GPUs this server may hand out."""
        return len(visible(await self._inventory.read(), os.environ))

    async def decide(self, jobs: Sequence[Job]) -> Decision:
        """What to start of all jobs of the server, and what the others wait for."""
        waiting = [
            Waiting(job.job_id, job.spec.get("gpus"), _priority(job), job.server.submitted_at or 0.0, _processes(job))
            for job in jobs
            if job.status is Status.QUEUED
        ]
        slots = await self.slots(await self._inventory.read(), jobs)
        # One that records itself has asked nobody for a place.
        occupying = [job for job in jobs if job.occupied and not job.tracked]
        held = sum(job.status is Status.PAUSED for job in occupying)
        kept = [kept_words(job) for job in occupying if job.kept_until is not None]
        return decide(waiting, slots, len(occupying), self._max_concurrent, held, kept)

    async def slots(self, gpus: Sequence[Gpu], jobs: Iterable[Job]) -> list[Slot]:
        """The GPUs that may be handed out, each with who uses it."""
        leased = {uuid: job for job in jobs if job.occupied for uuid in job.now.server.gpus}
        mine = visible(gpus, os.environ)
        return await asyncio.to_thread(self._slots, mine, leased)

    def _slots(self, gpus: Sequence[Gpu], leased: dict[str, Job]) -> list[Slot]:
        slots = []
        for gpu in gpus:
            assert gpu.uuid is not None, "one without a name can't be handed out"
            slots.append(Slot(gpu.uuid, gpu.index, self._holder(gpu, gpu.uuid, leased.get(gpu.uuid))))
        return slots

    def _holder(self, gpu: Gpu, uuid: str, job: Job | None) -> str | None:
        if job is not None:
            return kept_words(job)
        if self._lease_dir is not None:
            try:
                if not leases.is_free(self._lease_dir, uuid):
                    return f"a job of another server ({leases.holder(self._lease_dir, uuid) or 'of whom is not known'})"
            except OSError as error:
                return f"nobody knows whom, since its lease can't be read: {error}"
        return foreign_holder(gpu, frozenset(), describe)


def _shown(job: Job, gpus: Sequence[str]) -> Sequence[str] | None:
    """The GPUs that a job is shown: those it leased, none where it wants none, and else what its environment shows."""
    return gpus if gpus or job.spec.get("gpus") == 0 else None


def _processes(job: Job) -> int:
    processes = job.spec.get("processes")
    return processes if type(processes) is int and processes > 0 else 1


def _priority(job: Job) -> int:
    priority = job.spec.get("priority")
    return priority if type(priority) is int else 0
