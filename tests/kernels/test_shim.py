"""The shim never loses how a job ended, whatever becomes of the server that started it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.kernels.leases import acquire, is_free
from jupyter_trainlive.kernels.leftovers import end_all, of_job
from jupyter_trainlive.kernels.processes import boot_id, is_alive, start_time
from jupyter_trainlive.protocol.doorbell import listen

from .conftest import Frozen, Shims, exit_of, records, request, until


def test_the_exit_status_is_recorded_with_its_process(shims: Shims) -> None:
    job_dir = shims.job_dir()
    answer = shims.start(job_dir, "/bin/sh", "-c", "sleep 0.3; exit 7")
    spawned = records(job_dir)[0]
    assert spawned["kind"] == "spawned"
    assert answer == {"pid": spawned["pid"]}
    assert (spawned["attempt"], spawned["boot_id"]) == (1, boot_id())
    assert is_alive(spawned["pid"], spawned["start_time"])
    assert is_alive(spawned["shim_pid"], spawned["shim_start_time"])
    exited = exit_of(job_dir)
    assert (exited["code"], exited["signal"], exited["attempt"], exited["oom_killed"]) == (7, None, 1, False)
    assert 0 < exited["peak_memory_gb"] < 1
    until(lambda: not is_alive(spawned["shim_pid"], spawned["shim_start_time"]))


def test_a_later_attempt_is_recorded_behind_the_earlier_one(shims: Shims) -> None:
    job_dir = shims.job_dir()
    shims.run(job_dir, "/bin/sh", "-c", "exit 1")
    assert shims.run(job_dir, "/bin/sh", "-c", "exit 2", attempt=2)["code"] == 2
    assert [(record["seq"], record["kind"], record["attempt"]) for record in records(job_dir)] == [
        *((1, "spawned", 1), (2, "exited", 1)),
        *((3, "spawned", 2), (4, "exited", 2)),
    ]


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


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["/no/such/command"], "missing or can't be executed"),
        (["/"], "missing or can't be executed"),
        (["/bin/echo", "a\0b"], None),
    ],
)
def test_a_command_that_cannot_be_started_is_answered(shims: Shims, command: list[str], hint: str | None) -> None:
    job_dir = shims.job_dir()
    answer = shims.start(job_dir, *command)
    assert answer["error"].startswith("The kernel's command could not be started: ")
    assert (hint in answer["hint"]) if hint else (answer["hint"] is None)
    assert records(job_dir) == []


def test_a_working_folder_that_is_gone_is_not_blamed_on_the_kernel(shims: Shims) -> None:
    job_dir = shims.job_dir()
    answer = shims.start(job_dir, "/bin/true", cwd="/no/such/folder")
    assert "/no/such/folder" in answer["error"]
    assert "folder in which the job was to run" in answer["hint"]


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
#: What a training may leave: a worker, one that hears no SIGTERM, and one that did all it could to get away.
LEAVING = f"""
import os, subprocess, sys
print(subprocess.Popen(["sleep", "600"]).pid)
deaf = subprocess.Popen([sys.executable, "-c", {DEAF!r}], stdout=subprocess.PIPE)
deaf.stdout.readline()
print(deaf.pid, flush=True)
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execve("/bin/sleep", ["sleep", "600"], {{}})
    os._exit(0)
