"""Which process records for a job: in each of its attempts the first that claims it.

Everything a job starts inherits its environment, and would write into the same journal: data loader workers,
subprocesses, the ranks of a launcher. A journal has one writer, so one process claims the attempt.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..protocol.jobdir import ATTEMPT_VARIABLE, JOB_DIR_VARIABLE, JobDir

#: Tells the children of a process that has made a job of itself where the directory of that is: they record nothing.
TRACKED_VARIABLE = "TRAINLIVE_TRACKED"


def job_dir_of_this_process() -> JobDir | None:
    """The directory of the job this process belongs to, or None outside of jobs."""
    path = os.environ.get(JOB_DIR_VARIABLE)
    return JobDir(Path(path)) if path else None


def attempt_of_this_process() -> int:
    """Which attempt at its job this process belongs to; 1 where nothing is said."""
    text = os.environ.get(ATTEMPT_VARIABLE, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def claim(job_dir: JobDir) -> bool:
    """Make this process the recording one of this attempt; False where that was claimed before.

    Raises OSError where the claim can't be written for another reason.
    """
    try:
        file = os.open(_claim_file(job_dir), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(file, str(os.getpid()).encode())
    finally:
        os.close(file)
    return True


def take_over(job_dir: JobDir) -> None:
    """Make this process the recording one in place of the one that was, which has agreed to it; raises OSError."""
    file = _claim_file(job_dir)
    fresh = file.with_name(f"claiming-{os.getpid()}")
    fresh.write_bytes(str(os.getpid()).encode())
    fresh.chmod(0o600)
    fresh.replace(file)


def recording_process(job_dir: JobDir) -> int | None:
    """The pid of the process that holds the claim; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int(_claim_file(job_dir).read_bytes())
    return None


def is_ours(job_dir: JobDir) -> bool:
    """Whether this very process (not the one it was forked from) holds the claim."""
    with contextlib.suppress(OSError):
        return _claim_file(job_dir).read_bytes() == str(os.getpid()).encode()
    return False


def _claim_file(job_dir: JobDir) -> Path:
    return job_dir.kernel / f"claimed-{attempt_of_this_process()}"
