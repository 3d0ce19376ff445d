"""Jobs as the training room sees them: a real job directory, and processes that belong to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.control import Desired, Wish, write_wish
from jupyter_trainlive.protocol.jobdir import ATTEMPT_VARIABLE, JOB_DIR_VARIABLE, JobDir, new_job_id
from jupyter_trainlive.protocol.journal import JournalReader, Record
from jupyter_trainlive.training import log
from jupyter_trainlive.training import recorder as module
from jupyter_trainlive.training.recorder import Recorder

from .. import tiny_model

ROOT = Path(__file__).parents[2]


class Job:
    """A job directory and what can be read from it."""

    def __init__(self, parent: Path) -> None:
        self.dir = JobDir(parent / new_job_id())
        self.dir.create()

    def records(self, kind: str | None = None) -> list[Record]:
        reader = JournalReader(self.dir.training_journal)
        records: list[Record] = []
        while more := reader.read():
            records += more
        assert reader.damaged == reader.missing == 0
        return [record for record in records if kind in (None, record["kind"])]

    def series(self, name: str) -> list[tuple[int, Any]]:
        return [(r["step"], r["values"][name]) for r in self.records("metrics") if name in r["values"]]

    def phases(self) -> list[str]:
        return [record["name"] for record in self.records("phase")]

    def end(self) -> Record:
        (end,) = self.records("end")
        return end

    def wish(self, desired: Desired, request: int = 0) -> None:
        write_wish(self.dir.control_file, Wish(desired, request))

    def cancel(self) -> None:
        self.wish(Desired.CANCELLED)

    def environment(self, attempt: int = 1) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        own = {JOB_DIR_VARIABLE: str(self.dir.path), ATTEMPT_VARIABLE: str(attempt), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code in a fresh process of this job."""
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def recorder(job: Job) -> Iterator[Recorder]:
    recorder = Recorder(job.dir)
    yield recorder
    recorder.close()


@pytest.fixture
def in_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A job to which this very process belongs."""
    monkeypatch.setenv(JOB_DIR_VARIABLE, str(job.dir.path))
    monkeypatch.setattr(module, "_current", None)
    monkeypatch.setattr(module, "_current_process", None)
    yield job
    if module._current is not None:
        module._current.close()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB_DIR_VARIABLE, raising=False)
    monkeypatch.setattr(module, "_current", None)
    monkeypatch.setattr(module, "_current_process", None)
    monkeypatch.setattr(log, "_told", False)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.make_model(tmp_path_factory.mktemp("model"), chat=True)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("data")

    def make(rows: int = 100, form: str = "text") -> Path:
        path = folder / f"{form}-{rows}.jsonl"
        return path if path.exists() else tiny_model.make_data(path, rows, form)

    return make


@pytest.fixture
def tune(in_job: Job, model: Path, data: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """Runs the recipe in this process, which belongs to a job; what it leaves in its namespace."""
    from jupyter_trainlive.training.recipes import finetune

    def run(**parameters: Any) -> dict[str, Any]:
        recorder = module.current()
        assert recorder is not None
        defaults = {
            "model_name": str(model),
            "dataset_path": str(data()),
            "max_steps": 4,
            "max_length": 64,
            "learning_rate": 3e-3,
        }
        namespace: dict[str, Any] = {}
        finetune.run({**defaults, **parameters}, in_job.dir, recorder, namespace)
        return namespace

    return run
