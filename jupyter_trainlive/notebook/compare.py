"""Several jobs side by side, as a cell's last line shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..client import Job, TrainLiveError, get
from ..client.terminal import plain
from . import picture

#: JupyterLab and Notebook with our extension show it live.
COMPARISON_MIME = "application/vnd.jupyter-trainlive.comparison+json"
#: More curves than these nobody tells apart.
MOST_JOBS = 10
_PICTURE_POINTS = 200
_MOST_TEXT = 60
_COLUMNS = ("status", "current_step", "loss", "eval_loss")


class Comparison:
    """What ``compare`` returns; `jobs` are those it shows, in the order of their colours."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def __repr__(self) -> str:
        rows = [("job", "name", *(name.replace("_", " ") for name in _COLUMNS))]
        for job in self.jobs:
            info = _info(job)
            rows.append((job.job_id, _cell(job.name), *(_cell(info.get(name)) for name in _COLUMNS)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        saved = [{"job_id": job.job_id, "name": job.name} for job in self.jobs]
        data: dict[str, Any] = {COMPARISON_MIME: {"jobs": saved}, "text/plain": repr(self)}
        title = f"Comparison of {len(self.jobs)} job{'s' * (len(self.jobs) > 1)} · loss"
        drawn = picture.svg(title, [picture.Line(job.name or job.job_id, _losses(job)) for job in self.jobs])
        return data if drawn is None else {**data, "image/svg+xml": drawn}


def compare(*jobs: Job | str | Iterable[Job | str]) -> Comparison:
    """Show up to ten jobs side by side, each given as a job or by its id: ``compare(trainlive.jobs(q="sweep"))``.

    Raises ValueError where there are none or too many, RequestError where the server does not know one.
    """
    found: dict[str, Job] = {}
    for item in jobs:
        for one in [item] if isinstance(item, (Job, str)) else item:
            job = one if isinstance(one, Job) else get(one)
            found[job.job_id] = job
    if not 1 <= len(found) <= MOST_JOBS:
        raise ValueError(f"compare() takes 1 to {MOST_JOBS} jobs, and was given {len(found)}")
    return Comparison(list(found.values()))


def _info(job: Job) -> dict[str, Any]:
    try:
        return job.info()
    except TrainLiveError as error:
        return {"status": str(error)}


def _losses(job: Job) -> list[dict[str, Any]]:
    try:
        buckets: list[dict[str, Any]] = job.curves("loss", points=_PICTURE_POINTS)["loss"]["buckets"]
    except TrainLiveError:
        # It has no loss, or is not there any more.
        return []
    return buckets


def _cell(value: object) -> str:
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else plain(str(value))
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
