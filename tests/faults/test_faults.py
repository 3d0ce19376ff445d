"""Faults against a real server process, shim and kernel: what was logged is shown, every step once.

Each adds its row to the table in CONTRIBUTING.md; the last test holds the two together.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_trainlive.kernels.processes import start_time
from jupyter_trainlive.protocol.journal import JournalReader

from ..small_disk import small_disk
from .harness import HALF, STEPS, Count, Place, code, count, until
from .table import Table, write, written

ALL = Count(STEPS, STEPS, 0)
ONE_HALF = Count(HALF, HALF, 0)


def ended(place: Place, job_id: str, status: str) -> dict[str, Any]:
    job = place.up.wait(job_id)
    assert job["status"] == status, job
    return job


def conclude(table: Table, place: Place, job_id: str, fault: str, outcome: str, expected: Count) -> None:
    """Count, compare, and write it down."""
    counted = count(place, job_id)
    assert counted == expected
    table.add(fault, outcome, counted)


def test_the_server_is_killed(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.go_on(job_id)
    time.sleep(0.15)
    place.kill()
    logged = len(place.job_dir(job_id).training_journal.read_bytes().splitlines())
    assert HALF < logged < STEPS, "it is killed while steps are logged"
    place.start()
    ended(place, job_id, "completed")
    conclude(table, place, job_id, "SIGKILL of the server while steps are logged", "runs on, completed", ALL)


def test_the_server_is_killed_and_the_job_ends_meanwhile(place: Place, table: Table) -> None:
    job_id = place.submit_half(code(then="os._exit(3)"))
    place.kill()
    place.go_on(job_id)
    place.until_gone(job_id)
    place.start()
    job = ended(place, job_id, "failed")
    assert (job["exit"]["code"], job["exit"]["signal"]) == (3, None)
    fault = "SIGKILL of the server; the job exits with status 3 before another is there"
    conclude(table, place, job_id, fault, "failed, exit status 3 known", ALL)


def test_the_server_is_restarted(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    port = place.up.url
    place.go_on(job_id)
    place.stop()
    place.start()
    assert place.up.url != port
    ended(place, job_id, "completed")
    conclude(table, place, job_id, "clean restart of the server, on another port", "runs on, completed", ALL)


def test_the_server_is_stopped_by_a_signal_for_20_seconds(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.up.process.send_signal(signal.SIGSTOP)
    place.go_on(job_id)
    time.sleep(20)
    place.up.process.send_signal(signal.SIGCONT)
    job = ended(place, job_id, "completed")
    assert job["alerts"] == [], "that nobody looked is no stall of the training"
    conclude(table, place, job_id, "SIGSTOP of the server for 20 s", "runs on, completed", ALL)


def test_the_kernel_is_killed(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill_processes(job_id, "kernel")
    job = ended(place, job_id, "failed")
    assert (job["exit"]["signal"], "SIGKILL" in job["error"]) == (9, True)
    conclude(table, place, job_id, "SIGKILL of the kernel", "failed, SIGKILL named", ONE_HALF)


def test_the_shim_is_killed(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill_processes(job_id, "shim")
    time.sleep(1.5)
    assert place.up.job(job_id)["status"] == "running", "its kernel goes on"
    place.go_on(job_id)
    job = ended(place, job_id, "interrupted")
    assert "how the process exited is not known" in job["error"]
    fault = "SIGKILL of the shim; the training completes"
    conclude(table, place, job_id, fault, "runs on; interrupted, as its exit status is lost", ALL)


def test_shim_and_kernel_are_killed(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill_processes(job_id, "shim", "kernel")
    ended(place, job_id, "interrupted")
    conclude(table, place, job_id, "SIGKILL of shim and kernel", "interrupted", ONE_HALF)


def test_server_shim_and_kernel_are_killed(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    place.kill_processes(job_id, "shim", "kernel")
    place.start()
    ended(place, job_id, "interrupted")
    conclude(table, place, job_id, "SIGKILL of server, shim and kernel", "interrupted", ONE_HALF)


def fill(path: Path) -> None:
    """Leave no byte free on the disk of that file."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "home" / "jobs", "2m") as disk:
        yield disk


