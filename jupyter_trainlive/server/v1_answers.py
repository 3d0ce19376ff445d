"""Answers the window requests of one client, one at a time, and tells it what was wrong with others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..jobs.errors import InvalidRequest
from ..jobs.tracker import Tracker
from . import v1_frames as frames
from .sockets import Socket, deliver
from .v1_requests import MOST_WAITING, WindowRequest

#: Refusals kept for a client that does not read them.
_MOST_REFUSALS = 32


class Answers:
    """What one client asked for and has not been told yet. `on_idle` is called when it has been told all."""

    def __init__(self, socket: Socket, tracker: Tracker, on_idle: Callable[[], None]) -> None:
        self._socket = socket
        self._tracker = tracker
        self._on_idle = on_idle
        self._requests: deque[WindowRequest] = deque()
        self._refusals: deque[str] = deque(maxlen=_MOST_REFUSALS)
        self._working: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is still to be sent."""
        return self._working is not None and not self._working.done()

    def ask(self, request: WindowRequest) -> None:
        """Answer it when those before it were."""
        if len(self._requests) >= MOST_WAITING:
            problem = f"is one too many: {MOST_WAITING} wait for their answers; ask again when one has come"
            self.refuse(request.id, InvalidRequest("window", problem))
        else:
            self._requests.append(request)
            self._work()

    def refuse(self, asked: str | int | None, error: InvalidRequest) -> None:
        """Say what is wrong; of a client that goes on and on without reading the answers some are left out."""
        frame = frames.error(asked, error.field, str(error))
        if not self._socket.send(frame):
            self._refusals.append(frame)
            self._work()

    def close(self) -> None:
        """The client left."""
        if self._working is not None:
            self._working.cancel()

    def _work(self) -> None:
        if not self.busy:
            self._working = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        while self._requests or self._refusals:
            frame = self._refusals.popleft() if self._refusals else await self._window(self._requests.popleft())
            if not await deliver(self._socket, frame):
                return
        self._working = None
        self._on_idle()

    async def _window(self, request: WindowRequest) -> str:
        try:
            seq, curves = await self._tracker.curves.read(request.names, request.window)
        except OSError as error:
            return frames.error(request.id, None, str(error))
        buckets = {name: curve.buckets for name, curve in curves.items()}
        return await asyncio.to_thread(frames.window, request.id, seq, request.window.axis, buckets)
