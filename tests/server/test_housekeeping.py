"""Deleting jobs, keeping what may still be needed, and building the index again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..real_server import RealServer, serve

MIB = 1 << 20
#: Leaves so many MiB of a model behind.
LEAVES = """
import os
from pathlib import Path
(Path(os.environ["TRAINLIVE_JOB_DIR"]) / "artifacts" / "model.bin").write_bytes(os.urandom({size} << 20))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with serve(tmp_path_factory.mktemp("kept")) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-8000:]


def call(server: RealServer, method: str, path: str, code: int, body: Any = None) -> Any:
    with server.http() as http:
        answer = http.request(method, f"api/training/{path}", json=body)
    assert answer.status_code == code, answer.text
    return answer.json() if answer.content else None


def test_a_deleted_job_frees_its_disk_and_is_known_no_more(kept: RealServer) -> None:
    job_id = kept.submit(LEAVES.format(size=2))
    running = kept.submit("import time; time.sleep(600)")
    kept.wait(job_id, "completed")
    kept.wait(running, "running")
    assert "cancel it before" in call(kept, "DELETE", f"jobs/{running}", 409)["message"]
    assert call(kept, "DELETE", f"jobs/{job_id}", 204) is None
    assert not (kept.jobs_dir / job_id).exists()
    assert not list(kept.jobs_dir.glob(".deleted*"))
    call(kept, "GET", f"jobs/{job_id}", 404)
    call(kept, "DELETE", f"jobs/{job_id}", 404)
    assert job_id not in [job["job_id"] for job in call(kept, "GET", "jobs", 200)["jobs"]]
    assert "was removed by somebody else" not in kept.log
    call(kept, "POST", f"jobs/{running}/cancel", 202)
    kept.wait(running)
    call(kept, "DELETE", f"jobs/{running}", 204)


def test_retention_says_what_it_would_do_does_just_that_and_leaves_what_is_active(kept: RealServer) -> None:
    old, new = kept.submit(LEAVES.format(size=4), name="old"), None
    kept.wait(old, "completed")
    new = kept.submit(LEAVES.format(size=4), name="new")
    kept.wait(new, "completed")
    active = kept.submit(LEAVES.format(size=4) + "import time; time.sleep(600)")
    kept.until(active, lambda job: job["files"] != [])
    limits = {"max_total_gb": 9.5 * MIB / 2**30}
    planned = call(kept, "POST", "clean", 200, {**limits, "dry_run": True})
    assert [removal["job_id"] for removal in planned["removed"]] == [old]
    assert planned["freed_bytes"] >= 4 * MIB
    assert (kept.jobs_dir / old).exists()
    done = call(kept, "POST", "clean", 200, limits)
    assert done == {**planned, "dry_run": False}
    assert [path.exists() for path in (kept.jobs_dir / old, kept.jobs_dir / new, kept.jobs_dir / active)] == [
        *(False, True, True)
    ]
    done = call(kept, "POST", "clean", 200, {"max_age_days": 0})
    assert [removal["job_id"] for removal in done["removed"]] == [new]
    assert kept.job(active)["status"] == "running"
    call(kept, "POST", f"jobs/{active}/cancel", 202)
    kept.wait(active)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "max_age_days"),
        ({"max_age_days": -1}, "max_age_days"),
        ({"max_age_days": "nan"}, "max_age_days"),
        ({"max_total_gb": "many"}, "max_total_gb"),
        ({"max_total_gb": 1, "dry_run": "yes"}, "dry_run"),
        ({"older": 1}, "older"),
        ([], "body"),
    ],
)
def test_limits_that_make_no_sense_are_named_and_nothing_is_removed(kept: RealServer, body: Any, field: str) -> None:
    job_id = kept.submit("pass")
    kept.wait(job_id)
    assert call(kept, "POST", "clean", 400, body)["field"] == field
    assert kept.job(job_id)["status"] == "completed"


def test_the_command_line_cleans_and_reindexes(kept: RealServer) -> None:
    job_id = kept.submit("pass", name="to be cleaned")
    kept.wait(job_id)

    def trainlive(*arguments: str) -> str:
        command = [sys.executable, "-m", "jupyter_trainlive.client.cli", *arguments]
        done = subprocess.run(command, env={**os.environ, **kept.env}, capture_output=True, text=True, check=True)
        return done.stdout

    index = kept.jobs_dir / "index.sqlite3"
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE jobs SET status = 'dancing'")
    jobs = len(call(kept, "GET", "jobs", 200)["jobs"])
    assert trainlive("reindex") == f"{jobs} jobs indexed\n"
    with sqlite3.connect(index) as connection:
        rows = dict(connection.execute("SELECT job_id, status FROM jobs"))
    assert rows == {job["job_id"]: job["status"] for job in call(kept, "GET", "jobs", 200)["jobs"]}
    assert job_id in trainlive("clean", "--max-age-days", "0", "--dry-run")
    assert kept.job(job_id)["status"] == "completed"
    assert "would be freed" not in trainlive("clean", "--max-age-days", "0")
    call(kept, "GET", f"jobs/{job_id}", 404)


def test_configured_limits_are_applied_by_the_server_itself(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        job_id = server.submit("pass")
        server.wait(job_id, "completed")
    with serve(tmp_path, config={"JobManager": {"max_age_days": 0}}) as server:
        deadline = time.monotonic() + 30
        while "Housekeeping" not in server.log:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        assert not (server.jobs_dir / job_id).exists()


def test_a_start_reads_no_journal_again_that_the_index_knows(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        job_id = server.submit("import jupyter_trainlive as t\nfor n in range(1, 51): t.log({'loss': n}, step=n)")
        server.wait(job_id, "completed")
    # What is not read again can't be missed: but for the last line's end the journal is gone.
    journal = server.jobs_dir / job_id / "journal" / "training.jsonl"
    size = journal.stat().st_size
    journal.write_bytes(b" " * (size - 1) + b"\n")
    with serve(tmp_path) as server:
        job = server.job(job_id)
        assert (job["status"], job["series"]) == ("completed", [{"name": "loss", "count": 50, "last": 50.0}])
        with server.http() as http:
            assert http.post("api/training/reindex").json() == {"jobs": 1}
        assert server.job(job_id)["series"] == [], "built again from what lies there"
