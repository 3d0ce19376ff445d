"""What part of each GPU is a job's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..protocol.states import Job
from ..system import Gpu, GpuProcess, Sample


def reading(sample: Sample, jobs: Iterable[Job]) -> dict[str, Any]:
    """A reading of the machine as it travels, where each GPU says which of the `jobs` are on it."""
    told, jobs = sample.as_dict(), list(jobs)
    for gauges, gpu in zip(told["gpus"], sample.gpus, strict=True):
        gauges["jobs"] = shares(gpu, jobs)
    return told


def shares(gpu: Gpu, jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """[{"job_id", "name", "memory_used_gb", "utilization_percent"}] of the jobs that leased a GPU or are seen on it.

    None is what nobody can tell: the driver of a container may not know the container's processes, an older one not
    what each of them does.
    """
    processes = gpu.processes or ()
    found = []
    for job in jobs:
        own = [process for process in processes if process.job_id == job.job_id]
        if own or (gpu.uuid is not None and gpu.uuid in job.now.server.gpus):
            found.append(
                {
                    "job_id": job.job_id,
                    "name": job.spec.get("name"),
                    "memory_used_gb": _rounded(_sum([process.memory_used_gb for process in own])),
                    "utilization_percent": _utilization(gpu, own, processes),
                }
            )
    return found


def _utilization(gpu: Gpu, own: Sequence[GpuProcess], processes: Sequence[GpuProcess]) -> float | None:
    told = _sum([process.utilization_percent for process in own])
    if told is not None:
        return min(100.0, told)
    # Who computes there alone does all that is done.
    alone = bool(own) and all(process in own or process.graphics for process in processes)
    return gpu.utilization_percent if alone else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
