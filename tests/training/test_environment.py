"""environment.json: what a training ran in, with nothing that is nobody's business."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_trainlive.training import environment

from .conftest import Job

SECRET = "hunter2-is-nobodys-business"


def recorded(job: Job) -> dict[str, Any]:
    environment.wait()
    return dict(json.loads(job.dir.environment_file.read_bytes()))


def git(folder: Path, *command: str) -> str:
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *author, *command], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--initial-branch", "topic")
    git(folder, "remote", "add", "origin", f"https://me:{SECRET}@example.org/repository.git")
    return folder


def test_everything_is_recorded_and_no_secret(job: Job, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "train.py").write_text("1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "first")
    # Who runs in a job has more variables than anybody may know.
    for name in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_SETTING"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa, GPU-bbbb")
    environment.begin(job.dir, {"kind": "script", "path": str(repository / "train.py"), "cwd": "/"})
    found = recorded(job)
    assert SECRET not in json.dumps(found)
    assert "example.org" not in json.dumps(found)
    assert found["python"]["version"] == platform.python_version()
    assert found["python"]["executable"] == sys.executable
    assert (found["host"], found["packages"]["pytest"]) == (platform.node(), version("pytest"))
    assert found["git"] == {"commit": git(repository, "rev-parse", "HEAD"), "branch": "topic", "dirty": False}
    assert found["gpus"]["uuids"] == ["GPU-aaaa", "GPU-bbbb"]
    assert found["seeds"] == {"python_hash": "3", "recipe": None, "training_arguments": None, "torch": None}
    assert found["variables"]["PYTHONHASHSEED"] == "3"
    assert set(found["variables"]) <= set(environment.VARIABLES)
    assert job.dir.environment_file.stat().st_mode & 0o777 == 0o600
    assert found["cpu_count"] > 0
    assert found["memory_gb"] > 0


def test_what_git_says(repository: Path) -> None:
    (repository / "train.py").write_text("1\n")
    assert environment.git(repository) == {"commit": None, "branch": "topic", "dirty": False}
    git(repository, "add", ".")
    git(repository, "commit", "-m", "first")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "output.log").write_text("not tracked")
    assert environment.git(repository) == {"commit": commit, "branch": "topic", "dirty": False}
    (repository / "train.py").write_text("2\n")
    git(repository, "checkout", "--detach")
    # A repository may name a program that git is to run; this one fails wherever it is run.
    git(repository, "config", "core.fsmonitor", f"touch {repository}/was-run; false")
    assert environment.git(repository) == {"commit": commit, "branch": None, "dirty": True}
    assert not (repository / "was-run").exists()


def test_what_shows_only_when_a_trainer_begins_is_added(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: 2,
        get_device_name=lambda index: f"GPU {index}",
    )
    torch = SimpleNamespace(version=SimpleNamespace(cuda="12.8"), cuda=cuda, initial_seed=lambda: 1234)
    monkeypatch.setitem(sys.modules, "torch", torch)
    slow = threading.Event()
    monkeypatch.setattr(environment, "packages", lambda path: slow.wait(10) and {"a": "1"})
    environment.begin(job.dir, {"kind": "finetune", "parameters": {"seed": 5}, "cwd": str(job.dir.path)})
    # The trainer does not wait for what takes long.
    environment.training_begins(job.dir, {"training_arguments": 42})
    assert not job.dir.environment_file.exists()
    slow.set()
    found = recorded(job)
    assert found["packages"] == {"a": "1"}
    assert found["gpus"]["names"] == ["GPU 0", "GPU 1"]
    assert found["gpus"]["cuda"] == "12.8"
    assert found["git"] is None
    seeds = {"python_hash": os.environ.get("PYTHONHASHSEED"), "recipe": 5, "training_arguments": 42, "torch": 1234}
    assert found["seeds"] == seeds
    torch.initial_seed = lambda: 99
    environment.training_begins(job.dir, {"training_arguments": 43})
    assert recorded(job)["seeds"] == seeds, "those of the first trainer"


def test_whatever_is_wrong_the_training_goes_on(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(environment, "packages", broken)
    monkeypatch.setattr(environment, "_git", broken)
    monkeypatch.setattr(platform, "node", broken)
    environment.begin(job.dir, {})
    found = recorded(job)
    assert (found["packages"], found["git"], found["host"]) == ({}, None, None)
    job.dir.environment_file.write_text("[1]")
    environment.training_begins(job.dir)
    job.dir.environment_file.unlink()
    environment.training_begins(job.dir)
    monkeypatch.setattr(threading.Thread, "start", broken)
    environment.begin(job.dir, {})
    environment.wait()
