"""The job directory: where everything about one job lies, and how its files are written."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .values import dumps

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_JOB_ID = re.compile(r"job_[0-9a-z]{12}")

#: Tells the processes of a job where its directory is.
JOB_DIR_VARIABLE = "TRAINLIVE_JOB_DIR"
#: Tells them which of its attempts they are.
ATTEMPT_VARIABLE = "TRAINLIVE_ATTEMPT"


def default_jobs_dir(data_dir: str) -> Path:
    """Where jobs lie when nobody says otherwise, in Jupyter's data folder."""
    return Path(data_dir) / "trainlive" / "jobs"


def new_job_id() -> str:
    """A fresh id, as only the server makes them: ``job_`` and twelve letters or digits."""
    return "job_" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job id; nothing else ever becomes part of a path."""
    return _JOB_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class JobDir:
    """The paths of one job. Its name is the job's id."""

    path: Path

    @property
    def job_id(self) -> str:
        return self.path.name

    @property
    def spec_file(self) -> Path:
        return self.path / "spec.json"

    @property
    def server_journal(self) -> Path:
        return self.path / "journal" / "server.jsonl"

    @property
    def process_journal(self) -> Path:
        return self.path / "journal" / "process.jsonl"

    @property
    def training_journal(self) -> Path:
        return self.path / "journal" / "training.jsonl"

    @property
    def control_file(self) -> Path:
        return self.path / "control.json"

    @property
    def progress_file(self) -> Path:
        return self.path / "progress.json"

    @property
    def output_log(self) -> Path:
        return self.path / "output.log"

    @property
    def kernel(self) -> Path:
        return self.path / "kernel"

    @property
    def connection_file(self) -> Path:
        return self.kernel / "connection.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def inputs(self) -> Path:
        """What the job was given besides its spec: its source as it was when submitted, variables of a notebook."""
        return self.path / "inputs"

    @property
    def environment_file(self) -> Path:
        """In what environment its latest attempt runs; see `training.environment`."""
        return self.path / "environment.json"

    def create(self) -> None:
        """Make the directory and its folders, readable by their owner alone.

        Raises FileExistsError where the job exists, OSError where it can't be made.
        """
        self.path.mkdir(mode=0o700, parents=False)
        for folder in (self.server_journal.parent, self.kernel, self.inputs, self.checkpoints, self.artifacts):
            folder.mkdir(mode=0o700)

    def read_spec(self) -> dict[str, Any]:
        """What was asked for; raises OSError or ValueError where it can't be read."""
        spec = json.loads(self.spec_file.read_bytes())
        if not isinstance(spec, dict):
            raise ValueError(f"{self.spec_file} does not hold a JSON object")
        return spec


def write_json(path: Path, value: Any, *, sync: bool = False) -> None:
    """Replace a JSON file atomically, readable by its owner alone: a reader sees the old or the new.

    With `sync` the content is on the disk before the old one is gone.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dumps(value))
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
