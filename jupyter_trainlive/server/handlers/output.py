"""What a job writes to its output, by byte offset."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from ...jobs.errors import InvalidRequest
from ...jobs.output import LEAST_BYTES, read_log
from .base import ApiBase, allowed

_LIMIT_BYTES, _MOST_BYTES = 64 << 10, 1 << 20


class LogHandler(ApiBase):
    """``GET …/{id}/log?offset=&limit=``: a piece of the output; a negative offset counts from its end."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        offset = self.whole_argument("offset", 0)
        limit = self.whole_argument("limit", _LIMIT_BYTES)
        if not LEAST_BYTES <= limit <= _MOST_BYTES:
            raise InvalidRequest("limit", f"must be {LEAST_BYTES} to {_MOST_BYTES} bytes")
        # Asked before reading: what is read afterwards has all of it.
        final = tracker.job.status.ended
        piece = await asyncio.to_thread(read_log, tracker.job_dir.output_log, offset, limit, final=final)
        self.answer(asdict(piece))
