"""What a job left behind: the list of it, one file, or a folder as one archive."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from urllib.parse import quote

from tornado import iostream

from ...jobs.artifacts import Archive, Changed, Missing, files_in, open_file, read
from ...jobs.errors import InvalidRequest
from ...jobs.files import listing
from .base import ApiBase, allowed

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class FilesHandler(ApiBase):
    """``GET …/{id}/files?path=``: ``{"files": [{"path", "size_bytes"}]}`` of a folder; without one the first 1,000."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        path = self.get_query_argument("path", None)
        look = partial(listing, tracker.job_dir) if path is None else partial(files_in, tracker.job_dir, path)
        self.answer({"files": await asyncio.to_thread(look)})


class Download(ApiBase):
    """What is taken home, never shown: a job's files are the job's, and its pages are none of this server's."""

    @property
    def content_security_policy(self) -> str:
        return super().content_security_policy + "; sandbox"

    def _prepare(self, name: str, length: int) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(length))
        self.set_header("X-Content-Type-Options", "nosniff")
        plain = re.sub(r'[^ -~]|["\\%]', "_", name)
        exact = quote(name.encode("utf-8", "surrogateescape"), safe="")
        self.set_header("Content-Disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")

    async def _send(self, chunks: Iterator[bytes]) -> None:
        if self.request.method == "HEAD":
            self.finish(set_content_type="application/octet-stream")
            return
        try:
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                self.write(chunk)
                await self.flush()
        except iostream.StreamClosedError:
            return
        except (Changed, Missing) as error:
            # The length is told already: who reads hears of it by a connection that ends too early.
            self.log.warning("A download of %s is not whole: %s", self.request.path, error)
            self.request.connection.stream.close()  # type: ignore[union-attr]
            return
        self.finish()


class FileHandler(Download):
    """``GET`` and ``HEAD …/{id}/files/{path}``, with one range of bytes, ``ETag`` and ``If-Range``."""

    @allowed("read")
    async def get(self, job_id: str, path: str) -> None:
        tracker = await self.services.manager.get(job_id)
        with await asyncio.to_thread(open_file, tracker.job_dir, path) as file:
            known = os.fstat(file.fileno())
            etag = f'"{known.st_mtime_ns:x}-{known.st_size:x}"'
            self.set_header("ETag", etag)
            self.set_header("Last-Modified", datetime.fromtimestamp(int(known.st_mtime), timezone.utc))
            self.set_header("Accept-Ranges", "bytes")
            if etag in self.request.headers.get("If-None-Match", ""):
                self.set_status(304)
                self.finish()
                return
            start, end = 0, known.st_size
            asked = self.request.headers.get("Range")
            if asked is not None and self.request.headers.get("If-Range", etag) == etag:
                part = _range(asked, known.st_size)
                if part is None:
                    self.set_header("Content-Range", f"bytes */{known.st_size}")
                    self.set_status(416)
                    self.finish()
                    return
                start, end = part
                if (start, end) != (0, known.st_size):
                    self.set_status(206)
                    self.set_header("Content-Range", f"bytes {start}-{end - 1}/{known.st_size}")
            self._prepare(path.rpartition("/")[2], end - start)
            await self._send(read(file, start, end - start))

    @allowed("read")
    async def head(self, job_id: str, path: str) -> None:
        await self.get(job_id, path)


class ArchiveHandler(Download):
    """``GET …/{id}/archive?path=``: a folder as a tar, streamed."""

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        path = self.get_query_argument("path", None)
        if path is None:
            raise InvalidRequest("path", "must be a folder that the job left: artifacts, checkpoints, or one in them")
        archive = await asyncio.to_thread(Archive, tracker.job_dir, path)
        self._prepare(f"{archive.name}.tar", archive.size_bytes)
        await self._send(archive.chunks())


def _range(asked: str, size: int) -> tuple[int, int] | None:
    """From where to before where; None where none of it is there. All of it where it is asked for in another way."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    return (start, end) if start < end else None
