"""From a notebook neither URL nor token appears in code, however its server lets people in."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_server.auth import passwd

from ..real_server import RealServer, serve

PASSWORD = "open sesame"
CELL = """
import jupyter_trainlive as trainlive
job = trainlive.launch(code="print('launched')").wait(60)
print(job.status, job.log(), end="")
"""


def in_a_kernel_of(server: RealServer, http: httpx.Client, code: str) -> str:
    """What a cell prints in a kernel that the server started, as for a notebook."""
    answer = http.post("api/kernels", json={"name": "python3"}, headers={"X-XSRFToken": http.cookies["_xsrf"]})
    assert answer.status_code == 201, answer.text
    file = server.home / "runtime" / f"kernel-{answer.json()['id']}.json"
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kernel = BlockingKernelClient(connection_file=str(file))
    kernel.load_connection_file()
    kernel.start_channels()
    printed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        printed.append(content.get("text", "") or "\n".join(content.get("traceback", ())))

    try:
        kernel.wait_for_ready(timeout=30)
        kernel.execute_interactive(code, output_hook=take, timeout=60)
    finally:
        kernel.stop_channels()
    return "".join(printed)


def test_a_cell_finds_its_server_that_has_a_password(tmp_path: Path) -> None:
    identity = {"hashed_password": passwd(PASSWORD, "sha256"), "token": ""}
    with (
        serve(tmp_path, env={"JUPYTER_TOKEN": ""}, config={"PasswordIdentityProvider": identity}) as server,
        httpx.Client(base_url=server.url, follow_redirects=True) as http,
    ):
        assert http.get("trainlive/api/hello").status_code == 403
        page = http.get("login")
        assert page.status_code == 200
        http.post("login", data={"password": PASSWORD, "_xsrf": http.cookies["_xsrf"]})
        assert http.get("trainlive/api/hello").status_code == 200
        assert in_a_kernel_of(server, http, CELL) == "completed launched\n"
        assert "Traceback" not in server.log


def test_a_process_finds_its_server_that_lets_everybody_in(tmp_path: Path) -> None:
    config = {"IdentityProvider": {"token": ""}, "PasswordIdentityProvider": {"token": ""}}
    with serve(tmp_path, env={"JUPYTER_TOKEN": ""}, config=config) as server:
        assert httpx.get(server.url + "trainlive/api/hello").status_code == 200
        env = {**server.env, "JPY_PARENT_PID": str(server.process.pid)}
        done = subprocess.run([sys.executable, "-c", CELL], env=env, capture_output=True, text=True)
        assert done.stdout == "completed launched\n", done.stderr


def test_a_process_without_a_server_is_told_what_to_do(tmp_path: Path) -> None:
    env = {"JUPYTER_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", CELL], env=env, capture_output=True, text=True, cwd="/")
    assert done.returncode == 1
    assert (
        "NoServerError: No Jupyter server with jupyter_trainlive is running here. Run this in a notebook" in done.stderr
    )


@pytest.mark.parametrize("base_url", ["/", "/user/a%20b/"])
def test_a_job_launches_a_job(tmp_path: Path, base_url: str) -> None:
    # A job has no server as its parent: it finds the only one there is.
    with serve(tmp_path, base_url=base_url) as server:
        job_id = server.submit(CELL)
        assert server.wait(job_id)["status"] == "completed"
        assert (server.jobs_dir / job_id / "output.log").read_text() == "completed launched\n"
