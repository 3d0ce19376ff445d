"""Which process records for a job: the first that claims it, for as long as the job lasts.

Everything a job starts inherits its environment, and would write into the same journal: data loader workers,
subprocesses, the ranks of a launcher. A journal has one writer, so one process claims the job.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..protocol.jobdir import JOB_DIR_VARIABLE, JobDir


def job_dir_of_this_process() -> JobDir | None:
    """The directory of the job this process belongs to, or None outside of jobs."""
    path = os.environ.get(JOB_DIR_VARIABLE)
    return JobDir(Path(path)) if path else None


def claim(job_dir: JobDir) -> bool:
    """Make this process the job's recording one; False where the job was claimed before.

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


def is_ours(job_dir: JobDir) -> bool:
    """Whether this very process (not the one it was forked from) holds the claim."""
    with contextlib.suppress(OSError):
        return _claim_file(job_dir).read_bytes() == str(os.getpid()).encode()
    return False


def _claim_file(job_dir: JobDir) -> Path:
    return job_dir.kernel / "claimed"
