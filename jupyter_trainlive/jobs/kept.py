"""A kernel that is kept after the end of its job's work: what memory it holds, how it is interrupted, how it ends."""

from __future__ import annotations

import asyncio
import importlib
import signal
import time
from typing import Any

from ..kernels.processes import is_alive
from ..protocol.states import Job
from ..protocol.values import clock
from .cancellation import Graces, send
from .tracker import Tracker

#: One that is there so long after its time does not end by itself any more.
_OVERDUE_SECONDS = 30.0
_KILL_SECONDS = 30.0
_BYTES_PER_GB = 2**30


def holder(job: Job) -> str:
    """Who holds what a job occupies, in words: "job docs-sft", or that its kernel is kept, and until when."""
    name = f"job {job.spec.get('name') or job.job_id}"
    return name if job.kept_until is None else f"{name}, whose kernel is kept until {clock(job.kept_until)}"


def is_overdue(job: Job) -> bool:
    """Whether the kernel should be gone by now."""
    return job.kept_until is not None and time.time() > job.kept_until + _OVERDUE_SECONDS


def memory_gb(job: Job) -> float | None:
    """Memory of this machine that a kept kernel and its children hold, in 2**30 bytes; None where nobody can tell."""
    process = job.now.process
    if job.kept_until is None or not is_alive(process.pid, process.start_time, process.boot_id):
        return None
    psutil: Any = importlib.import_module("psutil")  # here, not above: a server without kept kernels never needs it
    try:
        kernel = psutil.Process(process.pid)
        held = kernel.memory_info().rss
        children = kernel.children(recursive=True)
    except psutil.Error:
        return None
    for child in children:
        try:
            held += child.memory_info().rss
        except psutil.Error:
            # Gone meanwhile.
            continue
    return float(round(held / _BYTES_PER_GB, 3))


async def interrupt(job: Job) -> None:
    """Stop the cell that a kept kernel runs; without one nothing happens."""
    if job.kept_until is not None:
        await asyncio.to_thread(send, job, signal.SIGINT)


async def end_kernel(tracker: Tracker, graces: Graces) -> None:
    """See a kept kernel to its end, which was asked for in control.json: by itself, or with force where it does not."""
    if await tracker.until(_gone, graces.flag):
        return
    for number, grace in ((signal.SIGTERM, graces.terminate), (signal.SIGKILL, _KILL_SECONDS)):
        await asyncio.to_thread(send, tracker.job, number)
        if await tracker.until(_gone, grace):
            return


def _gone(job: Job) -> bool:
    return job.kept_until is None
