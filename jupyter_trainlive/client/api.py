"""The functions a notebook calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ..protocol.dataset import looks_local
from ..protocol.jobdir import is_job_id
from ..protocol.notebooks import value_problem
from . import connection
from .common import Common, split, takes_common
from .dry_run import DryRun
from .errors import RequestError
from .job import Job
from .variables import stored

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: The server knows how long a dry run may take (Launcher.dry_run_timeout), and gives up by itself.
_DRY_RUN_SECONDS = 3600.0
#: Parameters of a fine-tune that name what lies on this machine, if not on the hub.
_PATHS = ("eval_dataset_path", "resume_from_checkpoint")
#: What jobs of files are given instead of variables.
_PASSES = {"script": "args", "notebook": "parameters"}


@overload
def finetune(
    model_name: str | Path, dataset_path: str | Path, *, dry_run: Literal[True], **parameters: Any
) -> DryRun: ...
@overload
def finetune(
    model_name: str | Path, dataset_path: str | Path, *, dry_run: Literal[False] = False, **parameters: Any
) -> Job: ...
@takes_common
def finetune(
    model_name: str | Path, dataset_path: str | Path, *, dry_run: bool = False, **parameters: Any
) -> Job | DryRun:
    """Fine-tune a language model in a training kernel of its own; returns at once.

    `model_name` is a hub id or a local folder; `dataset_path` a file (.jsonl, .json, .csv, .tsv, .parquet) with
    ``text``, ``prompt``/``completion`` or ``messages`` rows, a folder of text, or a hub id. `parameters` are ``task``,
    ``eval_dataset_path``, ``use_peft`` and others (``protocol.contract.schema("finetune")`` has all of them), and
    bear the names of transformers' TrainingArguments where those have one (num_train_epochs, learning_rate, …).

    With `dry_run` nothing is started: it returns what the training would do, its rows, tokens, steps and an estimate
    of its memory, after some ten seconds in a kernel of its own that needs no GPU and waits in no queue.

    Raises RequestError, which names the wrong parameter and the remedy, and NoServerError.
    """
    fields, parameters = split(parameters)
    request = {
        **_common(fields),
        **{name: _parameter(name, value) for name, value in parameters.items()},
        "model_name": _local_or_hub(model_name),
        "dataset_path": _data_file(dataset_path),
    }
    if dry_run:
        answer = connection.current().post("api/training/execute", {**request, "dry_run": True}, _DRY_RUN_SECONDS)
        return DryRun.of(answer)
    return _submitted("api/training/execute", request)


@takes_common
def launch(
    source: str | os.PathLike[str] | None = None,
    *,
    code: str | None = None,
    args: Sequence[object] = (),
    parameters: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    processes: int = 1,
    loss_from_backward: bool = False,
    **common: Unpack[Common],
) -> Job:
    """Run a script, a notebook or code in a training kernel of its own; returns at once.

    `source` is the path of a script (``train.py``) or of a notebook (``train.ipynb``). A script runs as ``__main__``
    with `args`, and under torch's elastic launcher in so many `processes`, with a GPU for each as far as there are any
    unless `gpus` says otherwise. A notebook runs cell by cell, its `parameters` (JSON values by name) put behind its
    cell with the tag ``parameters``, and is left in the job's artifacts as it was run. Both work in their own folder
    unless `cwd` says otherwise, and run as they are now, whatever becomes of the file while the job waits.

    `code` runs as a cell does; it gets copies of the `variables`, by name.

    Trainings of transformers, TRL, PEFT, Lightning, accelerate and plain torch are seen without a line changed; what
    is logged with ``jupyter_trainlive.log`` becomes curves too. With `loss_from_backward` the loss of a plain torch
    loop is that on which it calls ``backward``.

    Raises RequestError or VariableError, which name what is wrong and the remedy, and NoServerError.
    """
    fields, others = split(common)
    if others:
        raise TypeError(f"launch() has no argument {min(others)!r}")
    request: dict[str, Any] = {"loss_from_backward": loss_from_backward}
    if (source is None) is (code is None):
        raise TypeError('launch() takes the path of a script or a notebook, or code="…"')
    if code is not None:
        request.update(_common(fields), kind="code", code=code)
    else:
        request.update(_of_file(source), **_common({"cwd": None, **fields}))
    request.update(_given(request["kind"], args, parameters, processes))
    if variables:
        if request["kind"] != "code":
            passes = _PASSES[request["kind"]]
            raise TypeError(f"a {request['kind']} takes no variables; pass {passes}, or give them to code")
        with stored(variables, connection.current().access.jobs_dir) as request["variables"]:
            return _submitted("api/training/jobs", request)
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


def _common(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that jobs of all kinds have, with those that are known without being given."""
    known = {"cwd": str(Path.cwd()), "kernel_name": _own_kernel_name(), **fields}
    return {name: _json(name, value) for name, value in known.items() if value is not None}


