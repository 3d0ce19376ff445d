"""A script outside of Jupyter that tracks itself finds the server of its user, and is shown by it like any job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ..real_server import RealServer

CODE = """import jupyter_trainlive as trainlive
with trainlive.track("from a terminal") as run:
    for step in range(1, 51):
        trainlive.log({"loss": 1 / step}, step=step, total_steps=50)
print(run.job_id)
raise SystemExit(0 if trainlive.get(run.job_id).wait(20).status == "completed" else 1)
"""


def test_a_script_is_shown_by_the_server_that_it_finds(server: RealServer) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINLIVE_", "JPY_"))}
    env |= {"JUPYTER_RUNTIME_DIR": str(server.home / "runtime"), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.strip()
    assert f"recording 'from a terminal' as {job_id} (jupyter trainlive watch {job_id})" in done.stderr
    job = server.job(job_id)
    assert (job["kind"], job["status"], job["progress"]) == ("track", "completed", 100.0)
    assert [(series["name"], series["count"]) for series in job["series"]] == [("loss", 50)]
    assert job["actions"] == ["delete"]
    with server.http() as http:
        # Nobody can ask a server for one.
        answer = http.post("api/training/jobs", json={"kind": "track", "name": "a stranger"})
        assert (answer.status_code, answer.json()["field"]) == (400, "kind")
        assert http.delete(f"api/training/jobs/{job_id}").status_code == 204
    assert not (server.jobs_dir / job_id).exists()
