"""The queue of a real server: order, places, GPUs by name, and leases that servers of one machine share."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from .. import fake_nvml
from ..real_server import TOKEN, RealServer, serve
from .test_contract import FRAME

UUIDS = ["GPU-00000000-aaaa-bbbb-cccc-000000000000", "GPU-11111111-aaaa-bbbb-cccc-111111111111"]
#: Prints what it was given, and waits for the file `go`.
WAITS = """
import json, os, time
from pathlib import Path
names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
print(json.dumps({name: os.environ.get(name) for name in names}), flush=True)
while not (Path(os.environ["TRAINLIVE_JOB_DIR"]) / "go").exists():
    time.sleep(0.05)
"""


def go(server: RealServer, job_id: str) -> dict[str, Any]:
    """Let a job end; what it had been given."""
    (server.jobs_dir / job_id / "go").touch()
    assert server.wait(job_id)["status"] == "completed"
    return dict(json.loads((server.jobs_dir / job_id / "output.log").read_text()))


def waits(server: RealServer, job_id: str, text: str) -> dict[str, Any]:
    """The job once it says that it waits for what has `text` in it."""
    job = server.until(job_id, lambda job: job["queue"] is not None and text in job["queue"]["reason"])
    assert job["status"] == "queued"
    return job


def test_without_gpus_one_job_runs_at_a_time_in_order_of_priority_and_each_says_its_place(tmp_path: Path) -> None:
    with serve(tmp_path, config={"JobManager": {}}, one_at_a_time=True) as server:
        first = server.submit(WAITS, name="first")
        server.wait(first, "running")
        low, high = server.submit(WAITS, priority=-1), server.submit(WAITS, priority=5)
        middle = server.submit(WAITS)
        waits(server, low, "wait")
        places = {
            name: server.job(job_id)["queue"]["position"]
            for name, job_id in (("high", high), ("middle", middle), ("low", low))
        }
        assert places == {"high": 1, "middle": 2, "low": 3}
        with server.http() as http:
            told = http.get(f"api/training/status/{high}").json()
        assert (told["status"], told["queue"]["position"]) == ("queued", 1)
        go(server, first)
        server.wait(high, "running")
        with server.http() as http:
            assert http.post(f"api/training/jobs/{middle}/pause").status_code == 202
        server.until(low, lambda job: job["queue"]["position"] == 1)
        go(server, high)
        server.wait(low, "running")
        assert server.job(middle)["status"] == "paused", "what is paused in the queue is passed"
        with server.http() as http:
            assert http.post(f"api/training/jobs/{middle}/resume").status_code == 202
        waits(server, middle, "wait")
        go(server, low)
        go(server, middle)


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "gpus"
    # No memory in use: what is used by nobody that can be seen would be a stranger's.
    fake_nvml.configure(file, COUNT=2, USED=0)
    return file


def gpu_server(home: Path, nvml: Path, settings: Path, *arguments: str, **env: str) -> Any:
    environment = fake_nvml.environment(nvml, settings) | env
    return serve(home, *arguments, env=environment, one_at_a_time=True)


def kernel_of(server: RealServer, job_id: str) -> int:
    """The pid of a job's kernel."""
    journal = (server.jobs_dir / job_id / "journal" / "process.jsonl").read_text()
    return int(next(record["pid"] for record in map(json.loads, journal.splitlines()) if record["kind"] == "spawned"))


def gauges_of(server: RealServer, job_id: str) -> dict[str, Any]:
    """A reading of the machine, as who watches a job is sent it."""
    headers = {"Authorization": f"token {TOKEN}"}
    with connect(
        server.socket_url(job_id), additional_headers=headers, subprotocols=[Subprotocol("trainlive.v1")], proxy=None
    ) as socket:
        return next(frame for text in socket if (frame := json.loads(text))["type"] == "gauges")


