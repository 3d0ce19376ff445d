"""From a request to a job's spec: every field checked before anything is written."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocol import dataset, parameters
from ..protocol.control import Wish, write_wish
from ..protocol.jobdir import JobDir, new_job_id, write_json
from ..protocol.journal import append_shared
from ..protocol.messages import message
from ..protocol.states import Job
from .errors import InvalidRequest, Unprocessable

_COMMON = frozenset(
    ("kind", "name", "gpus", "priority", "nan_patience", "stop_on_nan", "kernel_name", "env", "cwd"),
)
#: Priorities go from minus this to this; higher ones start first.
_MOST_PRIORITY = 100
_MOST_PATIENCE = 1_000_000
_MOST_GPUS = 1024
_KINDS = ("finetune", "code")
_LATER_KINDS = ("script", "notebook")
_NAME_LIMIT = 200
_CODE_LIMIT_BYTES = 1 << 20
_CHECK_LIMIT_BYTES = 16 << 20
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Defaults:
    """What a job gets that says nothing else, and how a kernel's name is checked."""

    cwd: Path
    kernel_name: str
    check_kernel: Callable[[str], None]


def spec_of(request: object, defaults: Defaults) -> dict[str, Any]:
    """The spec of the job that `request` asks for, its id not yet in it.

    Reads the dataset and looks for the model, so it belongs off the event loop. Raises InvalidRequest
    or Unprocessable, which name the field and the remedy.
    """
    if not isinstance(request, dict):
        raise InvalidRequest("body", "must be a JSON object")
    kind = request.get("kind")
    if kind in _LATER_KINDS:
        raise InvalidRequest("kind", f"{kind!r} is not supported yet; use one of: {', '.join(_KINDS)}")
    if kind not in _KINDS:
        raise InvalidRequest("kind", f"must be one of: {', '.join(_KINDS)}")
    spec: dict[str, Any] = {
        "kind": kind,
        "cwd": str(_cwd(request.get("cwd"), defaults.cwd)),
        "kernel_name": _kernel_name(request.get("kernel_name"), defaults),
        "gpus": _whole(request, "gpus", None, 0, _MOST_GPUS),
        "priority": _whole(request, "priority", 0, -_MOST_PRIORITY, _MOST_PRIORITY),
        "nan_patience": _whole(request, "nan_patience", 3, 1, _MOST_PATIENCE),
        "stop_on_nan": _flag(request, "stop_on_nan"),
        "env": _env(request.get("env")),
    }
    own = {name: value for name, value in request.items() if name not in _COMMON}
    if kind == "finetune":
        spec["parameters"] = _finetune(own, Path(spec["cwd"]))
        default_name = Path(spec["parameters"]["model_name"]).name
    else:
        spec["code"] = _code(own)
        default_name = "code"
    spec["name"] = _name(request.get("name"), default_name)
    return spec


def create(jobs_dir: Path, spec: dict[str, Any]) -> str:
    """Write the directory of a new job, which is in the queue then; its id. Raises OSError, and leaves nothing."""
    job_dir = JobDir(jobs_dir / new_job_id())
    spec = {"job_id": job_dir.job_id, **spec}
    try:
        job_dir.create()
        write_wish(job_dir.control_file, Wish())
        append_shared(job_dir.server_journal, "submitted", name=spec["name"], job_kind=spec["kind"])
        append_shared(job_dir.server_journal, "queued", attempt=1)
        write_json(job_dir.progress_file, message(Job(job_dir.job_id, spec=spec), time.time()))
        # The last, because whoever finds it takes the job for submitted.
        write_json(job_dir.spec_file, spec, sync=True)
    except FileExistsError:
        raise
    except OSError:
        shutil.rmtree(job_dir.path, ignore_errors=True)
        raise
    return job_dir.job_id


def _finetune(request: dict[str, Any], cwd: Path) -> dict[str, Any]:
    try:
        checked = parameters.validate(request)
    except parameters.ParameterError as error:
        raise InvalidRequest(error.field, error.message) from error
    try:
        checked["dataset_path"] = str(cwd / Path(checked["dataset_path"]).expanduser())
        dataset.check(Path(checked["dataset_path"]), limit_bytes=_CHECK_LIMIT_BYTES)
    except (dataset.DatasetError, RuntimeError, ValueError) as error:
        raise Unprocessable("dataset_path", str(error)) from error
    try:
        checked["model_name"] = parameters.check_model(checked["model_name"], cwd)
    except parameters.ParameterError as error:
        raise Unprocessable(error.field, error.message) from error
    return checked


def _code(request: dict[str, Any]) -> str:
    code = request.pop("code", None)
    if request:
        raise InvalidRequest(min(request), "is not a field of a code job; it has code and the common fields")
    if not isinstance(code, str) or not code.strip():
        raise InvalidRequest("code", "must be a string of Python code")
    if len(code.encode(errors="surrogatepass")) > _CODE_LIMIT_BYTES:
        raise InvalidRequest("code", "is longer than 1 MiB; put it into a module and import that")
    try:
        code.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("code", "holds characters that are no valid Unicode") from None
    return code


def _name(name: object, default: str) -> str:
    if name is None:
        return default[:_NAME_LIMIT]
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME_LIMIT or not name.isprintable():
        raise InvalidRequest("name", f"must be 1 to {_NAME_LIMIT} printable characters")
    return name


def _cwd(cwd: object, default: Path) -> Path:
    if cwd is None:
        return default
    if not isinstance(cwd, str) or not cwd or "\0" in cwd:
        raise InvalidRequest("cwd", "must be the path of a folder")
    try:
        folder = default / Path(cwd).expanduser()
        found = folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        # A name that is too long, a `~user` that nobody knows, characters that no path has.
        raise InvalidRequest("cwd", f"{cwd[:200]!r} can't be looked at: {error}"[:400]) from None
    if not found:
        raise InvalidRequest("cwd", f"there is no folder {str(folder)[:200]!r}")
    if not os.access(folder, os.X_OK):
        raise InvalidRequest("cwd", f"the folder {str(folder)[:200]!r} may not be entered")
    return folder


def _kernel_name(kernel_name: object, defaults: Defaults) -> str:
    if kernel_name is None:
        kernel_name = defaults.kernel_name
    if not isinstance(kernel_name, str):
        raise InvalidRequest("kernel_name", "must be the name of an installed kernel")
    try:
        defaults.check_kernel(kernel_name)
    except LookupError as error:
        raise InvalidRequest("kernel_name", str(error.args[0])) from error
    return kernel_name


def _whole(request: dict[str, Any], name: str, default: int | None, least: int, most: int) -> int | None:
    value = request.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise InvalidRequest(name, f"must be a whole number from {least} to {most}")
    return value


def _flag(request: dict[str, Any], name: str) -> bool:
    value = request.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(name, "must be true or false")
    return bool(value)


def _env(env: object) -> dict[str, str]:
    if env is None:
        return {}
    if not isinstance(env, dict):
        raise InvalidRequest("env", "must be an object of variable names and string values")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidRequest("env", f"{name[:80]!r} is not a variable's name")
        if name.startswith("TRAINLIVE_"):
            raise InvalidRequest("env", f"{name[:80]} is set by the server; choose another name")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidRequest("env", f"the value of {name[:80]} must be a string")
    return dict(env)
