"""A real Jupyter server in a process of its own, for tests that need more than handlers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TOKEN = "a token for tests"
#: Without JupyterLab a server has nothing but ours to load.
ENABLED = {"jupyter_trainlive": True}
_OF_THE_LAB = dict.fromkeys(("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim"), False)


@dataclass
class RealServer:
    """A running server. `home` holds everything that it and its kernels write."""

    process: subprocess.Popen[bytes]
    url: str
    home: Path
    env: dict[str, str]

    @property
    def jobs_dir(self) -> Path:
        return self.home / "jobs"

    @property
    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")

    def http(self, **headers: str) -> httpx.Client:
        """A client with the server's token; headers given replace it."""
        headers = headers or {"Authorization": f"token {TOKEN}"}
        return httpx.Client(base_url=self.url + "trainlive/", headers=headers, timeout=30)

    def socket_url(self, job_id: str) -> str:
        return "ws" + self.url.removeprefix("http") + f"trainlive/ws/training/{job_id}"

    def submit(self, code: str, **fields: Any) -> str:
        """Submit a job of code; its id."""
        with self.http() as http:
            answer = http.post("api/training/jobs", json={"kind": "code", "code": code, **fields})
            assert answer.status_code == 201, answer.text
            return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        with self.http() as http:
            return dict(http.get(f"api/training/jobs/{job_id}").json())

    def until(self, job_id: str, condition: Callable[[dict[str, Any]], bool], timeout: float = 60) -> dict[str, Any]:
        """The job once `condition` holds of it."""
        deadline = time.monotonic() + timeout
        while not condition(job := self.job(job_id)):
            log = self.jobs_dir / job_id / "output.log"
            assert time.monotonic() < deadline, (job, log.read_text() if log.exists() else "", self.log[-3000:])
            time.sleep(0.05)
        return job

    def wait(self, job_id: str, *statuses: str, timeout: float = 60) -> dict[str, Any]:
        """The job once it has one of `statuses`, or has ended where none is given."""
        wanted = statuses or ("completed", "failed", "cancelled", "interrupted")
        return self.until(job_id, lambda job: job["status"] in wanted, timeout)


@contextlib.contextmanager
def serve(
    home: Path,
    *arguments: str,
    module: str = "jupyter_server",
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    base_url: str = "/user/a%40b/",
    port: int = 0,
    one_at_a_time: bool = False,
) -> Iterator[RealServer]:
    """Start a server on a free port and stop it at the end; the jobs it started run on.

    It runs several jobs side by side, unless it is told to run them as it would by itself.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "jupyter_server_config.json").write_text(json.dumps({**_enabled(module), **(config or {})}))
    root = home / "root"
    root.mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER"))},
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_TOKEN": TOKEN,
        **(env or {}),
    }
    environment = {name: value for name, value in environment.items() if value}
    command = [
        *(python, "-m", module, "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", f"--ServerApp.base_url={base_url}", f"--ServerApp.root_dir={root}"),
        *(f"--TrainLive.jobs_dir={home / 'jobs'}", *arguments),
        *([] if one_at_a_time else ["--JobManager.max_concurrent_jobs=8"]),
    ]
    with (home / "server.log").open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield RealServer(process, _url(process, home), home, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _enabled(module: str) -> dict[str, Any]:
    extensions = ENABLED if module == "jupyterlab" else {**ENABLED, **_OF_THE_LAB}
    return {"ServerApp": {"jpserver_extensions": extensions}}


def _url(process: subprocess.Popen[bytes], home: Path) -> str:
    file = home / "runtime" / f"trainlive-{process.pid}.json"
    deadline = time.monotonic() + 60
    while not file.exists():
        running = process.poll() is None and time.monotonic() < deadline
        assert running, (home / "server.log").read_text(errors="replace")[-5000:]
        time.sleep(0.05)
    return str(json.loads(file.read_text())["url"])
