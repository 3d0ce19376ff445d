"""The functions a notebook calls."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ..protocol.jobdir import is_job_id
from . import connection
from .errors import RequestError
from .job import Job


def finetune(
    model_name: str | Path,
    dataset_path: str | Path,
    *,
    name: str | None = None,
    kernel_name: str | None = None,
    gpus: int | None = None,
    priority: int | None = None,
    nan_patience: int | None = None,
    stop_on_nan: bool | None = None,
    env: dict[str, str] | None = None,
    **parameters: Any,
) -> Job:
    """Fine-tune a causal language model in a training kernel of its own; returns at once.

    `model_name` is a hub id or a local folder; `dataset_path` a JSONL file with ``text``,
    ``prompt``/``completion`` or ``messages`` rows. `parameters` bear the names of transformers'
    TrainingArguments (num_train_epochs, per_device_train_batch_size, learning_rate, …). The job runs in the
    kernel of this notebook unless `kernel_name` names another one.

    It waits in the queue until `gpus` GPUs are free (one where the machine has any, and none are given; 0 hides them
    from it) and those of a higher `priority` (-100 to 100) have begun. A loss that is NaN or infinite `nan_patience`
    times in a row (3) raises an alert, and with `stop_on_nan` ends the training.

    Raises RequestError, which names the wrong parameter and the remedy, and NoServerError.
    """
    request = {
        **_common(
            name=name,
            kernel_name=kernel_name,
            gpus=gpus,
            priority=priority,
            nan_patience=nan_patience,
            stop_on_nan=stop_on_nan,
            env=env,
        ),
        **parameters,
        "model_name": _local_or_hub(model_name),
        "dataset_path": _data_file(dataset_path),
    }
    return _submitted("api/training/execute", request)


def launch(
    *,
    code: str,
    name: str | None = None,
    kernel_name: str | None = None,
    gpus: int | None = None,
    priority: int | None = None,
    nan_patience: int | None = None,
    stop_on_nan: bool | None = None,
    env: dict[str, str] | None = None,
) -> Job:
    """Run code in a training kernel of its own; returns at once.

    What it logs with ``jupyter_trainlive.log`` and a ``TrainLiveCallback`` becomes its curves. `gpus`, `priority`,
    `nan_patience` and `stop_on_nan` are as for `finetune`. Raises
    RequestError, which names the wrong field and the remedy, and NoServerError.
    """
    common = _common(
        name=name,
        kernel_name=kernel_name,
        gpus=gpus,
        priority=priority,
        nan_patience=nan_patience,
        stop_on_nan=stop_on_nan,
        env=env,
    )
    request = {**common, "kind": "code", "code": code}
    return _submitted("api/training/jobs", request)


def jobs(*, status: str | None = None, q: str | None = None, limit: int = 50) -> list[Job]:
    """The latest jobs, newest first; of one `status`, or whose name or id contains `q`."""
    found = connection.current().get("api/training/jobs", status=status, q=q, limit=limit)
    return [Job(job["job_id"], job["name"]) for job in found["jobs"]]


def get(job_id: str) -> Job:
    """The job with that id; raises RequestError where there is none."""
    if not is_job_id(job_id):
        raise RequestError(f"There is no job {job_id!r}; an id looks like job_3f9k2m7qx1ab", 404, "job_id")
    found = connection.current().get(f"api/training/jobs/{job_id}")
    return Job(found["job_id"], found["name"])


def _submitted(path: str, request: dict[str, Any]) -> Job:
    job = connection.current().post(path, request)
    return Job(job["job_id"], job["name"])


def _common(*, kernel_name: str | None, **given: Any) -> dict[str, Any]:
    """The fields that jobs of all kinds have, those that were given."""
    given["kernel_name"] = kernel_name or _own_kernel_name()
    return {"cwd": str(Path.cwd()), **{name: value for name, value in given.items() if value is not None}}


def _data_file(dataset_path: object) -> str:
    if not isinstance(dataset_path, (str, os.PathLike)):
        kind = type(dataset_path).__name__
        raise TypeError(f"dataset_path must be the path of a JSON Lines file, not a {kind}; write the rows into one")
    return str(Path(dataset_path).expanduser().absolute())


def _local_or_hub(model_name: str | Path) -> str:
    path = Path(model_name).expanduser()
    return str(path.absolute()) if isinstance(model_name, Path) or path.is_dir() else model_name


def _own_kernel_name() -> str | None:
    """The name of the kernel that this notebook runs in, so that a job finds the same environment."""
    application = sys.modules.get("ipykernel.kernelapp")
    if application is None or not application.IPKernelApp.initialized():
        return None
    try:
        info = json.loads(Path(application.IPKernelApp.instance().abs_connection_file).read_bytes())
    except (OSError, ValueError):
        return None
    name = info.get("kernel_name") if isinstance(info, dict) else None
    return name if isinstance(name, str) and name else None
