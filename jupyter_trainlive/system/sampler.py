"""The one sampler of a server: reads the machine off the loop, and only while someone wants to know."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from .gpus import Gpu, GpuReader
from .host import Host, HostReader
from .sample import Sample
from .worker import Worker

log = logging.getLogger(__name__)

Listener = Callable[[Sample], None]

CLOSE_GRACE_SECONDS = 1.0


class Sampler:
    """Reads GPUs and host every ``interval_seconds`` while it is held, for however many hold it.

    Who watches calls `acquire` before and `release` after, or stands in ``with sampler.watching():``; the
    first holder starts the sampling, the last one ends it. `now` reads at once, with or without holders. With
    no holder there is no timer, and after ``linger_seconds`` no thread: then `rest` is called, to let go of
    the GPUs.

    A reader that blocks holds up its own thread only. Until it answers no other reading starts, and everybody
    gets the last sample, whose time says how old it is. A reader that raises is logged once per row of
    failures, and asked again at the next interval.

    Everything here is called on one asyncio loop, and listeners are called on it; `read_gpus`, `read_host`
    and `rest` are called in a thread, one at a time. `clock` gives unix seconds; `sleep` waits on the loop.
    """

    def __init__(
        self,
        read_gpus: Callable[[], Sequence[Gpu]],
        read_host: Callable[[], Host],
        *,
        rest: Callable[[], None] = lambda: None,
        interval_seconds: float = 1.0,
        history_length: int = 300,
        linger_seconds: float = 60.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.interval_seconds = interval_seconds
        self._read_gpus = read_gpus
        self._read_host = read_host
        self._clock = clock
        self._sleep = sleep
        self._worker = Worker(self._read, rest, name="trainlive-sampler", linger_seconds=linger_seconds)
        self._samples: deque[Sample] = deque(maxlen=history_length)
        self._listeners: dict[object, Listener] = {}
        self._holders = 0
        self._ticking: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[Sample] | None = None
        self._failing = False
        self._closed = False

    @classmethod
    def of_this_machine(
        cls, *, interval_seconds: float = 1.0, job_of: Callable[[int], str | None] = lambda pid: None
    ) -> Sampler:
        """A sampler of the GPUs and the host that this process runs on. Reads nothing yet.

        `job_of` tells, in the sampler's thread, to which job the process with that pid belongs.
        """
        gpus = GpuReader(job_of=job_of)
        return cls(gpus.read, HostReader().read, rest=gpus.close, interval_seconds=interval_seconds)

    @property
    def latest(self) -> Sample | None:
        """The last sample, however old; None before the first."""
        return self._samples[-1] if self._samples else None

    def history(self) -> list[Sample]:
        """The samples of the last ``history_length`` intervals, oldest first; empty after a long idle."""
        since = self._clock() - self.interval_seconds * (self._samples.maxlen or 0)
        return [sample for sample in self._samples if sample.time > since]

    def acquire(self) -> None:
        """Want samples until `release`. After `close` this does nothing."""
        self._holders += 1
        if self._ticking is None and not self._closed:
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    def release(self) -> None:
        """Want samples no longer. Raises RuntimeError where nobody holds it."""
        if self._holders == 0:
            raise RuntimeError("release() without acquire()")
        self._holders -= 1
        if self._holders == 0 and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hold the sampler for as long as the block runs."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on the loop with each new sample, until the returned function is called.

        Listening does not hold the sampler. A listener that raises is logged and disturbs no other.
        """
        key = object()
        self._listeners[key] = listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    async def now(self, *, timeout_seconds: float = 2.0) -> Sample | None:
        """A sample at most one interval old, read at once where there is none.

        Where reading takes longer than `timeout_seconds` or fails: the last sample, or None before the first.
        """
        if not self._closed and not self._is_fresh():
            await asyncio.wait({self._start_reading()}, timeout=timeout_seconds)
        return self.latest

    async def close(self) -> None:
        """Stop for good and let go of the GPUs, without waiting for a reader that is blocked."""
        self._closed = True
        self._listeners.clear()
        for waiting in (self._ticking, self._reading):
            if waiting is not None:
                waiting.cancel()
        self._ticking = None
        ended = asyncio.wrap_future(self._worker.stop())
        await asyncio.wait({ended}, timeout=CLOSE_GRACE_SECONDS)
        ended.cancel()

    def _age_seconds(self) -> float:
        return float("inf") if self.latest is None else self._clock() - self.latest.time

    def _is_fresh(self) -> bool:
        return 0 <= self._age_seconds() < self.interval_seconds

    async def _tick(self) -> None:
        if self._is_fresh():  # so that holders who come and go quickly still cause one reading per interval
            await self._sleep(self.interval_seconds - self._age_seconds())
        while True:
            reading = asyncio.wait({self._start_reading()})
            await asyncio.gather(reading, self._sleep(self.interval_seconds))

    def _start_reading(self) -> asyncio.Future[Sample]:
        """The reading that is outstanding, or a new one."""
        if self._reading is None:
            self._reading = asyncio.wrap_future(self._worker.ask())
            self._reading.add_done_callback(self._arrived)
        return self._reading

    def _read(self) -> Sample:
        """In the worker's thread. The time is taken last, for it may have blocked before."""
        gpus, host = tuple(self._read_gpus()), self._read_host()
        return Sample(self._clock(), gpus, host)

    def _arrived(self, reading: asyncio.Future[Sample]) -> None:
        self._reading = None
        if reading.cancelled():
            return
        error = reading.exception()
        if error is not None:
            if not self._failing:
                log.error("The machine's gauges could not be read", exc_info=error)
            self._failing = True
            return
        self._failing = False
        self._samples.append(reading.result())
        for listener in list(self._listeners.values()):
            try:
                listener(reading.result())
            except Exception:
                log.exception("A listener failed on a sample")
