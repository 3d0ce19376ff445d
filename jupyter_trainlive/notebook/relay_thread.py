"""The thread in which a kernel passes things on to pages, whether it is at work or not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import httpx

from . import tunnel

#: What all pages together are sent in a second; a server between kernel and page may drop what comes too fast.
FRAME_BYTES_PER_SECOND = 250_000
ANSWER_BYTES_PER_SECOND = 1_000_000
#: Once a kernel is idle the pages' own questions reach it within that time.
GRACE_SECONDS = 5.0
#: Of so many widgets, the newest, a kernel at work tells unasked.
MOST_UNASKED = 8


class Teller(Protocol):
    """What the thread knows of a relay."""

    declined: bool

    def tell_unasked(self) -> None: ...
    def be_quiet(self, unless_begun: bool = False) -> None: ...


class Pace:
    """Lets so many bytes a second go by, one caller after the other."""

    def __init__(self, bytes_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._free_at = 0.0

    def wait_for(self, size: int) -> float:
        """How long to wait before the next `size` bytes go."""
        now = self._clock()
        begin = max(now, self._free_at)
        self._free_at = begin + size / self._rate
        return begin - now


class Thread:
    """What all relays of this kernel share: their thread, their pace, and whether the kernel is at work."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.frames = Pace(FRAME_BYTES_PER_SECOND)
        self.answers = Pace(ANSWER_BYTES_PER_SECOND)
        self.relays: list[Teller] = []
        #: A widget is made by a cell at work.
        self.busy = True
        self.idle_since = time.monotonic()
        self._http: httpx.AsyncClient | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        threading.Thread(target=self.loop.run_forever, name="trainlive-relay", daemon=True).start()

    def watch(self, shell: Any) -> None:
        """Learn from an IPython shell when its kernel is at work."""
        shell.events.register("pre_execute", lambda: self.call(self.at_work))
        shell.events.register("post_execute", lambda: self.call(self.at_rest))

    def call(self, what: Callable[..., None], *arguments: Any) -> None:
        """From any other thread."""
        self.loop.call_soon_threadsafe(what, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def http(self) -> httpx.AsyncClient:
        self._http = self._http or tunnel.client()
        return self._http

    def at_work(self) -> None:
        self.busy = True
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        for relay in [relay for relay in self.relays if not relay.declined][-MOST_UNASKED:]:
            relay.tell_unasked()

    def at_rest(self) -> None:
        if not self.busy:
            return
        self.busy, self.idle_since = False, time.monotonic()
        for relay in self.relays:
            relay.be_quiet(unless_begun=True)
        self._resting = self.loop.call_later(GRACE_SECONDS, self._rest)

    def _rest(self) -> None:
        self._resting = None
        for relay in self.relays:
            relay.be_quiet()


_thread: Thread | None = None


def shared() -> Thread:
    """The thread of this kernel, started with its first widget."""
    global _thread
    if _thread is None:
        from IPython import get_ipython

        _thread = Thread()
        shell = get_ipython()
        if shell is not None:
            _thread.watch(shell)
    return _thread
