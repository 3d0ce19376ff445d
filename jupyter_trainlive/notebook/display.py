"""A job as a cell's last line shows itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ..client import Job, NoServerError
from ..client.connection import current


def register(shell: Any) -> None:
    """Let an IPython shell show jobs with their widget, where a front end can show one."""
    if hasattr(shell, "kernel"):
        shell.display_formatter.mimebundle_formatter.for_type(Job, _mimebundle)


def show(job_id: str, name: str) -> None:
    """Show a job in the running cell, at once: nothing is asked of a server that may be slow to answer."""
    from IPython.display import display

    data, metadata = _bundle(job_id, name, f"<Job {job_id} {name!r}>")
    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]


def is_shown(job: Job) -> None:
    """The next time that IPython would show the job it does not: it stands there already."""
    # What IPython asks first, and what it takes for all there is to show.
    vars(job)["_ipython_display_"] = lambda: vars(job).pop("_ipython_display_", None)


def _mimebundle(job: Job) -> Any:
    return _bundle(job.job_id, job.name, repr(job))


def _bundle(job_id: str, name: str, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from .widget import JobWidget

    try:
        server_path = urlsplit(current().access.url).path
    except NoServerError:
        server_path = ""
    widget = JobWidget(job_id, name, server_path)
    bundle: Any = widget._repr_mimebundle_() or {}
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return {**(data or {}), "text/plain": text}, metadata
