"""Trainings that record themselves (kind ``track``): processes of the user's own, which are asked and never forced."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

from ..kernels.processes import is_alive
from ..protocol.jobdir import JobDir
from ..protocol.presence import host, is_present, presence_file
from ..protocol.states import Job
from .cancellation import Graces, send
from .tracker import Tracker

#: The phase of one that has heard that it should stop; it may be saving what it has.
_STOPPING = "stopping"


async def ask_to_stop(tracker: Tracker, graces: Graces) -> None:
    """Cancel by the flag, which it reads at its next step, and by one interrupt where it has not read it in time.

    Nothing more is done to a person's notebook or shell: it may end, go on, or be ended by its owner.
    """
    if await tracker.until(_heard, graces.flag) or tracker.job.now.server.escalation is not None:
        return
    await tracker.note("escalated", to="interrupt")
    await asyncio.to_thread(send, tracker.job, signal.SIGINT)


def _heard(job: Job) -> bool:
    return not job.running or job.now.training.phase == _STOPPING


def is_gone(job_dir: JobDir, job: Job) -> bool:
    """Whether its process is there no more. That of another machine or container is known by its lock alone."""
    process = job.now.process
    if job.now.training.end is not None and is_present(presence_file(job_dir)) is False:
        # It goes on as something else, and could not write down that it is no job any more.
        return True
    if process.host in (None, host()):
        return not is_alive(process.pid, process.start_time, process.boot_id)
    return is_present(presence_file(job_dir)) is False


def is_ours(folder: Path) -> bool:
    """Whether that is a folder, and of this server's user: anybody's process might name it."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
