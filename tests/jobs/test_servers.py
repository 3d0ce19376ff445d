"""Servers come, go, are killed and run side by side; what a job does and how it ended is never lost."""

from __future__ import annotations

import csv
import io
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import JournalReader, Record

from ..real_server import RealServer, serve

STEPS = 150
LOOP = f"""
import time, jupyter_trainlive as trainlive
for step in range(1, {STEPS} + 1):
    trainlive.log({{"loss": 1 / step}}, step=step, total_steps={STEPS})
    time.sleep(0.03)
"""


def records(server: RealServer, job_id: str, journal: str) -> list[Record]:
    return JournalReader(getattr(JobDir(server.jobs_dir / job_id), f"{journal}_journal")).read()


def csv_steps(server: RealServer, job_id: str) -> list[int]:
    with server.http() as http:
        text = http.get(f"api/training/jobs/{job_id}/metrics.csv").text
    return [int(row["step"]) for row in csv.DictReader(io.StringIO(text, newline=""))]


@dataclass
class Restarted:
    """A server that took the place of one that was killed, and the jobs of that one."""

    server: RealServer
    goes_on: str
    exits: str
    completes: str
    vanishes: str


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    home = tmp_path_factory.mktemp("restarted")
    with serve(home) as first:
        jobs = Restarted(
            first,
            goes_on=first.submit(LOOP),
            exits=first.submit("import os, time; time.sleep(1); os._exit(3)"),
            completes=first.submit("import time; time.sleep(1)"),
            vanishes=first.submit("import time; time.sleep(600)"),
        )
        for job_id in (jobs.goes_on, jobs.exits, jobs.completes, jobs.vanishes):
            first.wait(job_id, "running")
        first.process.kill()
        first.process.wait()
        spawned = records(first, jobs.vanishes, "process")[0]
        # The shim first: it must not get to write down how the kernel ended.
        os.kill(spawned["shim_pid"], signal.SIGKILL)
        os.killpg(spawned["pid"], signal.SIGKILL)
        for job_id in (jobs.exits, jobs.completes):
            deadline = time.monotonic() + 30
            while records(first, job_id, "process")[-1]["kind"] != "exited":
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with serve(home) as jobs.server:
            yield jobs
            assert "Traceback" not in jobs.server.log, jobs.server.log[-8000:]


def test_a_killed_server_loses_no_step(restarted: Restarted) -> None:
    assert restarted.server.job(restarted.goes_on)["status"] == "running"
    job = restarted.server.wait(restarted.goes_on)
    assert (job["status"], job["exit"]["code"]) == ("completed", 0)
    assert csv_steps(restarted.server, restarted.goes_on) == list(range(1, STEPS + 1))
    (series,) = job["series"]
    assert series == {"name": "loss", "count": STEPS, "last": 1 / STEPS}


def test_a_job_that_ended_without_a_server_is_known_with_its_true_exit(restarted: Restarted) -> None:
    job = restarted.server.job(restarted.exits)
    assert (job["status"], job["exit"]["code"]) == ("failed", 3)
    job = restarted.server.job(restarted.completes)
    assert (job["status"], job["exit"]["code"], job["error"]) == ("completed", 0, None)


def test_a_job_whose_processes_vanished_is_interrupted(restarted: Restarted) -> None:
    job = restarted.server.wait(restarted.vanishes)
    assert (job["status"], job["exit"]) == ("interrupted", None)
    assert "vanished" in job["error"]


def test_the_new_server_controls_the_old_ones_jobs(restarted: Restarted) -> None:
    with restarted.server.http() as http:
        ids = [job["job_id"] for job in http.get("api/training/jobs").json()["jobs"]]
    assert ids == [restarted.vanishes, restarted.completes, restarted.exits, restarted.goes_on]


