"""Alerts of running jobs from end to end: thresholds in a request, GPUs behind the real pynvml, the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .. import fake_nvml
from ..real_server import serve

#: A loss that leaps at step 40 and an evaluation loss that rises, in steps long enough to wait for data in them.
WATCHED = """
import itertools, os, time
from pathlib import Path
import jupyter_trainlive as trainlive
go = Path(os.environ["TRAINLIVE_JOB_DIR"]) / "go"
for step in itertools.count(1):
    trainlive.log({"loss": (2 + 0.1 * (step % 3)) * 0.99 ** min(step, 60) * (40 if step == 40 else 1)}, step=step)
    if step % 5 == 0:
        trainlive.log({"eval_loss": 2 + abs(step - 20) / 40}, step=step)
    if step > 50 and go.exists():
        break
    time.sleep(0.06)
"""
THRESHOLDS = {"gpu_idle_percent": 50, "gpu_idle_seconds": 1.5, "gpu_memory_percent": 90, "gpu_memory_seconds": 0.5}


@pytest.mark.skipif(not fake_nvml.has_compiler(), reason="no C compiler to build the stand-in for NVML with")
def test_each_alert_is_raised_once_by_the_thresholds_of_its_job(tmp_path: Path) -> None:
    settings = tmp_path / "gpus"
    fake_nvml.configure(settings, COUNT=2, USED=0)
    environment = fake_nvml.environment(fake_nvml.build(tmp_path), settings)
    config: dict[str, Any] = {"JobManager": {"poll_interval": 0.2}, "TrainLive": {"gauge_interval": 0.2}}
    with serve(tmp_path / "home", env=environment, config=config) as server:
        # GPU 0 is 37 % busy, GPU 1 80 %.
        idle = server.submit(WATCHED, alerts=THRESHOLDS)
        server.wait(idle, "running")
        silent = server.submit(WATCHED, alerts=False)
        server.wait(silent, "running")
        with server.http() as http:
            refused = http.post(
                "api/training/jobs", json={"kind": "code", "code": "pass", "alerts": {"gpu_idle_percent": 101}}
            )
        assert (refused.status_code, refused.json()["field"]) == (400, "alerts")
        assert "gpu_idle_percent must be a number from 0 to 100" in refused.json()["message"]
        fake_nvml.configure(settings, COUNT=2, USED=23)
        expected = {"gpu_idle", "gpu_memory", "loss_spike", "overfitting"}
        job = server.until(idle, lambda job: {alert["name"] for alert in job["alerts"]} >= expected)
        for job_id in (idle, silent):
            (server.jobs_dir / job_id / "go").touch()
        job = server.wait(idle, "completed")
        alerts = {alert["name"]: alert for alert in job["alerts"]}
        assert len(job["alerts"]) == len(alerts) == 4, job["alerts"]
        assert (alerts["loss_spike"]["step"], alerts["overfitting"]["step"]) == (40, 35)
        assert alerts["gpu_idle"]["message"].startswith("GPU 0 was busy for 37 % of ")
        assert "data" in alerts["gpu_idle"]["message"]
        assert alerts["gpu_memory"]["message"].startswith("GPU 0 has 96 % of its memory in use (23.0 of 24.0 GB)")
        assert job["error"] is None
        assert server.wait(silent, "completed")["alerts"] == []
        assert "Traceback" not in server.log
