"""`track`: say of the code around it that it is a training, and it is recorded and shown like any job."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ...protocol.checks import JOB_NAME_LIMIT, MOST_PATIENCE, is_job_name
from ...protocol.jobdir import JobDir
from ...protocol.presence import is_present, presence_file
from ...protocol.watching import checked_thresholds
from ..cell import in_kernel
from ..log import keep_quiet, log
from ..owner import TRACKED_VARIABLE, job_dir_of_this_process
from ..recorder import current, warn
from ..watch import PATIENCE
from .recording import Recording

#: Where launchers tell their processes apart; only the first of them records.
_RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")

_open: Recording | None = None
_lock = threading.RLock()


class Run:
    """What `track` gives: a training that is being recorded, until the end of its ``with`` block or `finish`.

    `job_id` is the id of the job that it is, by which the command line and ``trainlive.get`` find it, and `directory`
    its folder; both are None in a process that does not record.
    """

    def __init__(self, name: str, directory: Path | None, recording: Recording | None = None) -> None:
        self.name = name
        self.directory = directory
        self._recording = recording

    @property
    def job_id(self) -> str | None:
        return None if self.directory is None else self.directory.name

    def log(
        self,
        values: Mapping[str, object],
        *,
        step: object = None,
        epoch: object = None,
        total_steps: object = None,
    ) -> None:
        """Record numbers by name at a step, as ``trainlive.log`` does."""
        log(values, step=step, epoch=epoch, total_steps=total_steps)

    def finish(self, error: BaseException | None = None) -> None:
        """The training is over: completed, or failed by that exception. Only the first call counts."""
        if self._recording is not None:
            self._recording.finish(error)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(error)

    def __repr__(self) -> str:
        return f"<Run {self.name!r}: {self.job_id or 'not recorded by this process'}>"


def track(
    name: str | None = None,
    *,
    jobs_dir: str | os.PathLike[str] | None = None,
    nan_patience: int = PATIENCE,
    stop_on_nan: bool = False,
    alerts: Mapping[str, object] | bool | None = None,
    loss_from_backward: bool = False,
) -> Run:
    """Record the training of this very process as a job: ``with track("my run"):`` around it.

    Recorded are ``trainlive.log`` and, by themselves, transformers' Trainer and what builds on it, Lightning,
    accelerate and plain torch loops (with `loss_from_backward` their loss too). In a notebook the live view is shown
    at once. What leaves the block with an exception has failed, with its traceback. Without ``with``:
    ``run = track("my run")``, and ``run.finish()`` at the end; else it ends with the process.

    The job can be paused, and is then held at its next step, and cancelled: a trainer stops at its step, any other loop
    is interrupted (KeyboardInterrupt), and nothing is ever ended by force. `name` is by default that of the notebook or
    the script. It is kept in `jobs_dir`, else in the folder that TRAINLIVE_JOBS_DIR names, else in that of the running
    Jupyter server, else in Jupyter's data folder; a server that shows the folder has it live, or once it is started.
    `nan_patience`, `stop_on_nan` and `alerts` are as for ``trainlive.launch``.

    In a training kernel it records into that job. Children of the process that records (data loader workers, other
    ranks) record nothing.

    Raises ValueError, which names the argument, where one is wrong; RuntimeError where this process is being recorded
    already; OSError, saying what to do, where nothing can be written.
    """
    loss_from_backward = _flag("loss_from_backward", loss_from_backward)
    options: dict[str, Any] = {
        "name": _name(name),
        "nan_patience": _patience(nan_patience),
        "stop_on_nan": _flag("stop_on_nan", stop_on_nan),
        "alerts": _alerts(alerts),
    }
    with _lock:
        if _open is not None and _open.pid == os.getpid():
            raise RuntimeError(
                f"This process is being recorded already, as {_open.job_dir.job_id} ({_open.name!r}): leave that with "
                "block first, or call finish() of what track returned."
            )
        job_dir = _job_dir()
        if job_dir is not None:
            run = Run(options["name"], job_dir.path if current() is not None else None)
            if run.directory is not None:
                # The job has them already, perhaps with it.
                if loss_from_backward:
                    _install_hooks(loss_from_backward)
            else:
                warn(f"{job_dir.job_id} is recorded by another process, so track records nothing in this one")
        elif not _is_first_rank():
            keep_quiet()
            return Run(options["name"], None)
        else:
            recording = _begin(options, jobs_dir=jobs_dir)
            run = Run(recording.name, recording.job_dir.path, recording)
            _install_hooks(loss_from_backward)
    return run


def record_trainer(state: object, name: str | None, *, again: bool = False) -> Recording | None:
    """Begin to record a trainer outside of any job, until it says that it is over or the code around it ends.

    `state` is what tells one call of a trainer from the next; None where that is being recorded already, or this
    process otherwise. One that was never said to be over was left by an exception, unless this is it `again`. Raises
    OSError or RuntimeError.
    """
    with _lock:
        left = _open if _open is not None and _open.pid == os.getpid() else None
        if left is not None and left.trainer is not None and left.trainer is not state and not again:
            left.cut_short()
        if _job_dir() is not None:
            return None
        options = {"name": name or default_name(), "nan_patience": PATIENCE, "stop_on_nan": False, "alerts": {}}
        return _begin(options, trainer=state)


def _begin(
    options: dict[str, Any], *, jobs_dir: str | os.PathLike[str] | None = None, trainer: object = None
) -> Recording:
    """Begin to record this process, which is recorded by nobody, and show it. Raises OSError or RuntimeError."""
    # The wiring, since this room knows neither servers nor notebooks.
    from ... import surroundings

    global _open
    with _lock:
        place = surroundings.place(jobs_dir)
        try:
            recording = Recording(
                place.jobs_dir, _spec(options), surroundings.identity(), trainer=trainer, finished=_forget
            )
        except OSError as error:
            remedy = f"pass jobs_dir=, or set {surroundings.JOBS_DIR_VARIABLE}, a folder that can be written"
            raise OSError(
                f"Nothing can be recorded in {place.jobs_dir} ({error.strerror or error}): {remedy}"
            ) from error
        _open = recording
    surroundings.announce(recording.job_dir, recording.name, shown=place.shown)
    return recording


def _job_dir() -> JobDir | None:
    """The job that this process belongs to: one of a server's, or one that it or a parent has made of itself."""
    given = os.environ.get(TRACKED_VARIABLE)
    job_dir = JobDir(Path(given)) if given and job_dir_of_this_process() is None else None
    if job_dir is None or (_open is not None and _open.pid == os.getpid()):
        return job_dir or job_dir_of_this_process()
    # One that is over is nothing to who was started meanwhile, and goes on.
    return None if is_present(presence_file(job_dir)) is False else job_dir