def test_each_job_gets_whole_gpus_by_name_and_no_gpu_is_given_twice(tmp_path: Path, nvml: Path, settings: Path) -> None:
    with gpu_server(tmp_path / "home", nvml, settings) as server:
        one, two = server.submit(WAITS, name="one"), server.submit(WAITS, name="two")
        for job_id in (one, two):
            server.wait(job_id, "running")
        pid = kernel_of(server, one)
        fake_nvml.configure(settings, COUNT=2, USED=0, PROCESSES=f"0:{pid}:2.5,1:1:1", BUSY=f"0:{pid}:30")
        with server.http() as http:
            while not (gpus := http.get("api/system").json()["gpus"])[0]["jobs"][0]["memory_used_gb"]:
                time.sleep(0.05)
        own = {"job_id": one, "name": "one", "memory_used_gb": 2.5, "utilization_percent": 30.0}
        leased = {"job_id": two, "name": "two", "memory_used_gb": None, "utilization_percent": None}
        assert [gpu["jobs"] for gpu in gpus] == [[own], [leased]]
        frame = gauges_of(server, two)
        FRAME.validate(frame)
        assert [gpu["jobs"] for gpu in frame["system"]["gpus"]] == [[own], [leased]]
        fake_nvml.configure(settings, COUNT=2, USED=0)
        three = server.submit(WAITS, name="three")
        waits(server, three, "GPU 0 is used by job one")
        assert sorted(server.job(one)["gpus"] + server.job(two)["gpus"]) == UUIDS
        both = server.submit(WAITS, name="both", gpus=2)
        given = go(server, one)
        assert given == {"CUDA_VISIBLE_DEVICES": UUIDS[0], "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        server.wait(three, "running")
        assert server.job(three)["gpus"] == UUIDS[:1]
        go(server, two)
        waits(server, both, "GPU")
        go(server, three)
        server.wait(both, "running")
        assert go(server, both)["CUDA_VISIBLE_DEVICES"] == ",".join(UUIDS)
        none = server.submit(WAITS, gpus=0)
        server.wait(none, "running")
        assert go(server, none)["CUDA_VISIBLE_DEVICES"] == ""
        with server.http() as http:
            refused = http.post("api/training/jobs", json={"kind": "code", "code": "pass", "gpus": 3})
        assert (refused.status_code, refused.json()["field"]) == (400, "gpus")
        assert "may hand out 2" in refused.json()["message"]


def test_a_gpu_that_a_stranger_uses_is_busy_and_it_says_by_whom(tmp_path: Path, nvml: Path, settings: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    try:
        fake_nvml.configure(settings, COUNT=1, USED=0, PROCESSES=f"0:{stranger.pid}:2.5")
        with gpu_server(tmp_path / "home", nvml, settings) as server:
            job_id = server.submit(WAITS)
            reason = waits(server, job_id, "GPU 0")["queue"]["reason"]
            assert f"pid {stranger.pid}" in reason
            assert "python" in reason
            with server.http() as http:
                (gpu,) = http.get("api/system").json()["gpus"]
            assert f"pid {stranger.pid}" in gpu["used_by"]
            fake_nvml.configure(settings, COUNT=1, USED=0)
            server.wait(job_id, "running")
            go(server, job_id)
    finally:
        stranger.kill()
        stranger.wait()


def test_an_inherited_mask_is_respected(tmp_path: Path, nvml: Path, settings: Path) -> None:
    with gpu_server(tmp_path / "home", nvml, settings, CUDA_VISIBLE_DEVICES="1") as server:
        job_id = server.submit(WAITS)
        server.wait(job_id, "running")
        assert go(server, job_id)["CUDA_VISIBLE_DEVICES"] == UUIDS[1]
        with server.http() as http:
            assert http.post("api/training/jobs", json={"kind": "code", "code": "pass", "gpus": 2}).status_code == 400


def test_servers_that_share_leases_never_hand_out_the_same_gpu(tmp_path: Path, nvml: Path, settings: Path) -> None:
    shared = tmp_path / "leases"
    fake_nvml.configure(settings, COUNT=1, USED=0)
    lease = f"--JobManager.lease_dir={shared}"
    with gpu_server(tmp_path / "a", nvml, settings, lease) as mine:
        one = mine.submit(WAITS, name="one")
        mine.wait(one, "running")
        with gpu_server(tmp_path / "b", nvml, settings, lease) as theirs:
            two = theirs.submit(WAITS, name="two")
            waits(theirs, two, "a job of another server")
            # The lease is the shim's: a server that is killed takes nothing with it.
            mine.process.kill()
            mine.process.wait()
            waits(theirs, two, "a job of another server")
            (mine.jobs_dir / one / "go").touch()
            theirs.wait(two, "running")
            go(theirs, two)
    assert list(shared.iterdir()), "the leases are files there"
