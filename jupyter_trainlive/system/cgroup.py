"""What the control group of this process, a container's for the most part, lets it have: memory and CPU.

Rules: kernel documentation, admin-guide/cgroup-v2 and admin-guide/cgroup-v1. A limit may stand at any group
from this process's up to the root, and the tightest holds. Files that are not there (another system, a
sandbox) mean no limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes that the group may use, and uses now. File cache that can be dropped does not count as used."""

    limit_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class CpuLimit:
    """CPUs that the group may keep busy (1.5 is one and a half), and the CPU seconds it has used so far."""

    cpus: float
    used_seconds: float


class Cgroup:
    """Reads the limits afresh at each call, for they may change while the process runs. Raises nothing."""

    def __init__(self, mount: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> None:
        self._mount = mount
        self._own = own

    def memory(self) -> MemoryLimit | None:
        """The tightest memory limit, or None where there is none."""
        found = []
        for folder in self._groups(""):
            limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
            if limit is not None and used is not None:
                cache = _field(folder / "memory.stat", "inactive_file")
                found.append(MemoryLimit(limit, max(0, used - cache)))
        for folder in self._groups("memory"):
            limit = _number(folder / "memory.limit_in_bytes")
            used = _number(folder / "memory.usage_in_bytes")
            if limit is not None and used is not None:
                cache = _field(folder / "memory.stat", "total_inactive_file")
                found.append(MemoryLimit(limit, max(0, used - cache)))
        return min(found, key=lambda memory: memory.limit_bytes, default=None)

    def cpu(self) -> CpuLimit | None:
        """The tightest CPU quota, or None where there is none."""
        found = []
        for folder in self._groups(""):
            quota, _, period = _text(folder / "cpu.max").partition(" ")
            used_us = _field(folder / "cpu.stat", "usage_usec")
            if quota.isdigit() and period.isdigit():
                found.append(CpuLimit(int(quota) / int(period), used_us / 1e6))
        for folder, account in zip(self._groups("cpu"), self._groups("cpuacct"), strict=False):
            quota_us, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
            used_ns = _number(account / "cpuacct.usage")
            if quota_us is not None and quota_us > 0 and period_us and used_ns is not None:
                found.append(CpuLimit(quota_us / period_us, used_ns / 1e9))
        return min(found, key=lambda cpu: cpu.cpus, default=None)

    def _groups(self, controller: str) -> Iterator[Path]:
        """The folders of this process's group and of all above it; ``""`` is the one hierarchy of version 2.

        Inside a container the root of the mount often is the container's own group while the path is the
        host's; the folders that do not exist then hold no limits, and the root's do.
        """
        for line in _text(self._own).splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                base = self._mount / controller
                folder = base / path.strip("/")
                yield folder
                yield from (group for group in folder.parents if group == base or base in group.parents)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    """The file's one number; None for ``max`` and for no file."""
    text = _text(file)
    return int(text) if text.lstrip("-").isdigit() else None


def _field(file: Path, name: str) -> int:
    """The number after ``name`` in a file of ``name number`` lines; 0 where it is missing."""
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
