"""Jobs: submit, list, look at one, and what can be asked of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ...jobs.errors import InvalidRequest
from ...jobs.files import environment, last_lines, listing
from ...jobs.tracker import Tracker
from ...protocol.messages import job_view, message
from ...protocol.states import Job, Status
from ...protocol.values import carry
from .base import ApiBase, allowed
from .kept import with_memory

_LIMIT, _MOST = 50, 500


class ExecuteHandler(ApiBase):
    """``POST api/training/execute``: the recipe, by its parameters; with ``{"dry_run": true}`` what it would do."""

    _answering: asyncio.Task[dict[str, Any]] | None = None

    @allowed("write")
    async def post(self) -> None:
        body = self.json_body()
        if isinstance(body, dict) and "kind" in body:
            raise InvalidRequest("kind", "is not a parameter here: this call runs the fine-tune recipe")
        request = {"kind": "finetune", **body} if isinstance(body, dict) else body
        dry_run = request.pop("dry_run", None) if isinstance(request, dict) else None
        if dry_run is not None and not isinstance(dry_run, bool):
            raise InvalidRequest("dry_run", "must be true to learn what the training would do, or false to start it")
        if not dry_run:
            return await submit(self, request)
        self._answering = asyncio.create_task(self.services.manager.dry_run(request))
        # Cancelled where the client has gone, or the server goes.
        await asyncio.wait({self._answering})
        if not self._answering.cancelled():
            self.answer(self._answering.result())

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._answering is not None:
            self._answering.cancel()


class JobsHandler(ApiBase):
    """``api/training/jobs``: all jobs, newest first, and new ones of any kind."""

    # A panel that polls its list is no sign of a user at work.
    _track_activity = False

    @allowed("read")
    async def get(self) -> None:
        status = self.get_query_argument("status", None)
        if status is not None and status not in [known.value for known in Status]:
            raise InvalidRequest("status", f"must be one of: {', '.join(known.value for known in Status)}")
        limit = self.whole_argument("limit", _LIMIT)
        if not 1 <= limit <= _MOST:
            raise InvalidRequest("limit", f"must be 1 to {_MOST}")
        cursor = self.get_query_argument("cursor", None)
        text = self.get_query_argument("q", "").casefold()
        trackers = await self.services.manager.list()
        if cursor is not None:
            ids = [tracker.job_dir.job_id for tracker in trackers]
            if cursor not in ids:
                raise InvalidRequest("cursor", "is not one that this list gave; begin again without it")
            trackers = trackers[ids.index(cursor) + 1 :]
        found = [tracker for tracker in trackers if _matches(tracker.job, status, text)]
        page = found[:limit]
        more = len(found) > limit
        self.answer(
            {
                "jobs": await with_memory([_listed(tracker) for tracker in page], page),
                "next_cursor": page[-1].job_dir.job_id if more else None,
            }
        )

    @allowed("write")
    async def post(self) -> None:
        await submit(self, self.json_body())


class JobHandler(ApiBase):
    """``api/training/jobs/{id}``: all there is to say of one job, and its end."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        self.answer(await detailed(await self.services.manager.get(job_id)))

    @allowed("write")
    async def delete(self, job_id: str) -> None:
        await self.services.manager.delete(job_id)
        self.set_status(204)
        self.finish()


class StatusHandler(ApiBase):
    """``GET api/training/status/{id}``: the plain dialect's message, for pollers."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        utilization = self.services.streams.utilization(tracker)
        self.answer(message(tracker.job, time.time(), gpu_utilization_percent=utilization, place=tracker.place))


class PauseHandler(ApiBase):
    """``POST api/training/jobs/{id}/pause``: hold, or with ``{"release": true}`` free the GPU."""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        body = self.optional_body()
        for name in body:
            if name != "release":
                raise InvalidRequest(name, "is not a field here; the one there is is release")
        release = body.get("release", False)
        if not isinstance(release, bool):
            raise InvalidRequest("release", "must be true to free the GPU, or false to keep it")
        self.answer(job_view(await self.services.manager.pause(job_id, release=release)), status=202)


class ResumeHandler(ApiBase):
    """``POST api/training/jobs/{id}/resume``"""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        self.answer(job_view(await self.services.manager.resume(job_id)), status=202)


class CancelHandler(ApiBase):
    """``POST api/training/jobs/{id}/cancel``"""

    @allowed("write")
    async def post(self, job_id: str) -> None:
        self.answer(job_view(await self.services.manager.cancel(job_id)), status=202)


class CleanHandler(ApiBase):
    """``POST api/training/clean``: retention by age and size, or with ``{"dry_run": true}`` what it would remove."""

    @allowed("write")
    async def post(self) -> None:
        self.answer(await self.services.manager.clean(self.optional_body()))


class ReindexHandler(ApiBase):
    """``POST api/training/reindex``: build the index again from the directories."""

    @allowed("write")
    async def post(self) -> None:
        self.answer({"jobs": await self.services.manager.reindex()})


async def submit(handler: ApiBase, request: Any) -> None:
    """Submit and answer 201 with the job and its address."""
    job = await handler.services.manager.submit(request)
    address = f"{handler.base_url}trainlive/api/training/jobs/{job.job_id}"
    handler.set_header("Location", address)
    handler.answer(job_view(job), status=201)


async def detailed(tracker: Tracker) -> dict[str, Any]:
    """One job with its series, its folder and the files that it leaves behind."""
    series = [
        {"name": name, "count": summary.count, "last": carry(summary.last)} for name, summary in tracker.series.items()
    ]
    (view,) = await with_memory([job_view(tracker.job, tracker.place)], [tracker])
    files = await asyncio.to_thread(listing, tracker.job_dir)
    tail = await asyncio.to_thread(last_lines, tracker.job_dir.output_log)
    return {
        **view,
        "series": series,
        "directory": str(tracker.job_dir.path),
        "files": files,
        "output_tail": tail,
        "environment": await asyncio.to_thread(environment, tracker.job_dir),
    }


def _listed(tracker: Tracker) -> dict[str, Any]:
    """One job of many: with the shape of its loss, without what its own page shows in detail."""
    view = job_view(tracker.job, tracker.place)
    del view["marks"]
    return {**view, "spark": tracker.job.training.spark.shown}


def _matches(job: Job, status: str | None, text: str) -> bool:
    if status is not None and job.status.value != status:
        return False
    return text in str(job.spec.get("name", "")).casefold() or text in job.job_id
