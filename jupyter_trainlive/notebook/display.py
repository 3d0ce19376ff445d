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


def _mimebundle(job: Job) -> Any:
    from .widget import JobWidget

    try:
        server_path = urlsplit(current().access.url).path
    except NoServerError:
        server_path = ""
    widget = JobWidget(job.job_id, job.name, server_path)
    bundle: Any = widget._repr_mimebundle_() or {}
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return {**(data or {}), "text/plain": repr(job)}, metadata
