"""The GPUs of this machine as the queue needs them: asked when something waits, and never waited for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ..system import Gpu, GpuReader
from ..system.worker import Worker

log = logging.getLogger(__name__)

#: A driver that takes longer than this to answer is not waited for.
_ANSWER_SECONDS = 5.0
_LINGER_SECONDS = 60.0
_CLOSE_SECONDS = 1.0


class GpuInventory:
    """Reads the GPUs in a thread of its own. All methods are called on one event loop."""

    def __init__(self, read: Callable[[], Sequence[Gpu]] | None = None, rest: Callable[[], None] | None = None) -> None:
        reader = GpuReader()
        self._worker = Worker(
            read or reader.read, rest or reader.close, name="trainlive-gpus", linger_seconds=_LINGER_SECONDS
        )
        self._reading: asyncio.Future[Sequence[Gpu]] | None = None
        self._last: Sequence[Gpu] = ()

    async def read(self) -> Sequence[Gpu]:
        """The GPUs now; while the driver does not answer, as they were when it last did."""
        if self._reading is None:
            self._reading = asyncio.wrap_future(self._worker.ask())
        await asyncio.wait({self._reading}, timeout=_ANSWER_SECONDS)
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            if reading.exception() is not None:
                log.error("The GPUs could not be read", exc_info=reading.exception())
            else:
                self._last = reading.result()
        return self._last

    async def close(self) -> None:
        """Let go of the GPUs, without waiting for a driver that is blocked."""
        if self._reading is not None:
            self._reading.cancel()
        ended = asyncio.wrap_future(self._worker.stop())
        await asyncio.wait({ended}, timeout=_CLOSE_SECONDS)
        ended.cancel()