os.close(writing)
os.read(reading, 1)  # until it is another program
"""


def test_nothing_that_the_job_leaves_running_is_left_when_its_end_is_recorded(shims: Shims) -> None:
    job_dir = shims.job_dir()
    exited = shims.run(job_dir, sys.executable, "-c", LEAVING)
    left = [int(pid) for pid in job_dir.output_log.read_text().split()]
    assert len(left) == 3
    assert [start_time(pid) for pid in left] == [None] * 3
    assert "left" not in exited


def test_orphans_that_end_while_the_job_runs_do_not_stay_as_zombies(shims: Shims) -> None:
    job_dir = shims.job_dir()
    pid = shims.start(job_dir, "/bin/sh", "-c", "(sh -c 'echo $$; sleep 0.1' &); sleep 600")["pid"]
    until(lambda: job_dir.output_log.read_text().strip())
    orphan = Path("/proc") / job_dir.output_log.read_text().strip()
    until(lambda: not orphan.exists())
    assert start_time(pid) is not None
    os.kill(pid, signal.SIGKILL)
    exit_of(job_dir)


GPU = "GPU-6d2a1f0e-0000-4000-8000-000000000001"


@pytest.fixture
def lease(tmp_path: Path) -> dict[str, Any]:
    return {"dir": str(tmp_path / "leases"), "gpus": [GPU]}


#: A shim that waits less long, and for which other parts can be put in.
IMPATIENT = """
import functools, sys, time
from pathlib import Path
from jupyter_trainlive.kernels import shim
shim._LEFTOVER_GRACE_SECONDS = 0.5
shim._LEFTOVER_SECONDS = 2
shim.end_all = functools.partial(shim.end_all, killed_seconds=0.2)
{}
shim.main(shim.JobDir(Path(sys.argv[1])))
"""


def test_the_gpu_is_leased_until_no_process_of_the_job_is_left(
    shims: Shims, tmp_path: Path, lease: dict[str, Any]
) -> None:
    job_dir = shims.job_dir()
    deaf = "trap '' TERM; echo ready; while true; do sleep 0.05; done"
    kernel = f'ls -l /proc/self/fd; sh -c "{deaf}" & wait'
    pid = shims.start(job_dir, "/bin/sh", "-c", kernel, leases=lease, main=IMPATIENT.format(""))["pid"]
    until(lambda: "ready" in job_dir.output_log.read_text())
    assert "gpu-" not in job_dir.output_log.read_text(), "the lock must not be handed down"
    os.kill(pid, signal.SIGKILL)
    until(lambda: start_time(pid) is None)
    assert not is_free(tmp_path / "leases", GPU)
    assert of_job(job_dir.path)
    until(lambda: is_free(tmp_path / "leases", GPU))
    assert of_job(job_dir.path) == []
    assert exit_of(job_dir)["signal"] == signal.SIGKILL


def test_a_gpu_that_somebody_else_has_is_answered_with_who(shims: Shims, tmp_path: Path, lease: dict[str, Any]) -> None:
    job_dir = shims.job_dir()
    held = acquire(tmp_path / "leases", [GPU])
    answer = shims.start(job_dir, "/bin/true", leases=lease)
    assert set(answer) == {"busy"}
    assert GPU in answer["busy"]
    assert f"pid {os.getpid()}" in answer["busy"]
    assert not job_dir.process_journal.exists()
    held.release()
    assert shims.run(job_dir, "/bin/true", leases=lease)["code"] == 0


def test_locks_that_can_not_be_taken_are_answered(shims: Shims, tmp_path: Path) -> None:
    job_dir = shims.job_dir()
    (tmp_path / "file").touch()
    answer = shims.start(job_dir, "/bin/true", leases={"dir": str(tmp_path / "file"), "gpus": [GPU]})
    assert answer["error"].startswith("The locks of the GPUs could not be taken: ")
    assert shims.run(job_dir, "/bin/true", leases={"dir": str(tmp_path / "file"), "gpus": []})["code"] == 0


def test_what_can_not_be_killed_keeps_the_gpu_but_not_the_jobs_end(
    shims: Shims, tmp_path: Path, lease: dict[str, Any], frozen: Frozen
) -> None:
    job_dir = shims.job_dir()
    pid = shims.start(job_dir, "/bin/sh", "-c", "sleep 600 & echo $!; wait", leases=lease, main=IMPATIENT.format(""))[
        "pid"
    ]
    until(lambda: job_dir.output_log.read_text().strip())
    frozen.freeze(int(job_dir.output_log.read_text()))
    os.kill(pid, signal.SIGKILL)
    exited = exit_of(job_dir)
    assert (exited["signal"], exited["left"]) == (signal.SIGKILL, 1)
    until(job_dir.progress_file.exists)
    time.sleep(0.3)  # in which the shim would leave if it did not wait
    assert not is_free(tmp_path / "leases", GPU)
    frozen.thaw()
    until(lambda: is_free(tmp_path / "leases", GPU))


@pytest.mark.parametrize("trouble", ["lambda *_, **__: time.sleep(600)", "lambda *_, **__: 1 / 0"])
def test_the_end_is_recorded_though_what_is_left_can_not_be_looked_for(shims: Shims, trouble: str) -> None:
    job_dir = shims.job_dir()
    exited = shims.run(job_dir, "/bin/sh", "-c", "exit 6", main=IMPATIENT.format(f"shim.end_all = {trouble}"))
    assert (exited["code"], exited["left"]) == (6, 1)
    shim = records(job_dir)[0]["shim_pid"]
    until(lambda: start_time(shim) is None)


def test_a_shim_that_is_killed_takes_nothing_with_it(shims: Shims) -> None:
    job_dir = shims.job_dir()
    pid = shims.start(job_dir, "/bin/sh", "-c", "while true; do echo on; sleep 0.05; done")["pid"]
    spawned = records(job_dir)[0]
    os.kill(spawned["shim_pid"], signal.SIGKILL)
    until(lambda: not is_alive(spawned["shim_pid"], spawned["shim_start_time"]))
    size = job_dir.output_log.stat().st_size
    until(lambda: job_dir.output_log.stat().st_size > size + 10)
    assert is_alive(pid, spawned["start_time"])
    # A server can still end it.
    assert pid in of_job(job_dir.path)
    assert end_all(job_dir.path, pid, 5) == 0
    assert not is_alive(pid, spawned["start_time"])
    assert [record["kind"] for record in records(job_dir)] == ["spawned"]


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
    asked = request(job_dir, "/bin/sh", "-c", "sleep 1; exit 5")
    command = [sys.executable, "-m", "jupyter_trainlive.kernels.shim", str(job_dir.path)]
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(asked), *command],
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
    with shims.popen(job_dir) as shim:
        assert shim.stdin is not None
        assert shim.stdout is not None
        shim.stdout.close()
        shim.stdin.write(json.dumps(request(job_dir, "/bin/sh", "-c", "exit 5")).encode())
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
