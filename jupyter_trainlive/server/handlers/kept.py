"""Kept kernels: consoles on them, their memory, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ...jobs.kept import memory_gb
from ...jobs.tracker import Tracker
from ...protocol.messages import job_view
from .base import ApiBase, allowed


class EndKernelHandler(ApiBase):
    """``POST api/training/jobs/{id}/end_kernel``"""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        self.answer(job_view(await self.services.manager.end_kernel(job_id)), status=202)


class ConsoleHandler(ApiBase):
    """``POST api/training/jobs/{id}/console``: have the server's kernel API know the kept kernel, and by which id."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        self.answer({"kernel_id": self.services.consoles.open(tracker)})


async def with_memory(views: Iterable[dict[str, Any]], trackers: Iterable[Tracker]) -> list[dict[str, Any]]:
    """The jobs' views, in which kept kernels say how much memory they hold; both in the same order."""
    told = list(views)
    for view, tracker in zip(told, trackers, strict=True):
        if view["kept"] is not None:
            view["kept"]["memory_gb"] = await asyncio.to_thread(memory_gb, tracker.job)
    return told
