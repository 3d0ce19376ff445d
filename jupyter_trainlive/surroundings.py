"""Where this very process is, for a training that records itself: the folder of jobs, who it is, and who is shown it.

Wiring: the training room, which knows neither client nor notebook, asks here; each is imported when it is asked for.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .protocol.jobdir import JobDir, default_jobs_dir

if TYPE_CHECKING:
    from .protocol.access import Access

#: Where trainings that record themselves are kept, when it is not the folder of the server that is found.
JOBS_DIR_VARIABLE = "TRAINLIVE_JOBS_DIR"


@dataclass(frozen=True)
class Place:
    """A folder of jobs, and whether a running server shows it."""

    jobs_dir: Path
    shown: bool


def place(jobs_dir: str | os.PathLike[str] | None = None) -> Place:
    """The folder to record in: the one given, else that of the environment, of the server found, or Jupyter's own.

    Raises RuntimeError, saying what to do, where none is known.
    """
    given = jobs_dir or os.environ.get(JOBS_DIR_VARIABLE)
    access = _server()
    theirs = Path(access.jobs_dir) if access is not None and access.jobs_dir else None
    folder = Path(given).expanduser().absolute() if given else theirs or _default()
    return Place(folder, theirs is not None and folder.resolve() == theirs.resolve())


def identity() -> dict[str, Any]:
    """This process as its `spawned` record names it."""
    from .kernels.processes import boot_id, start_time
    from .protocol.presence import host

    pid = os.getpid()
    return {"pid": pid, "start_time": start_time(pid), "boot_id": boot_id(), "host": host()}


def announce(job_dir: JobDir, name: str, *, shown: bool) -> None:
    """Show a job that has just begun: live in a notebook whose server has it, else as one line. Never raises."""
    try:
        if shown and _in_notebook():
            _display(job_dir.job_id, name)
            return
    except Exception as error:  # noqa: BLE001 - a view that can't be made must not cost anybody a training
        print(f"jupyter_trainlive: no live view here: {type(error).__name__}: {error}", file=sys.stderr)
    where = f"jupyter trainlive watch {job_dir.job_id}"
    if not shown:
        where = f"no Jupyter server shows {job_dir.path.parent} now; one that does later has it all"
    try:
        print(f"jupyter_trainlive: recording {name!r} as {job_dir.job_id} ({where})", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return


def _server() -> Access | None:
    """The running server of this process; None where there is none, or it isn't clear which one is meant."""
    try:
        from .client.discovery import find
        from .client.errors import NoServerError
    except ImportError:
        # An environment that has this package's folder alone.
        return None
    try:
        return find()
    except NoServerError:
        return None


def _default() -> Path:
    try:
        from jupyter_core.paths import jupyter_data_dir
    except ImportError:
        remedy = f"pass jobs_dir=, or set {JOBS_DIR_VARIABLE}"
        raise RuntimeError(
            f"Where jobs are kept is not known, as jupyter_core is not installed here: {remedy}"
        ) from None
    return default_jobs_dir(jupyter_data_dir())


def _in_notebook() -> bool:
    module = sys.modules.get("IPython")
    return module is not None and hasattr(module.get_ipython(), "kernel")


def _display(job_id: str, name: str) -> None:
    from .notebook.display import show

    show(job_id, name)
