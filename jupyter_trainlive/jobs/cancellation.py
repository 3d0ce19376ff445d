"""Cancelling with growing insistence: the flag at a step, interrupt, terminate, kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..kernels.processes import is_alive, signal_group
from ..protocol.states import Job
from .tracker import Tracker

#: A job without a trainer that reads the flag need not be waited for.
_NO_TRAINER_SECONDS = 0.5
_KILL_SECONDS = 30.0


@dataclass(frozen=True)
class Graces:
    """Seconds that each strength has before the next one is taken."""

    flag: float
    interrupt: float
    terminate: float


async def escalate(tracker: Tracker, graces: Graces, note: Callable[..., Awaitable[None]]) -> None:
    """See a job to its end, with no more force than needed; every step taken is noted in its journal."""
    flag = graces.flag if tracker.job.training.segments else min(graces.flag, _NO_TRAINER_SECONDS)
    if await tracker.until(lambda job: job.status.ended, flag):
        return
    if tracker.job.process.pid is None:
        await tracker.until(lambda job: job.process.pid is not None or job.status.ended, _KILL_SECONDS)
    for to, number, grace in (
        ("interrupt", signal.SIGINT, graces.interrupt),
        ("terminate", signal.SIGTERM, graces.terminate),
        ("kill", signal.SIGKILL, _KILL_SECONDS),
    ):
        if tracker.job.status.ended:
            return
        await note(tracker, "escalated", to=to)
        await asyncio.to_thread(_send, tracker.job, number)
        if await tracker.until(lambda job: job.status.ended, grace):
            return


def _send(job: Job, number: int) -> None:
    pid = job.process.pid
    if pid is None or not is_alive(pid, job.process.start_time):
        return
    if number == signal.SIGINT:
        # The kernel alone: its workers would die of an interrupt meant for the cell.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    else:
        signal_group(pid, number)
