"""Servers come, go, are killed and run side by side; what a job does and how it ended is never lost."""

from __future__ import annotations

import csv
import io
import signal
import time
from pathlib import Path

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
            one.process.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            with two.http() as http:
                assert http.post("api/training/reindex").status_code == 409, "one that hangs still owns it"
            one.process.kill()
            one.process.wait()
            assert two.wait(job_id)["status"] == "completed"
            assert csv_steps(two, job_id) == list(range(1, STEPS + 1))
            assert two.wait(two.submit("pass"))["status"] == "completed", "it owns the folder now"
            assert "This server now owns the jobs" in two.log
            assert "Traceback" not in one.log + two.log


def test_a_server_that_stops_leaves_its_jobs_and_takes_its_private_file_along(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with serve(tmp_path) as server:
        job_id = server.submit(f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)")
        server.wait(job_id, "running")
        assert list((tmp_path / "runtime").glob("trainlive-*.json"))
    assert not list((tmp_path / "runtime").glob("trainlive-*.json"))
    assert "Traceback" not in server.log
    assert [record["kind"] for record in records(server, job_id, "process")] == ["spawned"]
    go.touch()
    deadline = time.monotonic() + 20
    while records(server, job_id, "process")[-1]["kind"] != "exited":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert records(server, job_id, "training")[-1]["status"] == "completed"
