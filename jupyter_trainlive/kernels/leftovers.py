"""What a job leaves running: found by environment, descent and process group, and ended.

On Linux all three are looked at. Elsewhere a process can't be asked what it is, and the group alone is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from os.path import realpath
from pathlib import Path

from ..protocol.jobdir import JOB_DIR_VARIABLE
from .processes import Process, read_process, signal_group

#: How long killed processes may take to vanish. Freeing a GPU's memory takes its time; one that waits for a dead
#: disk may never go.
_KILLED_SECONDS = 30.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 0.25
_PR_SET_CHILD_SUBREAPER = 36
_MARK = os.fsencode(f"{JOB_DIR_VARIABLE}=")


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent is gone, where the system can do so."""
    if sys.platform == "linux":
        # Without it, what made a session of its own is still found by its environment.
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def of_job(job_dir: Path) -> list[int]:
    """Pids of the living processes that bear that job in their environment, other than the caller.

    Empty where the system does not tell (it does on Linux).
    """
    return sorted(process.pid for process in _living() if _bears(process.pid, job_dir))


def end_all(
    job_dir: Path,
    pgid: int | None,
    grace_seconds: float,
    *,
    supervisor: bool = False,
    killed_seconds: float = _KILLED_SECONDS,
) -> int:
    """Terminate what is left of a job, and kill what has not gone after the grace; returns how many would not go.

    `pgid` is the process group that its kernel led. On Linux it is taken for the job's as long as a process in it
    is known to be, since its number may be another's by now; elsewhere the caller vouches for it.
    `supervisor` says that the caller is the job's shim: then all its descendants are the job's, and it reaps them.
    Killed processes are waited for `killed_seconds` at most.
    """
    job = _Job(job_dir, pgid, supervisor)
    asked: set[int] = set()
    killing = time.monotonic() + grace_seconds
    giving_up = killing + killed_seconds
    pause = _FIRST_PAUSE_SECONDS
    while left := job.left():
        now = time.monotonic()
        if now >= giving_up:
            break
        if now < killing:
            # Asked once: a handler that cleans up must not be disturbed.
            _send(left - asked, signal.SIGTERM)
            asked |= left
            time.sleep(min(pause, killing - now))
        else:
            _send(left, signal.SIGKILL)
            time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
    return len(left)


def wait_until_gone(job_dir: Path, pgid: int) -> None:
    """Wait, as the job's shim, for processes that could not be ended; for as long as it takes."""
    job = _Job(job_dir, pgid, supervisor=True)
    while job.left():
        time.sleep(_LONGEST_PAUSE_SECONDS)


class _Job:
    """The processes of one job; whoever was once found to be one of them stays one."""

    def __init__(self, job_dir: Path, pgid: int | None, supervisor: bool) -> None:
        self._job_dir = job_dir
        self._pgid = pgid
        self._supervisor = supervisor
        self._found: set[Process] = set()

    def left(self) -> set[int]:
        """What of it still lives, in the numbers of kill(2): pids, or a group's number with a minus."""
        if self._supervisor:
            _reap()
        if sys.platform != "linux":
            return {-self._pgid} if self._pgid is not None and signal_group(self._pgid, 0) else set()
        # Whoever forks while /proc is walked through can slip past one look, but hardly past the next.
        self._found = self._look() or self._look()
        return {process.pid for process in self._found}

    def _look(self) -> set[Process]:
        living = set(_living())
        found = living & self._found | {process for process in living if _bears(process.pid, self._job_dir)}
        if self._supervisor:
            found |= _descendants(living)
        group = {process for process in living if process.group == self._pgid}
        return found | group if found & group else found


def _descendants(living: set[Process]) -> set[Process]:
    """Children of this process, theirs, and so on."""
    found = set[Process]()
    family = {os.getpid()}
    while family:
        born = {process for process in living if process.parent in family} - found
        found |= born
        family = {process.pid for process in born}
    return found


def _living() -> Iterator[Process]:
    """Every living process but this one, on Linux."""
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid() and (process := read_process(int(entry.name))):
                yield process


def _bears(pid: int, job_dir: Path) -> bool:
    # The folder of jobs may have been known by another path.
    return any(path.name == job_dir.name and realpath(path) == realpath(job_dir) for path in job_dirs_of(pid))


def job_dirs_of(pid: int) -> list[Path]:
    """The directories of the jobs that a process bears in its environment: one or none, as a rule.

    Empty where the system does not tell, as of another user's process.
    """
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return []
    if _MARK not in variables:
        return []
    return [Path(os.fsdecode(item[len(_MARK) :])) for item in variables.split(b"\0") if item.startswith(_MARK)]


def _send(targets: set[int], number: int) -> None:
    for target in targets:
        # Gone meanwhile; or it runs as somebody else, and stays among those that would not go.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(target, number)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
