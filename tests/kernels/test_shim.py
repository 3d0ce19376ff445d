"""The shim never loses how a job ended, whatever becomes of the server that started it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_trainlive.kernels.processes import is_alive, start_time
from jupyter_trainlive.protocol.doorbell import listen

from .conftest import Shims, exit_of, records, until


def test_the_exit_status_is_recorded_with_its_process(shims: Shims) -> None:
    job_dir = shims.job_dir()
    answer = shims.start(job_dir, "/bin/sh", "-c", "sleep 0.3; exit 7")
    spawned = records(job_dir)[0]
    assert spawned["kind"] == "spawned"
    assert answer == {"pid": spawned["pid"]}
    assert is_alive(spawned["pid"], spawned["start_time"])
    assert is_alive(spawned["shim_pid"], spawned["shim_start_time"])
    exited = exit_of(job_dir)
    assert (exited["code"], exited["signal"]) == (7, None)
    assert 0 < exited["peak_memory_gb"] < 1
    until(lambda: not is_alive(spawned["shim_pid"], spawned["shim_start_time"]))


def test_a_signal_is_recorded_as_one(shims: Shims) -> None:
    exited = shims.run(shims.job_dir(), "/bin/sh", "-c", "kill -SEGV $$")
    assert (exited["code"], exited["signal"]) == (None, signal.SIGSEGV)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_machine_that_goes_down_takes_the_kernel_first(shims: Shims, number: signal.Signals) -> None:
    """All processes get the signal: the kernel goes by it, and the shim is still there to say so."""
    job_dir = shims.job_dir()
    shims.start(job_dir, "/bin/sleep", "60")
    spawned = records(job_dir)[0]
    os.kill(spawned["shim_pid"], number)
    os.kill(spawned["pid"], number)
    exited = exit_of(job_dir)
    assert (exited["code"], exited["signal"]) == (None, number)


def test_the_output_is_kept_from_the_first_byte(shims: Shims) -> None:
    job_dir = shims.job_dir()
    shims.run(job_dir, "/bin/sh", "-c", "echo out; echo err >&2; printf 'no line end'")
    assert job_dir.output_log.read_text() == "out\nerr\nno line end"
    assert job_dir.output_log.stat().st_mode & 0o777 == 0o600


def test_pollers_of_files_see_the_end(shims: Shims) -> None:
    job_dir = shims.job_dir()
    shims.run(job_dir, "/bin/sh", "-c", "exit 3")
    until(job_dir.progress_file.exists)
    closing = json.loads(job_dir.progress_file.read_bytes())
    assert (closing["job_id"], closing["status"], closing["complete"]) == (job_dir.job_id, "failed", True)
    assert "status 3" in closing["error"]


def test_start_and_end_ring_the_doorbell(shims: Shims) -> None:
    job_dir = shims.job_dir()
    with listen(shims.jobs_dir) as bell:
        bell.settimeout(10)
        shims.start(job_dir, "/bin/sleep", "0.2")
        assert [bell.recv(64), bell.recv(64)] == [job_dir.job_id.encode()] * 2
    assert [record["kind"] for record in records(job_dir)] == ["spawned", "exited"]


@pytest.mark.parametrize("command", [["/no/such/command"], ["/"], ["/bin/echo", "a\0b"]])
def test_a_command_that_cannot_be_started_is_answered(shims: Shims, command: list[str]) -> None:
    job_dir = shims.job_dir()
    answer = shims.start(job_dir, *command)
    assert answer["error"].startswith("The kernel's command could not be started: ")
    assert records(job_dir) == []


def test_what_the_job_leaves_running_is_ended(shims: Shims) -> None:
    job_dir = shims.job_dir()
    shims.run(
        job_dir,
        *(sys.executable, "-c"),
        "import subprocess, signal, sys\n"
        "print(subprocess.Popen(['sleep', '600']).pid)\n"
        "stubborn = ('import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '\n"
        "            'print(1, flush=True); time.sleep(600)')\n"
        "process = subprocess.Popen([sys.executable, '-c', stubborn], stdout=subprocess.PIPE)\n"
        "process.stdout.readline()\n"
        "print(process.pid)",
    )
    polite, stubborn = map(int, job_dir.output_log.read_text().split())
    until(lambda: start_time(polite) is None)
    until(lambda: start_time(stubborn) is None)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_job_survives_the_server_that_started_it(shims: Shims, number: int) -> None:
    job_dir = shims.job_dir()
    # A server in a terminal: the signal goes to its whole process group.
    code = (
        "import json, subprocess, sys, time\n"
        "shim = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "print(shim.communicate(sys.argv[1].encode())[0].decode(), flush=True)\n"
        "time.sleep(600)"
    )
    request = {"command": ["/bin/sh", "-c", "sleep 1; exit 5"], "env": {}, "cwd": "/"}
    command = [sys.executable, "-m", "jupyter_trainlive.kernels.shim", str(job_dir.path)]
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(request), *command],
        env={**os.environ, "PYTHONPATH": str(job_dir.kernel / "path")},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        assert "pid" in json.loads(server.stdout.readline())
        os.killpg(server.pid, number)
    assert exit_of(job_dir)["code"] == 5


def test_the_job_runs_though_its_server_died_before_the_answer(shims: Shims) -> None:
    job_dir = shims.job_dir()
    request = {"command": ["/bin/sh", "-c", "exit 5"], "env": {}, "cwd": "/"}
    with shims.popen(job_dir) as shim:
        assert shim.stdin is not None
        assert shim.stdout is not None
        shim.stdout.close()
        shim.stdin.write(json.dumps(request).encode())
        shim.stdin.close()
        assert exit_of(job_dir)["code"] == 5


def test_the_kernel_hears_the_signals_that_the_shim_ignores(shims: Shims) -> None:
    job_dir = shims.job_dir()
    pid = shims.start(job_dir, "/bin/sleep", "600")["pid"]
    os.kill(pid, signal.SIGINT)
    assert exit_of(job_dir)["signal"] == signal.SIGINT


def _full_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_start_that_cannot_be_recorded_leaves_no_process_behind(shims: Shims) -> None:
    job_dir = shims.job_dir()
    mark = f"{600 + os.getpid()}.125"
    answer = shims.start(job_dir, "/bin/sleep", mark, preexec_fn=_full_disk)
    assert answer["error"].startswith("The kernel's start could not be recorded: ")
    assert records(job_dir) == []
    until(lambda: not _running(mark))


def _running(argument: str) -> bool:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes() == f"/bin/sleep\0{argument}\0".encode():
                return True
        except OSError:
            continue
    return False


def test_an_exit_on_a_full_disk_is_recorded_once_there_is_room(shims: Shims) -> None:
    job_dir = shims.job_dir()
    shims.start(job_dir, "/bin/sh", "-c", "sleep 0.3; exit 4")
    shim = records(job_dir)[0]["shim_pid"]
    resource.prlimit(shim, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    until(lambda: not is_alive(records(job_dir)[0]["pid"], records(job_dir)[0]["start_time"]))
    assert len(records(job_dir)) == 1
    resource.prlimit(shim, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert exit_of(job_dir)["code"] == 4
