"""Who uses a GPU, as its driver lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .units import gigabytes


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU, and how much of its memory; None where the driver does not tell.

    ``graphics`` marks one that only draws there (a desktop, a browser) and computes nothing. In a container
    the driver may leave out the processes of others, or tell pids that mean nothing here.
    """

    pid: int
    memory_used_gb: float | None = None
    graphics: bool = False


def gpu_processes(compute: Iterable[Any] | None, graphics: Iterable[Any] | None) -> tuple[GpuProcess, ...] | None:
    """NVML's two lists as one, each process once; None where the driver does not list those that compute."""
    if compute is None:
        return None
    computing = {info.pid: _process(info) for info in compute}
    drawing = {info.pid: _process(info, graphics=True) for info in graphics or ()}
    return tuple((drawing | computing).values())


def _process(info: Any, *, graphics: bool = False) -> GpuProcess:
    used_bytes = info.usedGpuMemory
    return GpuProcess(info.pid, None if used_bytes is None else gigabytes(used_bytes), graphics)
