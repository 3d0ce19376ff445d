"""Processes known by pid and start time, since a pid alone is used again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_STARTTIME_FIELD = 19  # of /proc/<pid>/stat, counted behind the command's closing parenthesis
_STATE_FIELD = 0


def start_time(pid: int) -> float | None:
    """When a living process started, in a unit of this machine's own; None where there is none.

    Two processes that bear the same pid one after the other differ in it. A zombie is not alive.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        # The command may hold spaces and parentheses of its own: proc(5).
        fields = stat[stat.rindex(b")") + 2 :].split()
        return None if fields[_STATE_FIELD] in (b"Z", b"X") else float(fields[_STARTTIME_FIELD])
    return _start_time_by_ps(pid)


def _start_time_by_ps(pid: int) -> float | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    output = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": os.defpath}).stdout
    state, _, started = output.strip().partition(" ")
    if not started or state.startswith("Z"):
        return None
    return time.mktime(time.strptime(started.strip()))


def is_alive(pid: int | None, started: float | None) -> bool:
    """Whether that very process is still running."""
    return pid is not None and started is not None and start_time(pid) == started


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


def end_group(pgid: int, grace_seconds: float) -> None:
    """Terminate what is left of a process group, and kill what has not gone after the grace."""
    if not signal_group(pgid, signal.SIGTERM):
        return
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not signal_group(pgid, 0):
            return
        time.sleep(0.02)
    signal_group(pgid, signal.SIGKILL)
