"""Who uses a GPU that none of our jobs has leased, in words."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from ..system import Gpu

#: Memory that a driver, a small desktop or a context at rest may take without anybody computing there.
_UNSEEN_GB = 1.0


def foreign_holder(gpu: Gpu, own_pids: frozenset[int], describe: Callable[[int], str | None]) -> str | None:
    """Who keeps this GPU busy, as "python of alice (pid 1234)"; None where it is free.

    Ask it of a GPU that none of our jobs has leased; ``own_pids`` are the processes of all our jobs, which never
    count as foreign. Busy is what other processes compute on. Where more than 1 GB of its memory is used
    and no process is seen to have it, somebody computes there whom the driver does not show, as happens
    across containers. What only draws a desktop leaves the GPU free.
    """
    processes = gpu.processes or ()
    foreign = [process for process in processes if not process.graphics and process.pid not in own_pids]
    if foreign:
        first = max(foreign, key=lambda process: process.memory_used_gb or 0.0)
        words = describe(first.pid) or f"a process that can't be seen from here (pid {first.pid})"
        return words if len(foreign) == 1 else f"{words} and {len(foreign) - 1} more"
    if gpu.memory_used_gb is None or any(process.memory_used_gb is None for process in processes):
        return None
    unseen_gb = gpu.memory_used_gb - sum(process.memory_used_gb or 0.0 for process in processes)
    return f"something that can't be seen from here ({unseen_gb:.1f} GB)" if unseen_gb > _UNSEEN_GB else None


def describe(pid: int) -> str | None:
    """A process of this machine, as "python of alice (pid 1234)"; None where there is none that can be seen."""
    psutil: Any = importlib.import_module("psutil")  # here, not above: a server without GPUs never needs it
    try:
        process = psutil.Process(pid)
        return f"{process.name()} of {process.username()} (pid {pid})"
    except psutil.Error:
        return None
