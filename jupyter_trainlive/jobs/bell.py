"""The server's end of the doorbell: rings reach the job that they are of."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from ..protocol.doorbell import listen

_DATAGRAM_BYTES = 64
#: So many are heard in a row before the loop looks at anything else.
_AT_ONCE = 1000


class Bell:
    """Hears the jobs of one folder; `ring` is called with the id that each datagram bears, whoever sent it."""

    def __init__(self, jobs_dir: Path, ring: Callable[[str], None]) -> None:
        self._jobs_dir = jobs_dir
        self._ring = ring
        self._socket: socket.socket | None = None

    def listen(self) -> None:
        """Hear from now on, on the running loop. Raises OSError where there can be no doorbell."""
        self._socket = listen(self._jobs_dir)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _hear(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                self._ring(self._socket.recv(_DATAGRAM_BYTES).decode("ascii", "replace"))
