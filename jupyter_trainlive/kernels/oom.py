"""Whether the system killed a process for want of memory: it counts that, in the control group or for the machine.

Rules: kernel documentation, admin-guide/cgroup-v2 (memory.events) and admin-guide/cgroup-v1/memory
(memory.oom_control). A kill is counted before its victim is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


class OomKills:
    """Kills for want of memory since this was made, as far as they concern this process and its children.

    `own` says that they are counted for this process's control group, and not for the whole machine.
    Where the system does not count them there are none.
    """

    def __init__(self, mount: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        counters = [file for file in _counters(mount, proc) if _count(file) is not None]
        self._file = counters[0] if counters else proc / "vmstat"
        self._before = _count(self._file)
        self.own = bool(counters)

    @property
    def rose(self) -> bool:
        now = _count(self._file)
        return now is not None and self._before is not None and now > self._before


def _counters(mount: Path, proc: Path) -> Iterator[Path]:
    """Where the kills of this process's control group may be counted, the nearest first.

    Inside a container the root of the mount often is the container's own group while the path is the host's.
    """
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            # A group without the memory controller is charged to the next one above that has it.
            group = mount / path.strip("/")
            yield from (folder / "memory.events" for folder in (group, *group.parents) if folder.is_relative_to(mount))
        elif "memory" in controllers.split(","):
            yield mount / "memory" / path.strip("/") / "memory.oom_control"
            yield mount / "memory" / "memory.oom_control"


def _count(file: Path) -> int | None:
    """The number after ``oom_kill``; None where it is not counted there."""
    for line in _text(file).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
