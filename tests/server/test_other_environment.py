"""A kernel of another environment, into which nothing but ipykernel was installed, trains like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..real_server import RealServer

SECRET = "hunter2-is-nobodys-business"


@pytest.fixture(scope="module")
def other(server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the environment; its kernel is called "other" on the server."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    venv.create(folder, symlinks=True)
    python = str(folder / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile")
    done = subprocess.run([*pip, "ipykernel"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    kernel = server.home / "data" / "kernels" / "other"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({**spec, "display_name": "Other"}))
    yield folder
    (kernel / "kernel.json").unlink()


def launch(server: RealServer, **fields: Any) -> str:
    with server.http() as http:
        answer = http.post("api/training/jobs", json={"kernel_name": "other", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def ask(server: RealServer, job_id: str, action: str) -> None:
    with server.http() as http:
        assert http.post(f"api/training/jobs/{job_id}/{action}", json={}).status_code == 202


def losses(server: RealServer, job_id: str) -> list[tuple[str, ...]]:
    with server.http() as http:
        rows = [row.split(",") for row in http.get(f"api/training/jobs/{job_id}/metrics.csv").text.splitlines()]
    return [(row[1], row[4]) for row in rows if row[0] == "loss"]


LOOP = """
import importlib.util, sys, time
foreign = [name for name in ("torch", "orjson", "jupyter_server", "numpy") if importlib.util.find_spec(name)]
assert not foreign, foreign
import jupyter_trainlive as trainlive
for step in range(1, 100_000):
    trainlive.log({"loss": 1 / step}, step=step, total_steps=100_000)
    time.sleep(0.01)
"""

SCRIPT = """
import sys
import jupyter_trainlive as trainlive

if __name__ == "__main__":
    for _ in range(3):
        trainlive.log({"loss": float(sys.argv[1])})
    print("ran by", sys.prefix)
"""

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [
        {"cell_type": "code", "source": source, "metadata": metadata, "outputs": [], "execution_count": None, "id": id}
        for id, source, metadata in (
            ("one", "loss = 1.0", {"tags": ["parameters"]}),
            ("two", "import jupyter_trainlive as trainlive\ntrainlive.log({'loss': loss})\nloss", {}),
        )
    ],
}


def test_code_a_script_and_a_notebook_run_in_it(server: RealServer, other: Path, tmp_path: Path) -> None:
    script, notebook = tmp_path / "train.py", tmp_path / "train.ipynb"
    script.write_text(SCRIPT)
    notebook.write_text(json.dumps(NOTEBOOK))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (
        ("init", "--initial-branch", "topic"),
        ("add", "train.py"),
        ("commit", "-m", "first"),
        ("remote", "add", "origin", f"https://me:{SECRET}@example.org/it.git"),
    ):
        subprocess.run([*git, *command], env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}, check=True, stdout=-3)

    loop = launch(server, kind="code", code=LOOP, env={"MY_TOKEN": SECRET, "OMP_NUM_THREADS": "2"})
    ran = launch(server, kind="script", path=str(script), args=["0.25"])
    shown = launch(server, kind="notebook", path=str(notebook), parameters={"loss": 0.5})
    many = launch(server, kind="script", path=str(script), args=["1"], processes=2)

    server.until(loop, lambda job: (job["current_step"] or 0) >= 3)
    ask(server, loop, "pause")
    step = server.wait(loop, "paused")["current_step"]
    ask(server, loop, "resume")
    server.until(loop, lambda job: job["current_step"] > step)
    ask(server, loop, "cancel")
    ended = server.wait(loop)
    assert (ended["status"], ended["error"]) == ("cancelled", "Cancelled (by an interrupt)")

    completed = server.wait(ran)
    assert (completed["status"], completed["error"]) == ("completed", None)
    assert f"ran by {other}" in completed["output_tail"]
    assert losses(server, ran) == [("1", "0.25"), ("2", "0.25"), ("3", "0.25")]

    executed = server.wait(shown)
    assert (executed["status"], executed["error"]) == ("completed", None)
    assert losses(server, shown) == [("1", "0.5")]
    assert executed["artifacts"] == ["artifacts/train.ipynb"]

    refused = server.wait(many)
    assert refused["status"] == "failed"
    assert "no torch" in refused["error"]
    assert "pip install torch" in refused["hint"]

    for job in (ended, completed):
        environment = job["environment"]
        assert environment["python"]["executable"] == str(other / "bin" / "python")
        assert "ipykernel" in environment["packages"]
        assert not {"jupyter_trainlive", "torch", "jupyter_server"} & set(environment["packages"])
        assert SECRET not in json.dumps(job)
    assert ended["environment"]["variables"]["OMP_NUM_THREADS"] == "2"
    assert (completed["environment"]["git"]["branch"], completed["environment"]["git"]["dirty"]) == ("topic", False)
