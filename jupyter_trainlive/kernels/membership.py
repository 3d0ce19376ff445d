"""To which job a process belongs: told by its environment, or by the process that it descends from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from os.path import realpath
from pathlib import Path

from .leftovers import job_dirs_of
from .processes import read_process

#: Nobody has so many ancestors; while they are looked at, pids may be used again.
_MOST_GENERATIONS = 64


def job_of(pid: int, jobs_dir: Path, kernels: Mapping[int, str]) -> str | None:
    """The id of the job in `jobs_dir` to which a process belongs, or None; `kernels` are the jobs' own by their pids.

    A process that made a job of itself has nothing in its environment, nor have its children. Elsewhere than on Linux
    only the kernels themselves are known.
    """
    if pid in kernels or sys.platform != "linux":
        return kernels.get(pid)
    for path in job_dirs_of(pid):
        if realpath(path.parent) == realpath(jobs_dir):
            return path.name
    for _ in range(_MOST_GENERATIONS):
        process = read_process(pid)
        if process is None:
            return None
        pid = process.parent
        if pid in kernels:
            return kernels[pid]
    return None
