"""What a job writes: its output by byte offset, and every point as CSV."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tornado import iostream

from ...jobs.errors import InvalidRequest
from ...jobs.series import csv_chunks
from .base import ApiBase, allowed

#: No character is longer than the least.
_LEAST_BYTES, _LIMIT_BYTES, _MOST_BYTES = 4, 64 << 10, 1 << 20


class LogHandler(ApiBase):
    """``GET …/{id}/log?offset=&limit=``: a piece of the output; a negative offset counts from its end."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        offset = self.whole_argument("offset", 0)
        limit = self.whole_argument("limit", _LIMIT_BYTES)
        if not _LEAST_BYTES <= limit <= _MOST_BYTES:
            raise InvalidRequest("limit", f"must be {_LEAST_BYTES} to {_MOST_BYTES} bytes")
        self.answer(await asyncio.to_thread(read_log, tracker.job_dir.output_log, offset, limit))


class MetricsCsvHandler(ApiBase):
    """``GET …/{id}/metrics.csv``: all points, streamed."""

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{job_id}-metrics.csv"')
        chunks = csv_chunks(tracker.job_dir)
        try:
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                self.write(chunk.encode(errors="replace"))
                await self.flush()
        except iostream.StreamClosedError:
            return
        self.finish()


def read_log(path: Path, offset: int, limit: int) -> dict[str, Any]:
    """{"offset", "next_offset", "size", "text"} in bytes of the file; a character is never cut in two."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            offset = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(offset)
            data = file.read(limit)
    except FileNotFoundError:
        size, offset, data = 0, 0, b""
    start = offset
    while data and start > 0 and 0x80 <= data[0] < 0xC0 and start - offset < 3:
        data, start = data[1:], start + 1
    complete = _complete(data)
    if offset + len(data) < size or complete:
        data = data[:complete]
    return {
        "offset": start,
        "next_offset": start + len(data),
        "size": size,
        "text": data.decode("utf-8", "replace"),
    }


def _complete(data: bytes) -> int:
    """How many bytes of `data` are left when a character that its end cuts in two is taken away."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if length > back else len(data)
    return len(data)