def _of_file(source: object) -> dict[str, Any]:
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source must be the path of a script or a notebook, not a {type(source).__name__}")
    path = Path(source).expanduser().absolute()
    kind = {".py": "script", ".ipynb": "notebook"}.get(path.suffix.lower())
    if kind is None:
        raise TypeError(f"{str(source)!r} is neither a script (*.py) nor a notebook (*.ipynb)")
    return {"kind": kind, "path": str(path)}


def _given(kind: str, args: Sequence[object], parameters: Mapping[str, Any] | None, processes: int) -> dict[str, Any]:
    """What only jobs of one kind have, for one of `kind`."""
    if isinstance(args, str):
        raise TypeError('args must be a list, as ["--lr", "1e-4"], not one string')
    if kind == "script":
        if parameters:
            raise TypeError("a script takes args; parameters are for a notebook")
        return {"args": [str(arg) for arg in args], "processes": processes}
    if args or processes != 1:
        raise TypeError(f"args and processes are for a script, and this is a {kind}")
    if kind != "notebook":
        if parameters:
            raise TypeError("parameters are for a notebook; code takes variables")
        return {}
    given = {name: _plain(value) for name, value in (parameters or {}).items()}
    for name, value in given.items():
        if (problem := value_problem(value)) is not None:
            raise RequestError(f"parameters: the value of {name} {problem}", 400, "parameters")
    return {"parameters": given}


def _parameter(name: str, value: object) -> Any:
    """A parameter of the recipe; raises RequestError where it can't travel."""
    return _placed(value) if name in _PATHS and isinstance(value, (str, os.PathLike)) else _json(name, value)


def _json(name: str, value: object) -> Any:
    """A value that JSON can carry; raises RequestError, which names it. The server knows what it must be besides."""
    value = _plain(value)
    # NaN and infinities travel as words.
    problem = None if isinstance(value, float) else value_problem(value)
    if problem is not None:
        raise RequestError(f"{name} {problem}", 400, name)
    return value


def _plain(value: object) -> Any:
    """Numbers of numpy's and torch's, which have no dimension, as Python's own."""
    if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
        return item()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _data_file(dataset_path: object) -> str:
    if not isinstance(dataset_path, (str, os.PathLike)):
        kind = type(dataset_path).__name__
        raise TypeError(f"dataset_path must be a path or a hub id, not a {kind}; write the rows into a JSON Lines file")
    return _placed(dataset_path)


def _placed(name: str | os.PathLike[str]) -> str:
    """A file or folder by its absolute path, an id of the hub as it is."""
    path = Path(name).expanduser()
    local = not isinstance(name, str) or path.exists() or looks_local(name)
    return str(path.absolute()) if local else str(name)


def _local_or_hub(model_name: object) -> str:
    if not isinstance(model_name, (str, os.PathLike)):
        kind = "None" if model_name is None else f"a {type(model_name).__name__}"
        raise TypeError(f"model_name must be a hub id or the path of a model's folder, not {kind}")
    path = Path(model_name).expanduser()
    return str(path.absolute()) if not isinstance(model_name, str) or path.is_dir() else model_name


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
