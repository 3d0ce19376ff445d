"""The host's CPU and memory, through psutil; inside a container, of what the container is given."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cgroup import Cgroup
from .units import gigabytes

FIRST_LOOK_SECONDS = 0.1
FORGET_AFTER_SECONDS = 10.0


@dataclass(frozen=True)
class Host:
    """CPU and memory at one moment.

    Under a control group's CPU quota, ``cpu_percent`` is the group's use of its quota and ``cpu_count`` the
    quota rounded up; else both are the machine's. 100 percent is all of the CPUs. Memory is the group's where
    its limit is below the machine's. What can be freed at need (file cache) does not count as used.
    """

    cpu_percent: float
    cpu_count: int
    memory_used_gb: float
    memory_total_gb: float


@dataclass(frozen=True)
class _Mark:
    """CPU seconds used, and CPU seconds there were to use, both counted from some moment long ago."""

    time: float
    limit_cpus: float | None
    used: float
    offered: float


class HostReader:
    """Reads the host. ``cpu_percent`` is the mean since the last `read`.

    At the first `read`, and after a pause so long that a mean would say nothing about now, it looks twice,
    `FIRST_LOOK_SECONDS` apart, and so blocks for that long. Not thread-safe.
    """

    def __init__(
        self,
        *,
        cgroup: Cgroup | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cgroup = cgroup or Cgroup()
        self._clock = clock
        self._sleep = sleep
        self._last: _Mark | None = None

    def read(self) -> Host:
        """CPU and memory now."""
        psutil: Any = importlib.import_module("psutil")  # here, not above: nobody pays for it who never reads
        cpu_count = psutil.cpu_count() or 1
        memory = psutil.virtual_memory()
        used_bytes, total_bytes = memory.total - memory.available, memory.total
        limit = self._cgroup.memory()
        if limit is not None and limit.limit_bytes < total_bytes:
            used_bytes, total_bytes = limit.used_bytes, limit.limit_bytes
        mark, cpu_percent = self._cpu(psutil.cpu_times, cpu_count)
        return Host(
            cpu_percent=cpu_percent,
            cpu_count=cpu_count if mark.limit_cpus is None else math.ceil(mark.limit_cpus),
            memory_used_gb=gigabytes(used_bytes),
            memory_total_gb=gigabytes(total_bytes),
        )

    def _cpu(self, cpu_times: Callable[[], Any], cpu_count: int) -> tuple[_Mark, float]:
        """A mark of now, and the percentage since the last one."""
        last, now = self._last, self._mark(cpu_times, cpu_count)
        if last is None or last.limit_cpus != now.limit_cpus or now.time - last.time > FORGET_AFTER_SECONDS:
            self._sleep(FIRST_LOOK_SECONDS)
            last, now = now, self._mark(cpu_times, cpu_count)
        self._last = now
        offered = now.offered - last.offered
        return now, min(100.0, max(0.0, 100 * (now.used - last.used) / offered)) if offered > 0 else 0.0

    def _mark(self, cpu_times: Callable[[], Any], cpu_count: int) -> _Mark:
        now, limit = self._clock(), self._cgroup.cpu()
        if limit is not None and limit.cpus < cpu_count:
            return _Mark(now, limit.cpus, limit.used_seconds, now * limit.cpus)
        times: dict[str, float] = cpu_times()._asdict()
        # The kernel counts a guest's time as user time too, and waiting for a disk as neither.
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        return _Mark(now, None, total - times["idle"] - times.get("iowait", 0.0), total)
