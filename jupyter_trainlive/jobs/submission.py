"""From a request to a job's spec and its directory: every field checked before anything is written."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from ..protocol import parameters
from ..protocol.control import Wish, write_wish
from ..protocol.jobdir import JobDir, new_job_id, write_json
from ..protocol.journal import append_shared
from ..protocol.messages import message
from ..protocol.recipe_inputs import check_inputs
from ..protocol.states import Job
from . import inputs, sources
from .errors import InvalidRequest, JobError, Unprocessable
from .fields import COMMON, Defaults, common, name_of

_KINDS = ("finetune", *sources.KINDS)


def spec_of(request: object, defaults: Defaults) -> dict[str, Any]:
    """The spec of the job that `request` asks for, its id not yet in it.

    Reads the dataset and looks for the model or the script, so it belongs off the event loop. Raises InvalidRequest
    or Unprocessable, which name the field and the remedy.
    """
    if not isinstance(request, dict):
        raise InvalidRequest("body", "must be a JSON object")
    kind = request.get("kind")
    if kind not in _KINDS:
        raise InvalidRequest("kind", f"must be one of: {', '.join(_KINDS)}")
    own = {name: value for name, value in request.items() if name not in COMMON}
    spec: dict[str, Any] = {"kind": kind, **common(request, defaults)}
    if kind == "finetune":
        spec["parameters"] = _finetune(own, Path(spec["cwd"]))
        default_name = Path(spec["parameters"]["model_name"]).name
    else:
        source = sources.source_of(kind, own, Path(spec["cwd"]))
        spec.update(source, kernel_name=_kernel_name(request, source.get("kernel_name"), spec["kernel_name"], defaults))
        default_name = Path(spec["path"]).name if "path" in spec else "code"
        if "path" in spec and request.get("cwd") is None:
            # As if somebody had gone there to run it.
            spec["cwd"] = str(Path(spec["path"]).parent)
    spec["name"] = name_of(request, default_name)
    if spec["keep_kernel"] and spec.get("processes", 1) > 1:
        # The kernel only waits for them, and would hold their GPUs for nothing.
        raise InvalidRequest("keep_kernel", "has nothing to show with processes above 1, which all end; leave one out")
    return spec


def create(jobs_dir: Path, spec: dict[str, Any]) -> str:
    """Write the directory of a new job, which is in the queue then; its id.

    Takes in what the job is given besides its spec. Raises OSError, or InvalidRequest where an input is not there
    any more, and leaves nothing.
    """
    job_dir = JobDir(jobs_dir / new_job_id())
    spec = {"job_id": job_dir.job_id, **spec}
    try:
        job_dir.create()
        spec = inputs.take_in(jobs_dir, job_dir, spec)
        write_wish(job_dir.control_file, Wish())
        append_shared(job_dir.server_journal, "submitted", name=spec["name"], job_kind=spec["kind"])
        append_shared(job_dir.server_journal, "queued", attempt=1)
        write_json(job_dir.progress_file, message(Job(job_dir.job_id, spec=spec), time.time()))
        # The last, because whoever finds it takes the job for submitted.
        write_json(job_dir.spec_file, spec, sync=True)
    except FileExistsError:
        raise
    except (OSError, JobError):
        shutil.rmtree(job_dir.path, ignore_errors=True)
        raise
    return job_dir.job_id


def _kernel_name(request: dict[str, Any], written_for: str | None, name: str, defaults: Defaults) -> str:
    """The kernel that was asked for, else the one that a notebook was written for, if there is one here."""
    if written_for is not None and request.get("kernel_name") is None:
        with contextlib.suppress(LookupError):
            defaults.check_kernel(written_for)
            return written_for
    return name


def _finetune(request: dict[str, Any], cwd: Path) -> dict[str, Any]:
    try:
        checked = parameters.validate(request)
    except parameters.ParameterError as error:
        raise InvalidRequest(error.field, error.message) from error
    try:
        return check_inputs(checked, cwd)
    except parameters.ParameterError as error:
        raise Unprocessable(error.field, error.message) from error
