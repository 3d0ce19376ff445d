"""Housekeeping: deleting jobs, and the rules of retention applied to what lies there."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..protocol.checkpoints import is_complete
from ..protocol.moves import Action, refusal
from ..protocol.values import number
from .errors import InvalidRequest
from .inputs import clear_inbox
from .registry import AnyLogger, Registry
from .retention import Kept, Removal, finish_deletions, measure, plan, remove
from .tracker import Tracker

_INTERVAL_SECONDS = 3600.0
_FIELDS = ("max_age_days", "max_total_gb", "dry_run")


@dataclass(frozen=True)
class Limits:
    """Ended jobs older than the one, or beyond the other altogether (GB are 2**30 bytes), go. None: no limit."""

    max_age_days: float | None
    max_total_gb: float | None


class Housekeeping:
    """Deletes; `forget` is awaited with each job that is gone."""

    def __init__(self, registry: Registry, limits: Limits, forget: Callable[[str], Awaitable[None]]) -> None:
        self._registry = registry
        self._limits = limits
        self._forget = forget

    async def keep(self, log: AnyLogger) -> None:
        """Finish what an earlier server began to delete, then apply the configured limits now and every hour.

        What clients left in the inbox goes as well.
        """
        try:
            await asyncio.to_thread(finish_deletions, self._registry.jobs_dir)
        except OSError as error:
            log.warning("What was deleted before could not be removed altogether: %s", error)
        while True:
            try:
                await asyncio.to_thread(clear_inbox, self._registry.jobs_dir)
                if self._limits != Limits(None, None):
                    for removal in await self._clean(self._limits, dry_run=False):
                        log.info("Housekeeping: %s", removal.reason)
            except OSError as error:
                log.warning("Housekeeping failed: %s", error)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def delete(self, tracker: Tracker) -> None:
        """Delete a job with all its files."""
        await self._remove(tracker, None)

    async def clean(self, request: object) -> dict[str, Any]:
        """Apply the limits of a request, or those configured; with "dry_run" only say what would go.

        Returns {"removed": [{"job_id", "path", "size_bytes", "reason"}], "freed_bytes", "dry_run"}; raises
        InvalidRequest.
        """
        limits, dry_run = self._request(request)
        removals = await self._clean(limits, dry_run=dry_run)
        return {
            "removed": [
                {
                    "job_id": removal.job_id,
                    "path": removal.path,
                    "size_bytes": removal.size_bytes,
                    "reason": removal.reason,
                }
                for removal in removals
            ],
            "freed_bytes": sum(removal.size_bytes for removal in removals),
            "dry_run": dry_run,
        }

    def _request(self, request: object) -> tuple[Limits, bool]:
        if not isinstance(request, dict):
            raise InvalidRequest("body", "must be a JSON object")
        for name in request:
            if name not in _FIELDS:
                raise InvalidRequest(name, f"is not a field here; known are {', '.join(_FIELDS)}")
        dry_run = request.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise InvalidRequest("dry_run", "must be true or false")
        limits = Limits(_limit(request, "max_age_days"), _limit(request, "max_total_gb"))
        if limits == Limits(None, None):
            limits = self._limits
        if limits == Limits(None, None):
            raise InvalidRequest("max_age_days", "or max_total_gb must be given, since none is configured")
        return limits, dry_run

    async def _clean(self, limits: Limits, *, dry_run: bool) -> list[Removal]:
        trackers = dict(self._registry.trackers)
        kept = [await asyncio.to_thread(_kept, tracker) for tracker in trackers.values()]
        removals = plan(kept, now=time.time(), max_age_days=limits.max_age_days, max_total_gb=limits.max_total_gb)
        if dry_run:
            return removals
        done, refused = list[Removal](), list[OSError]()
        for removal in removals:
            tracker = trackers[removal.job_id]
            async with tracker.deciding:
                # It may have been resumed since it was looked at.
                job = tracker.job
                if not job.status.ended or job.occupied or not self._registry.knows(tracker):
                    continue
                try:
                    await self._remove(tracker, removal.path)
                    done.append(removal)
                except OSError as error:
                    refused.append(error)
        if refused and not done:
            raise refused[0]
        return done

    async def _remove(self, tracker: Tracker, path: str | None) -> None:
        if path is not None:
            await asyncio.to_thread(remove, tracker.job_dir, path)
            return
        # Before it goes, so that nobody takes it for removed by hand.
        self._registry.forget(tracker)
        try:
            await asyncio.to_thread(remove, tracker.job_dir, None)
        except OSError:
            if await asyncio.to_thread(tracker.job_dir.path.is_dir):
                self._registry.keep(tracker)
            raise
        await self._forget(tracker.job_dir.job_id)


def _kept(tracker: Tracker) -> Kept:
    job = tracker.job
    size, checkpoints = measure(tracker.job_dir, is_complete)
    return Kept(
        job_id=job.job_id,
        # What a kept kernel still looks at is in use.
        ended=job.status.ended and not job.occupied,
        resumable=refusal(job, Action.RESUME) is None,
        ended_at=job.ended_at,
        size_bytes=size,
        checkpoints=checkpoints,
    )


def _limit(request: dict[str, Any], name: str) -> float | None:
    given = request.get(name)
    if given is None:
        return None
    value = number(given)
    if value is None or not math.isfinite(value) or value < 0:
        raise InvalidRequest(name, "must be a number, 0 or more")
    return value