def test_a_cancellation_is_seen_through_by_the_next_server(tmp_path: Path) -> None:
    stubborn = "import time\nwhile True:\n  try: time.sleep(60)\n  except KeyboardInterrupt: print('no', flush=True)"
    quick = {"JobManager": {"cancel_grace": 0.2, "interrupt_grace": 0.3, "terminate_grace": 0.3}}
    with serve(tmp_path, config={"JobManager": {"interrupt_grace": 600}}) as first:
        job_id = first.submit(stubborn)
        first.wait(job_id, "running")
        with first.http() as http:
            assert http.post(f"api/training/jobs/{job_id}/cancel").status_code == 202
        first.process.kill()
        first.process.wait()
        with serve(tmp_path, config=quick) as second:
            job = second.wait(job_id)
            assert (job["status"], job["error"]) == ("cancelled", "Cancelled (it had to be terminated)")


def listed(server: RealServer) -> list[str]:
    with server.http() as http:
        return [job["job_id"] for job in http.get("api/training/jobs").json()["jobs"]]


def test_of_two_servers_on_one_folder_one_owns_it_and_the_other_shows_it_and_takes_over(tmp_path: Path) -> None:
    with serve(tmp_path / "one") as one:
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "jobs").symlink_to(one.jobs_dir)
        with serve(tmp_path / "two") as two:
            assert f"belong to the server at {one.url} (pid {one.process.pid})" in two.log
            job_id = one.submit(LOOP)
            two.wait(job_id, "running")
            assert listed(one) == listed(two) == [job_id]
            # Each step is shown by both as it comes, and none is changed by the one that only reads.
            two.until(job_id, lambda job: (job["current_step"] or 0) >= 10)
            requests = [
                ("POST", "api/training/jobs", {"kind": "code", "code": "pass"}),
                ("POST", f"api/training/jobs/{job_id}/pause", {}),
                ("POST", f"api/training/jobs/{job_id}/resume", {}),
                ("POST", f"api/training/jobs/{job_id}/cancel", {}),
                ("DELETE", f"api/training/jobs/{job_id}", None),
                ("POST", "api/training/clean", {"max_age_days": 0}),
                ("POST", "api/training/reindex", {}),
            ]
            with two.http() as http:
                for method, path, body in requests:
                    refused = http.request(method, path, json=body)
                    assert refused.status_code == 409, path
                    assert f"belong to the server at {one.url}" in refused.json()["message"]
                    assert refused.json()["owner_pid"] == one.process.pid
            assert [record["kind"] for record in records(one, job_id, "server")] == ["submitted", "queued", "starting"]
            one.process.kill()
            one.process.wait()
            assert two.wait(job_id)["status"] == "completed"
            assert csv_steps(two, job_id) == list(range(1, STEPS + 1))
            assert two.wait(two.submit("pass"))["status"] == "completed", "it owns the folder now"
            assert "This server now owns the jobs" in two.log
            assert "Traceback" not in one.log + two.log


def test_an_owner_that_hangs_is_not_taken_for_gone(tmp_path: Path) -> None:
    with serve(tmp_path / "one") as one:
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "jobs").symlink_to(one.jobs_dir)
        one.process.send_signal(signal.SIGSTOP)
        try:
            with serve(tmp_path / "two") as two:
                time.sleep(2)
                with two.http() as http:
                    refused = http.post("api/training/jobs", json={"kind": "code", "code": "pass"})
                assert refused.status_code == 409
        finally:
            one.process.send_signal(signal.SIGCONT)


def test_a_server_that_stops_leaves_its_jobs_and_takes_its_private_file_along(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        job_id = server.submit("import time; time.sleep(1.5)")
        server.wait(job_id, "running")
        assert list((tmp_path / "runtime").glob("trainlive-*.json"))
    assert not list((tmp_path / "runtime").glob("trainlive-*.json"))
    assert "Traceback" not in server.log
    assert [record["kind"] for record in records(server, job_id, "process")] == ["spawned"]
    deadline = time.monotonic() + 20
    while records(server, job_id, "process")[-1]["kind"] != "exited":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert records(server, job_id, "training")[-1]["status"] == "completed"