def _forget() -> None:
    global _open
    _open = None


def default_name() -> str:
    """The name of the notebook or the script that this process runs."""
    source = _source()
    stem = "".join(character for character in Path(source).stem if character.isprintable()) if source else ""
    return stem[:JOB_NAME_LIMIT].strip() or "training"


def _source() -> str | None:
    """The path of the notebook or the script that this process runs."""
    if in_kernel():
        source = os.environ.get("JPY_SESSION_NAME")
    else:
        source = getattr(sys.modules.get("__main__"), "__file__", None)
    with contextlib.suppress(OSError):
        return str(Path(source).absolute()) if source else None
    # The folder was removed in which this process works.
    return source


def _spec(options: dict[str, Any]) -> dict[str, Any]:
    """The spec of the job, with all fields that jobs have."""
    try:
        cwd = str(Path.cwd())
    except OSError:
        # Somebody removed it.
        cwd = "/"
    return {
        "kind": "track",
        "path": _source(),
        "cwd": cwd,
        "kernel_name": None,
        "gpus": None,
        "priority": 0,
        "keep_kernel": 0.0,
        "env": {},
        **options,
    }


def _is_first_rank() -> bool:
    rank = next((value for name in _RANK_VARIABLES if (value := os.environ.get(name))), "0")
    return rank == "0"


def _install_hooks(loss_from_backward: bool) -> None:
    try:
        from .. import hooks
        from .late import watch_those_already_made

        hooks.install(loss_from_backward=loss_from_backward)
        watch_those_already_made()
    except Exception as error:  # noqa: BLE001 - what is logged is recorded without them
        warn(f"frameworks are not recorded by themselves: {type(error).__name__}: {error}")


def _name(name: object) -> str:
    if name is None:
        return default_name()
    if not is_job_name(name):
        raise ValueError(f"name must be 1 to {JOB_NAME_LIMIT} printable characters, not {name!r:.80}")
    return name


def _patience(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MOST_PATIENCE:
        raise ValueError(f"nan_patience must be a whole number from 1 to {MOST_PATIENCE}, not {value!r:.80}")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r:.80}")
    return value


def _alerts(value: object) -> dict[str, Any]:
    try:
        return dict(checked_thresholds(value))
    except ValueError as error:
        raise ValueError(f"alerts: {error}") from None
