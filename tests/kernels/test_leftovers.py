"""A job's processes are found wherever they went, nobody else's are touched, and none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.kernels.leftovers import end_all, of_job
from jupyter_trainlive.kernels.processes import start_time
from jupyter_trainlive.protocol.jobdir import JobDir

from .conftest import Frozen, Shims

SLEEP = ("sleep", "600")
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


class Starter:
    """Starts processes that end with the test, whatever it found."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, job_dir: JobDir | None, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """A process that bears the job in its environment, or none."""
        env = {"PATH": os.environ["PATH"]} | ({"TRAINLIVE_JOB_DIR": str(job_dir.path)} if job_dir else {})
        self.started.append(subprocess.Popen(command, env=env, **options))
        return self.started[-1]

    def deaf(self, job_dir: JobDir) -> subprocess.Popen[bytes]:
        """One that hears no SIGTERM."""
        process = self(job_dir, sys.executable, "-c", DEAF, start_new_session=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
        return process


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    for process in starter.started:
        process.kill()
        process.wait(10)


@pytest.fixture
def job_dir(shims: Shims) -> JobDir:
    return shims.job_dir()


def test_a_jobs_processes_are_told_from_all_others(shims: Shims, job_dir: JobDir, start: Starter) -> None:
    ours = {start(job_dir, *SLEEP).pid, start(job_dir, *SLEEP, start_new_session=True).pid}
    start(shims.job_dir(), *SLEEP)
    start(None, *SLEEP)
    assert set(of_job(job_dir.path)) == ours


def test_a_job_is_known_by_whatever_path_leads_to_it(tmp_path: Path, job_dir: JobDir, start: Starter) -> None:
    process = start(job_dir, *SLEEP)
    (tmp_path / "link").symlink_to(job_dir.path.parent, target_is_directory=True)
    assert of_job(tmp_path / "link" / job_dir.job_id) == [process.pid]
    assert of_job(tmp_path / "elsewhere" / job_dir.job_id) == []


def test_whoever_asks_is_not_one_of_them(job_dir: JobDir, start: Starter) -> None:
    code = (
        "import sys; from pathlib import Path; from jupyter_trainlive.kernels.leftovers import end_all, of_job\n"
        "job_dir = Path(sys.argv[1]); print(of_job(job_dir), end_all(job_dir, None, 0))"
    )
    asking = start(job_dir, sys.executable, "-c", code, str(job_dir.path), stdout=subprocess.PIPE)
    assert asking.communicate(timeout=20)[0] == b"[] 0\n"


def test_they_are_ended_by_as_little_as_it_takes(shims: Shims, job_dir: JobDir, start: Starter) -> None:
    other = start(shims.job_dir(), *SLEEP)
    polite, deaf = start(job_dir, *SLEEP, start_new_session=True), start.deaf(job_dir)
    began = time.monotonic()
    # Not as their parent: a server has children that others wait for.
    assert end_all(job_dir.path, None, 0.4) == 0
    assert 0.4 < time.monotonic() - began < 3
    assert (polite.wait(5), deaf.wait(5)) == (-signal.SIGTERM, -signal.SIGKILL)
    assert other.poll() is None
    assert end_all(job_dir.path, None, 5) == 0


def test_whoever_cleans_up_when_asked_to_go_is_asked_once(job_dir: JobDir, start: Starter) -> None:
    code = (
        "import signal, sys, time\n"
        "asked = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: asked.append(1))\n"
        "print(flush=True)\n"
        # No signal.pause(): whoever is asked just before it waits for ever.
        "while not asked: time.sleep(0.01)\n"
        "time.sleep(0.3); sys.exit(len(asked))"
    )
    process = start(job_dir, sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
    assert end_all(job_dir.path, None, 10) == 0
    assert process.wait(5) == 1


def test_the_group_of_one_of_them_is_the_jobs(job_dir: JobDir, start: Starter) -> None:
    stubborn = f"env -i {sys.executable} -c '{DEAF}' & echo $!; wait"
    leader = start(job_dir, "sh", "-c", stubborn, start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    with leader.stdout:
        without_environment = int(leader.stdout.readline())
        leader.stdout.readline()
    assert of_job(job_dir.path) == [leader.pid]
    # Also when the one by which the group was known is gone.
    assert end_all(job_dir.path, leader.pid, 0.3) == 0
    assert leader.wait(5) == -signal.SIGTERM
    assert start_time(without_environment) is None


def test_a_group_whose_number_was_given_to_somebody_else_is_left_alone(job_dir: JobDir, start: Starter) -> None:
    other = start(None, *SLEEP, start_new_session=True)
    assert end_all(job_dir.path, other.pid, 0) == 0
    assert other.poll() is None


def test_where_processes_can_not_be_asked_the_group_is_ended(
    job_dir: JobDir, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    polite, deaf = start(None, *SLEEP, start_new_session=True), start.deaf(job_dir)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        assert end_all(job_dir.path, polite.pid, 5, supervisor=True) == 0
        assert deaf.poll() is None
        assert end_all(job_dir.path, deaf.pid, 0.1, supervisor=True) == 0
        assert end_all(job_dir.path, None, 5) == 0
    assert [start_time(process.pid) for process in (polite, deaf)] == [None, None]


def test_what_can_not_be_killed_is_not_waited_for_without_end(job_dir: JobDir, start: Starter, frozen: Frozen) -> None:
    process = start(job_dir, *SLEEP)
    frozen.freeze(process.pid)
    began = time.monotonic()
    assert end_all(job_dir.path, None, 0.1, killed_seconds=0.2) == 1
    assert time.monotonic() - began < 2
