"""The command line says what is, exits as it should and never hands a terminal a job's control characters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_trainlive import __version__

from ..real_server import RealServer

COMMAND = [sys.executable, "-m", "jupyter_trainlive.client.cli"]


def run(server: RealServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=server.env, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def job_id(server: RealServer) -> str:
    """A job that failed, and says so with control characters."""
    job_id = server.submit(
        "import jupyter_trainlive as t\n"
        "t.log({'loss': 0.5}, step=1, total_steps=2)\n"
        "print('one\\x1b[2J\\ntwo\\t\\x07three')\n"
        "raise ValueError('gone\\x1b]0;title\\x07')",
        name="of the command line",
    )
    server.wait(job_id, "failed")
    return job_id


def test_list(server: RealServer, job_id: str) -> None:
    done = run(server, "list", "--limit", "500")
    (line,) = [line for line in done.stdout.splitlines() if job_id in line]
    told = [job_id, "failed", "50", "%", "loss", "0.5", "of", "the", "command", "line:"]
    assert line.split()[: len(told)] == told
    assert len(line.split()) > len(told), "and why"
    assert done.returncode == 0
    assert run(server, "list", "--limit", "0").returncode == 1


def test_status(server: RealServer, job_id: str) -> None:
    done = run(server, "status", job_id)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "failed")
    assert "\x1b" not in done.stdout


def test_watch_of_a_failed_job_says_why_and_is_no_success(server: RealServer, job_id: str) -> None:
    done = run(server, "watch", job_id)
    first, _, *tail, last = done.stdout.splitlines()
    assert (done.returncode, first) == (1, "ValueError: gone\ufffd]0;title\ufffd")
    assert tail[:2] == ["one\ufffd[2J", "two\t\ufffdthree"]
    assert tail[-1].startswith("ValueError: gone")
    assert "\x1b" not in done.stdout
    assert last == f"All of its output: jupyter trainlive log {job_id}"


def test_watch_follows_a_job_to_its_completion(server: RealServer) -> None:
    job_id = server.submit(
        "import time, jupyter_trainlive as t\n"
        "for step in range(1, 11): t.log({'loss': 1 / step}, step=step, total_steps=10); time.sleep(0.2)"
    )
    done = run(server, "watch", job_id)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[-1] == "completed, final loss 0.1"
    assert any(line.endswith(" running") or "step " in line for line in lines[:-1])
    assert "\x1b" not in done.stdout


def test_log(server: RealServer, job_id: str) -> None:
    done = run(server, "log", job_id)
    assert done.returncode == 0
    assert done.stdout.startswith("one\ufffd[2J\ntwo\t\ufffdthree\n")
    assert "ValueError" in done.stdout


def test_a_reader_that_has_enough_is_no_error(server: RealServer) -> None:
    job_id = server.submit("for n in range(100_000): print(n)")
    server.wait(job_id, "completed")
    with subprocess.Popen(
        [*COMMAND, "log", job_id], env=server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as log:
        assert log.stdout is not None
        assert log.stderr is not None
        assert log.stdout.readline() == b"0\n"
        log.stdout.close()
        assert log.stderr.read() == b""
        assert log.wait(20) in (0, 1)


def test_cancel(server: RealServer, job_id: str) -> None:
    running = server.submit("import time; time.sleep(600)")
    assert run(server, "cancel", running).returncode == 0
    assert server.wait(running)["status"] == "cancelled"
    done = run(server, "cancel", job_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "jupyter trainlive: The job has ended (failed); there is nothing to cancel.\n"


def test_errors_are_one_line_and_bad_usage_has_its_own_status(server: RealServer, tmp_path: Path) -> None:
    done = run(server, "status", "job_000000000000")
    assert (done.returncode, done.stderr) == (1, "jupyter trainlive: There is no job 'job_000000000000' here.\n")
    for arguments in ((), ("dance",), ("status",), ("list", "--limit", "x")):
        assert run(server, *arguments).returncode == 2
    assert run(server, "--version").stdout.strip() == __version__
    env = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    env.pop("JPY_PARENT_PID", None)
    nowhere = subprocess.run([*COMMAND, "list"], env=env, capture_output=True, text=True)
    assert nowhere.returncode == 1
    assert "start one with `jupyter lab`" in nowhere.stderr
    assert len(nowhere.stderr.splitlines()) == 1
