"""What a session needs of its WebSocket, and how it sends what must not be left out."""

from __future__ import annotations

import asyncio
from typing import Protocol

#: How long to wait where there is no room although the client has read everything: others were quicker.
AGAIN_SECONDS = 0.02


class Socket(Protocol):
    """One client's WebSocket."""

    def send(self, text: str) -> bool:
        """Send without waiting; False where the client is gone, or has too much waiting already."""

    def end(self, text: str) -> None:
        """Send a last message and close with 1000."""

    async def drained(self) -> bool:
        """Wait until the client has read everything; False where it is gone."""


async def deliver(socket: Socket, text: str) -> bool:
    """Send as soon as the client has read what is waiting for it; False where it is gone."""
    while await socket.drained():
        if socket.send(text):
            return True
        await asyncio.sleep(AGAIN_SECONDS)
    return False
