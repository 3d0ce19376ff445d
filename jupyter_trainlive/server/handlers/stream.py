"""The WebSocket of one job, in either dialect."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from functools import lru_cache, partial

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import ensure_async
from tornado import iostream, web
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketHandler

from ...jobs.errors import UnknownJob
from .. import v1
from ..streams import TooManyWatchers
from ..v1_session import V1Session
from .base import RESOURCE, Base

#: The first byte of a frame that is a whole text message.
_TEXT = 0x81


class TrainingSocket(WebSocketMixin, WebSocketHandler, Base):
    """``ws/training/{id}``: everything is looked up and allowed before the upgrade."""

    _pending_bytes = 0
    _moved_at = 0.0
    _leave: Callable[[], None] | None = None
    _session: V1Session | None = None
    #: Made when somebody waits: a thousand watchers have nothing waiting.
    _flushed: asyncio.Event | None = None

    @property
    def max_message_size(self) -> int:
        return self.services.limits.message_bytes

    def get_compression_options(self) -> None:
        """None: compressing costs each watcher memory and the server twice the time."""

    @ws_authenticated
    async def get(self, job_id: str) -> None:
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "read", RESOURCE)):
            raise web.HTTPError(403, "You may not watch this server's jobs.")
        try:
            self._tracker = await self.services.manager.get(job_id)
            self.services.streams.check_room(self._tracker)
        except UnknownJob as error:
            raise web.HTTPError(404, str(error)) from None
        except TooManyWatchers as error:
            raise web.HTTPError(503, str(error)) from None
        await super().get(job_id)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return v1.NAME if v1.NAME in subprotocols else None

    def open(self, *args: str, **kwargs: str) -> None:
        super().open(*args, **kwargs)
        # A watcher stays for days; what its handshake said is not asked for again, and takes more than all of ours.
        self.request.headers = HTTPHeaders()
        # Else the end of a long frame waits for the client to confirm its beginning, which may take 40 ms.
        self.set_nodelay(True)
        self._moved_at = time.monotonic()
        if self.selected_subprotocol == v1.NAME:
            self._session, self._leave = self.services.streams.watch_v1(self._tracker, self)
        else:
            self._leave = self.services.streams.watch_plain(self._tracker, self)

    def on_message(self, message: str | bytes) -> None:
        """The plain dialect has nothing to hear; in the other one the session listens."""
        if self._session is not None:
            self._session.receive(message)

    def on_close(self) -> None:
        super().on_close()
        self._tell_flushed()
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()

    def send(self, text: str) -> bool:
        """Send without waiting; False where the client is gone, or has too much waiting already."""
        limits = self.services.limits
        if self._pending_bytes > limits.pending_bytes:
            if time.monotonic() - self._moved_at > limits.stall_seconds:
                self.close(1013, "too slow")
            return False
        return self._write(text)

    def end(self, text: str) -> None:
        """The last message, then close with 1000."""
        self._write(text)
        self.close(1000, "complete")

    async def drained(self) -> bool:
        """Wait until the client has read everything; False where it is gone, or closed since it reads nothing."""
        while self._pending_bytes and self.ws_connection is not None:
            if self._flushed is None or self._flushed.is_set():
                self._flushed = asyncio.Event()
            try:
                await asyncio.wait_for(self._flushed.wait(), self.services.limits.stall_seconds)
            except (TimeoutError, asyncio.TimeoutError):
                self.close(1013, "too slow")
                return False
        return self.ws_connection is not None and not self.ws_connection.is_closing()

    def _write(self, text: str) -> bool:
        # Not by `write_message`: it frames the text anew and starts a task for each of a thousand watchers.
        connection = self.ws_connection
        if connection is None or connection.is_closing() or connection.stream is None:
            return False
        frame = _framed(text)
        try:
            written = connection.stream.write(frame)
        except iostream.StreamClosedError:
            return False
        if not written.done():
            if not self._pending_bytes:
                self._moved_at = time.monotonic()
            self._pending_bytes += len(frame)
            written.add_done_callback(partial(self._sent, len(frame)))
        return True

    def _sent(self, size: int, written: asyncio.Future[None]) -> None:
        self._pending_bytes -= size
        self._moved_at = time.monotonic()
        # A client that left is no error of ours: take the exception, so that nobody logs it.
        if not written.cancelled():
            written.exception()
        self._tell_flushed()

    def _tell_flushed(self) -> None:
        if self._flushed is not None:
            self._flushed.set()


@lru_cache(maxsize=4)
def _framed(text: str) -> bytes:
    """A text message as one unmasked frame (RFC 6455, 5.2), the same for all who are sent it."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload
