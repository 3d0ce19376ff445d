"""Who uses a GPU, as its driver lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .units import gigabytes


@dataclass(frozen=True)
class GpuProcess:
    """A process that uses a GPU, and how much of its memory; None where the driver does not tell.

    ``graphics`` marks one that only draws there (a desktop, a browser) and computes nothing; ``job_id`` is the job
    that it belongs to. In a container the driver may leave out the processes of others, or tell pids that mean
    nothing here.
    """

    pid: int
    memory_used_gb: float | None = None
    graphics: bool = False
    utilization_percent: float | None = None
    job_id: str | None = None


def gpu_processes(
    compute: Iterable[Any] | None,
    graphics: Iterable[Any] | None,
    busy: Iterable[Any] | None,
    job_of: Callable[[int], str | None],
) -> tuple[GpuProcess, ...] | None:
    """NVML's lists as one, each process once; None where the driver does not list those that compute.

    `busy` are samples of what processes made the GPU do lately, None where the driver tells none.
    """
    if compute is None:
        return None
    infos = {info.pid: (info, True) for info in graphics or ()} | {info.pid: (info, False) for info in compute}
    latest = {sample.pid: sample.smUtil for sample in sorted(busy or (), key=lambda sample: sample.timeStamp)}
    return tuple(
        GpuProcess(
            pid,
            None if info.usedGpuMemory is None else gigabytes(info.usedGpuMemory),
            draws,
            # The driver leaves out who did nothing.
            None if busy is None else min(100.0, float(latest.get(pid, 0))),
            job_of(pid),
        )
        for pid, (info, draws) in infos.items()
    )
