"""A job's socket, as the kernel reads it for pages: opened with its own access, its frames in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Protocol
from urllib.parse import quote

from ..client import connection
from ..client.errors import NoServerError

#: Frames are gathered for so long, and up to so much, into one message.
BATCH_SECONDS = 0.125
BATCH_BYTES = 64 << 10
#: A page that hears nothing for longer takes the kernel for gone.
HERE_SECONDS = 5.0
_FRAME_BYTES = 16 << 20
_OPEN_SECONDS = 10.0


class JobSocket(Protocol):
    """A job's socket, as far as it is needed here."""

    async def recv(self) -> str | bytes: ...
    async def send(self, message: str) -> None: ...


def socket_of(job_id: str) -> Any:
    """The job's socket; a context manager."""
    import websockets

    server = connection.current()
    return websockets.connect(
        server.socket_url(f"ws/training/{quote(job_id, safe='')}"),
        subprotocols=[websockets.Subprotocol("trainlive.v1")],
        additional_headers=server.headers,
        proxy=None,
        open_timeout=_OPEN_SECONDS,
        max_size=_FRAME_BYTES,
    )


def broken() -> tuple[type[BaseException], ...]:
    """How it shows that the server is not there, or not any more."""
    import websockets

    return (OSError, asyncio.TimeoutError, websockets.WebSocketException, NoServerError)


async def batch(socket: JobSocket, at_once: bool) -> list[str]:
    """The frames of the next moment; none where there are none for a while."""
    try:
        frames = [str(await asyncio.wait_for(socket.recv(), HERE_SECONDS))]
    except asyncio.TimeoutError:
        return []
    until, size = time.monotonic() + BATCH_SECONDS, len(frames[0])
    # What comes first is a greeting, which the page answers.
    with contextlib.suppress(*broken()):
        while not at_once and size < BATCH_BYTES:
            frames.append(str(await asyncio.wait_for(socket.recv(), until - time.monotonic())))
            size += len(frames[-1])
    return frames