def test_the_disk_is_full_for_a_while(disk: Path, place: Place, table: Table) -> None:
    job_id = place.submit_half()
    filler = disk / "filler"
    fill(filler)
    place.go_on(job_id)
    time.sleep(2)
    logged = len([r for r in JournalReader(place.job_dir(job_id).training_journal).read() if r["kind"] == "metrics"])
    assert HALF <= logged < STEPS, "what the disk refused is not there, and the training went on"
    place.kill()
    filler.unlink()
    place.start()
    job = place.up.wait(job_id)
    # The last word of the training may have been refused as well; its exit is recorded as soon as there is room.
    assert job["exit"]["code"] == 0
    counted = count(place, job_id)
    assert counted == Count(counted.logged, counted.logged, 0)
    assert HALF <= counted.logged < STEPS
    fault = "disk full for a while, then SIGKILL of the server"
    table.add(fault, "trains on unrecorded; its exit is recorded once there is room", None)


def test_garbage_lines_in_the_journal(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    with place.job_dir(job_id).training_journal.open("ab") as journal:
        journal.write(b"\x00\xff garbage\n[1, 2]\n\n" + b'{"seq": "x", "kind": 1}\n' + b'{"seq":1,"t":1,"kind":"met\n')
    place.start()
    place.go_on(job_id)
    ended(place, job_id, "completed")
    conclude(table, place, job_id, "garbage lines in the training's journal", "passed over; completed", ALL)


def test_a_torn_last_line(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    place.kill_processes(job_id, "shim", "kernel")
    for journal in ("training", "process", "server"):
        with getattr(place.job_dir(job_id), f"{journal}_journal").open("ab") as file:
            file.write(b'{"seq":1000,"t":1,"kind":"metrics","step":61,"values":{"lo')
    place.start()
    ended(place, job_id, "interrupted")
    conclude(table, place, job_id, "last lines of all journals torn", "no records; interrupted", ONE_HALF)


def test_the_index_is_garbled(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    for file in (place.home / "jobs").glob("index.sqlite3*"):
        file.write_bytes(os.urandom(8192))
    place.go_on(job_id)
    place.start()
    ended(place, job_id, "completed")
    assert "set aside" in place.up.log
    conclude(table, place, job_id, "index garbled while no server ran", "set aside, rebuilt; completed", ALL)


def test_the_index_is_garbled_and_deleted_under_a_running_server(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    index = place.home / "jobs" / "index.sqlite3"
    until(index.exists)
    with index.open("r+b") as file:
        file.write(os.urandom(64 << 10))
    time.sleep(1.2)
    for file_path in index.parent.glob("index.sqlite3*"):
        file_path.unlink()
    place.go_on(job_id)
    ended(place, job_id, "completed")
    place.kill()
    place.start()
    fault = "index garbled, then deleted under the running server"
    conclude(table, place, job_id, fault, "written again; completed", ALL)


def test_control_and_progress_are_garbled(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    job_dir = place.job_dir(job_id)
    place.kill()
    job_dir.control_file.write_bytes(b"\xff{")
    job_dir.progress_file.write_bytes(b"\xff{")
    place.start()
    place.go_on(job_id)
    ended(place, job_id, "completed")
    assert json.loads(job_dir.progress_file.read_bytes())["status"] == "completed"
    until(lambda: json.loads(job_dir.control_file.read_bytes())["desired"] == "running")
    conclude(table, place, job_id, "control.json and progress.json garbled", "written again; completed", ALL)


def test_a_garbled_control_file_does_not_keep_a_job_from_being_held(place: Place) -> None:
    job_id = place.submit_half()
    place.job_dir(job_id).control_file.write_bytes(b"\xff{")
    with place.up.http() as http:
        assert http.post(f"api/training/jobs/{job_id}/pause").status_code == 202
    place.go_on(job_id)
    place.up.wait(job_id, "paused")
    with place.up.http() as http:
        assert http.post(f"api/training/jobs/{job_id}/resume").status_code == 202
    ended(place, job_id, "completed")


def test_the_clock_is_set_back(place: Place, table: Table) -> None:
    back = (
        "from jupyter_trainlive.training.recorder import current; earlier = lambda: time.time() - 7200; "
        "current()._clock = current()._journal._clock = earlier"
    )
    job_id = place.submit_half(code(between=back))
    place.go_on(job_id)
    place.kill()
    place.start()
    job = ended(place, job_id, "completed")
    assert job["eta_seconds"] is None
    conclude(table, place, job_id, "clock set back by 2 h in the middle", "completed", ALL)


def test_the_pid_is_used_again_by_a_stranger(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    place.kill_processes(job_id, "shim", "kernel")
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        journal = place.job_dir(job_id).process_journal
        spawned = json.loads(journal.read_text())
        assert start_time(stranger.pid) not in (spawned["start_time"], spawned["shim_start_time"])
        journal.write_text(json.dumps({**spawned, "pid": stranger.pid, "shim_pid": stranger.pid}) + "\n")
        place.start()
        ended(place, job_id, "interrupted")
        assert psutil.Process(stranger.pid).status() == psutil.STATUS_SLEEPING, "it has nothing to do with us"
    finally:
        stranger.kill()
        stranger.wait()
    fault = "pids of shim and kernel used again by a stranger"
    conclude(table, place, job_id, fault, "interrupted; the stranger is left alone", ONE_HALF)


def test_the_machine_is_restarted(place: Place, table: Table) -> None:
    job_id = place.submit_half()
    place.kill()
    place.kill_processes(job_id, "shim", "kernel")
    # What a restart leaves: no process, another boot, and perhaps others under the same pids and start times.
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        journal = place.job_dir(job_id).process_journal
        spawned = json.loads(journal.read_text())
        same = {"pid": stranger.pid, "start_time": start_time(stranger.pid), "boot_id": "of-the-time-before"}
        journal.write_text(json.dumps({**spawned, **same}) + "\n")
        place.start()
        job = ended(place, job_id, "interrupted")
        assert job["error"] == "The machine was restarted while the job ran."
        assert psutil.Process(stranger.pid).status() == psutil.STATUS_SLEEPING, "it has nothing to do with us"
    finally:
        stranger.kill()
        stranger.wait()
    conclude(table, place, job_id, "restart of the machine", "interrupted, the restart named", ONE_HALF)


def test_a_jobs_directory_is_removed_while_it_runs(place: Place) -> None:
    job_id = place.submit_half()
    kept = place.up.submit("pass", name="kept")
    place.up.wait(kept)
    pid = place.spawned(job_id)["pid"]
    shutil.rmtree(place.job_dir(job_id).path)
    with place.up.http() as http:
        assert [job["job_id"] for job in http.get("api/training/jobs").json()["jobs"]] == [kept]
        assert http.get(f"api/training/jobs/{job_id}").status_code == 404
    until(lambda: f"The directory of job {job_id} was removed" in place.up.log)
    assert f"(pid {pid})" in place.up.log
    os.killpg(pid, signal.SIGKILL)
    assert place.up.wait(place.up.submit("pass"))["status"] == "completed", "the server goes on"


def test_contributing_has_the_table_that_this_suite_writes(table: Table, request: pytest.FixtureRequest) -> None:
    if not table.rows:
        pytest.skip("the faults did not run")
    if request.config.getoption("--write-faults"):
        write(table)
    missing = [row for row in table.rows if row not in written()]
    assert not missing, "run `make test ARGS='tests/faults --write-faults'` and look at what changed"
