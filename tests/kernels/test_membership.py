"""To which job a process belongs, however far it is from the job's kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_trainlive.kernels.membership import job_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process can't be asked what it is")

JOB_ID = "job_000000000000"
SLEEPS = "import time; print(1, flush=True); time.sleep(600)"


def started(code: str, env: dict[str, str], **options: bool) -> subprocess.Popen[str]:
    """A process that is running its code by now."""
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_process_that_bears_the_job_belongs_to_it_whoever_started_it(tmp_path: Path) -> None:
    jobs_dir = tmp_path / "jobs"
    (jobs_dir / JOB_ID).mkdir(parents=True)
    (tmp_path / "by another path").symlink_to(jobs_dir)
    there = tmp_path / "by another path" / JOB_ID
    process = started(SLEEPS, {"TRAINLIVE_JOB_DIR": str(there)}, start_new_session=True)
    try:
        assert job_of(process.pid, jobs_dir, {}) == JOB_ID
        assert job_of(process.pid, tmp_path, {}) is None, "a job of another folder"
    finally:
        ended(process)
    assert job_of(process.pid, jobs_dir, {}) is None


def test_a_child_of_a_process_that_made_a_job_of_itself_belongs_to_it(tmp_path: Path) -> None:
    grandchild = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); p.wait()"
    process = started(grandchild, {})
    child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    try:
        assert job_of(child, tmp_path, {process.pid: JOB_ID}) == JOB_ID
        assert job_of(process.pid, tmp_path, {process.pid: JOB_ID}) == JOB_ID
        assert job_of(child, tmp_path, {}) is None
        assert job_of(os.getpid(), tmp_path, {process.pid: JOB_ID}) is None, "its parent does not"
    finally:
        os.kill(child, 9)
        ended(process)
