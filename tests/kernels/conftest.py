"""A real shim with a plain command in the kernel's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.kernels.work import prepare
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id
from jupyter_trainlive.protocol.journal import JournalReader


@dataclass
class Shims:
    """Starts shims as the server does."""

    jobs_dir: Path

    def job_dir(self) -> JobDir:
        job_dir = JobDir(self.jobs_dir / new_job_id())
        job_dir.create()
        prepare(job_dir)
        return job_dir

    def popen(self, job_dir: JobDir, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jupyter_trainlive.kernels.shim", str(job_dir.path)]
        env = {**os.environ, "PYTHONPATH": str(job_dir.kernel / "path")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=env, cwd="/", **pipes, **options)

    def start(self, job_dir: JobDir, *command: str, **options: Any) -> dict[str, Any]:
        """The shim's answer."""
        request = {"command": command, "env": dict(os.environ), "cwd": str(job_dir.path)}
        with self.popen(job_dir, **options) as shim:
            answer, errors = shim.communicate(json.dumps(request).encode(), timeout=30)
        assert not errors, errors
        return dict(json.loads(answer))

    def run(self, job_dir: JobDir, *command: str) -> dict[str, Any]:
        """Start and wait for the exit; its record."""
        assert "pid" in self.start(job_dir, *command)
        return exit_of(job_dir)


def records(job_dir: JobDir) -> list[dict[str, Any]]:
    return JournalReader(job_dir.process_journal).read()


def exit_of(job_dir: JobDir, timeout: float = 20) -> dict[str, Any]:
    """The record of the exit, once there is one."""
    until(lambda: any(record["kind"] == "exited" for record in records(job_dir)), timeout)
    return records(job_dir)[-1]


def until(condition: Callable[[], Any], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


@pytest.fixture
def shims(tmp_path: Path) -> Shims:
    return Shims(tmp_path)
