"""A real shim with a plain command in the kernel's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.kernels.provisioner import NO_LEASES
from jupyter_trainlive.kernels.work import prepare
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id
from jupyter_trainlive.protocol.journal import JournalReader

MAIN = "import runpy; runpy.run_module('jupyter_trainlive.kernels.shim', run_name='__main__')"


def request(job_dir: JobDir, *command: str, **more: Any) -> dict[str, Any]:
    """What a server asks of a shim; the process finds the job in its environment, as a kernel does."""
    env = {**os.environ, "TRAINLIVE_JOB_DIR": str(job_dir.path)}
    return {"command": command, "env": env, "cwd": str(job_dir.path), "attempt": 1, "leases": NO_LEASES, **more}


@dataclass
class Shims:
    """Starts shims as the server does."""

    jobs_dir: Path

    def job_dir(self) -> JobDir:
        job_dir = JobDir(self.jobs_dir / new_job_id())
        job_dir.create()
        prepare(job_dir)
        return job_dir

    def popen(self, job_dir: JobDir, *, main: str = MAIN, **options: Any) -> subprocess.Popen[bytes]:
        env = {**os.environ, "PYTHONPATH": str(job_dir.kernel / "path")}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", main, str(job_dir.path)], env=env, cwd="/", **pipes, **options)

    def start(
        self,
        job_dir: JobDir,
        *command: str,
        main: str = MAIN,
        preexec_fn: Callable[[], None] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """The shim's answer; `more` is part of what is asked of it."""
        with self.popen(job_dir, main=main, preexec_fn=preexec_fn) as shim:
            asked = request(job_dir, *command, **more)
            answer, errors = shim.communicate(json.dumps(asked).encode(), timeout=30)
        assert not errors, errors
        return dict(json.loads(answer))

    def run(self, job_dir: JobDir, *command: str, **options: Any) -> dict[str, Any]:
        """Start and wait for the exit; its record."""
        assert "pid" in self.start(job_dir, *command, **options)
        return exit_of(job_dir)


def records(job_dir: JobDir) -> list[dict[str, Any]]:
    return JournalReader(job_dir.process_journal).read()


def exit_of(job_dir: JobDir, timeout: float = 20) -> dict[str, Any]:
    """The record of the latest attempt's exit, once there is one."""
    until(lambda: records(job_dir) and records(job_dir)[-1]["kind"] == "exited", timeout)
    return records(job_dir)[-1]


def until(condition: Callable[[], Any], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


@pytest.fixture
def shims(tmp_path: Path) -> Shims:
    return Shims(tmp_path)


@dataclass
class Frozen:
    """Makes a process one that can't be killed, as one is that waits for a dead disk."""

    group: Path

    def freeze(self, pid: int) -> None:
        (self.group / "cgroup.procs").write_text(str(pid))
        (self.group / "freezer.state").write_text("FROZEN")
        until(lambda: (self.group / "freezer.state").read_text() == "FROZEN\n")

    def thaw(self) -> None:
        (self.group / "freezer.state").write_text("THAWED")


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    group = Path("/sys/fs/cgroup/freezer") / f"trainlive-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs a freezer of control groups version 1: {error}")
    frozen = Frozen(group)
    yield frozen
    frozen.thaw()
    _remove(group)


@pytest.fixture
def little_memory() -> Iterator[Callable[[], None]]:
    """To be called in a new process: takes it and its children to a control group of 64 MiB."""
    try:
        group = _group_of_little_memory()
    except OSError as error:
        pytest.skip(f"no control group with a limit of memory can be made here: {error}")
    yield lambda: _enter(group)
    _remove(group)


def _group_of_little_memory() -> Path:
    mount, memory, swap = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.swappiness"
    if not mount.exists():
        mount, memory, swap = Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max"
    group = mount / f"trainlive-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / memory).write_text(str(64 << 20))
        if (group / swap).exists():
            (group / swap).write_text("0")
    except OSError:
        group.rmdir()
        raise
    return group


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _remove(group: Path) -> None:
    until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()
