"""Processes known by pid and start time, since a pid alone is used again."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

# Fields of /proc/<pid>/stat, counted behind the command's closing parenthesis.
_STATE_FIELD, _PARENT_FIELD, _GROUP_FIELD, _STARTTIME_FIELD = 0, 1, 2, 19


@dataclass(frozen=True)
class Process:
    """A living process as Linux lists it; `started` in clock ticks since the machine started.

    It stays the same one when it gets another parent or group.
    """

    pid: int
    started: float
    parent: int = field(compare=False)
    group: int = field(compare=False)


def read_process(pid: int) -> Process | None:
    """That process, on Linux; None where there is none. A zombie is not alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command may hold spaces and parentheses of its own: proc(5).
    fields = stat.rpartition(b")")[2].split()
    if not fields or fields[_STATE_FIELD] in (b"Z", b"X"):
        return None
    return Process(
        pid,
        started=float(fields[_STARTTIME_FIELD]),
        parent=int(fields[_PARENT_FIELD]),
        group=int(fields[_GROUP_FIELD]),
    )


def start_time(pid: int) -> float | None:
    """When a living process started, in a unit of this machine's own; None where there is none.

    Two processes that bear the same pid one after the other differ in it, unless the machine was
    restarted in between: `boot_id` tells.
    """
    if sys.platform == "linux":
        process = read_process(pid)
        return None if process is None else process.started
    return _start_time_by_ps(pid)


def _start_time_by_ps(pid: int) -> float | None:
    state, _, started = _output_of("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    if not started or state.startswith("Z"):
        return None
    return time.mktime(time.strptime(started.strip()))


@functools.cache
def boot_id() -> str | None:
    """Which start of this machine this is; None where the system does not say."""
    try:
        if sys.platform == "linux":
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
        if sys.platform == "darwin":
            # Not kern.boottime, which moves when the clock is set.
            return _output_of("sysctl", "-n", "kern.bootsessionuuid") or None
    except OSError:
        return None
    return None


def _output_of(*command: str) -> str:
    env = {"LC_ALL": "C", "PATH": f"{os.defpath}:/usr/sbin"}
    return subprocess.run(command, capture_output=True, text=True, env=env).stdout.strip()


def is_alive(pid: int | None, started: float | None, boot: str | None = None) -> bool:
    """Whether that very process is still running; `boot` is the `boot_id` it was started under, if known."""
    if pid is None or started is None:
        return False
    if boot is not None and boot_id() not in (None, boot):
        return False
    return start_time(pid) == started


def signal_group(pgid: int, number: int) -> bool:
    """Send a signal to a process group; False where none of it is left."""
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers so when only zombies are left.
        return False
    return True
