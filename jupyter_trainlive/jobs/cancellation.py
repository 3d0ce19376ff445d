"""Cancelling with growing insistence: the flag at a step, interrupt, terminate, kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
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


async def escalate(tracker: Tracker, graces: Graces) -> None:
    """See a job to its end, with no more force than needed; every step taken is noted in its journal."""
    heeded = tracker.job.now.training.segments > 0
    flag = graces.flag if heeded else min(graces.flag, _NO_TRAINER_SECONDS)
    if await tracker.until(_gone, flag):
        return
    if tracker.job.now.process.pid is None:
        await tracker.until(lambda job: job.now.process.pid is not None or _gone(job), _KILL_SECONDS)
    for to, number, grace in (
        ("interrupt", signal.SIGINT, graces.interrupt),
        ("terminate", signal.SIGTERM, graces.terminate),
        ("kill", signal.SIGKILL, _KILL_SECONDS),
    ):
        if _gone(tracker.job):
            return
        await tracker.note("escalated", to=to)
        await asyncio.to_thread(send, tracker.job, number)
        if await tracker.until(_gone, grace):
            return


def _gone(job: Job) -> bool:
    return not job.running


def send(job: Job, number: int) -> None:
    """Send a signal to a job's processes, if they are there."""
    process = job.now.process
    if process.pid is None or not is_alive(process.pid, process.start_time, process.boot_id):
        return
    if number == signal.SIGINT:
        # The kernel alone: its workers would die of an interrupt meant for the cell.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
    else:
        signal_group(process.pid, number)
