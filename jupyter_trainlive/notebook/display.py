"""A job as a cell's last line shows itself: live where there is a view for it, as a picture elsewhere."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from ..client import Job, TrainLiveError
from ..client.connection import current
from . import picture

#: JupyterLab and Notebook with our extension show it live without a kernel, and before any widget.
JOB_MIME = "application/vnd.jupyter-trainlive.job+json"
#: These are what is drawn of a job, if it has them.
_MAIN_SERIES = ("loss", "eval_loss")
_PICTURE_POINTS = 300

MimeBundle = tuple[dict[str, Any], dict[str, Any]]


def register(shell: Any) -> None:
    """Let an IPython shell show jobs with their view, where a front end can show one."""
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


def picture_of(job: Job) -> str | None:
    """The curves of a job as they are now; None where there are none, or the server does not tell."""
    try:
        info = job.info()
        names = [series["name"] for series in info["series"]]
        wanted = [name for name in _MAIN_SERIES if name in names] or names[:2]
        curves = job.curves(wanted, points=_PICTURE_POINTS)
    except TrainLiveError:
        return None
    lines = [picture.Line(name.replace("_", " "), curve["buckets"]) for name, curve in curves.items()]
    return picture.svg(f"{job.name or job.job_id} · {_standing(info)}", lines)


def _standing(info: dict[str, Any]) -> str:
    """How the job stood when the picture was made: it is not live, so it says of when it is."""
    at_step = "" if info["current_step"] is None else f" at step {info['current_step']:,}"
    when = info["ended_at"] or time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    return f"{info['status']}{at_step}, {when[:16].replace('T', ' ')} UTC"


def _mimebundle(job: Job) -> MimeBundle:
    data, metadata = _bundle(job.job_id, job.name, repr(job))
    drawn = picture_of(job)
    return (data if drawn is None else {**data, "image/svg+xml": drawn}), metadata


def _bundle(job_id: str, name: str, text: str) -> MimeBundle:
    try:
        server_path = urlsplit(current().access.url).path
    except TrainLiveError:
        server_path = ""
    data, metadata = ({}, {}) if _is_unattended() else _widget_view(job_id, name, server_path)
    saved = {"job_id": job_id, "name": name, "server_path": server_path}
    return {**data, JOB_MIME: saved, "text/plain": text}, metadata


def _widget_view(job_id: str, name: str, server_path: str) -> MimeBundle:
    """For front ends that have widgets and not our extension."""
    from .widget import JobWidget

    bundle: Any = JobWidget(job_id, name, server_path)._repr_mimebundle_() or {}
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return dict(data or {}), dict(metadata)


def _is_unattended() -> bool:
    """Whether a program runs this cell (nbconvert, papermill): it could not answer a question.

    A widget that nobody sees would weigh down the notebook, and an HTML export prefers it to any picture.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    ask = getattr(kernel, "get_parent", None)
    parent = ask() if callable(ask) else None
    content = parent.get("content") if isinstance(parent, dict) else None
    return isinstance(content, dict) and content.get("allow_stdin") is False
