"""How a page hears of a job that cannot reach the server itself: through the kernel. `wire/relay.ts` is the other end.

A busy kernel hears none of its pages, so all of this runs in a thread of its own: it goes on telling what it was asked
for, and of a job that no page has declined it tells unasked. The kernel opens the job's socket with its own access,
none of which goes to the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import tunnel
from .job_socket import BATCH_BYTES, JobSocket, batch, broken, socket_of
from .relay_thread import shared

#: Pages ask again every five seconds, and every minute where nobody looks at them; one that does not is gone.
FORGOTTEN_SECONDS = 90.0
#: A request that had to wait for longer was given up by its page: nobody expects its effect any more.
FRESH_SECONDS = 8.0
#: A kernel at work for so long tells unasked, beginning anew after ever longer pauses for pages that came meanwhile.
BUSY_SECONDS = 2.5
FIRST_CYCLE_SECONDS, LONGEST_CYCLE_SECONDS = 10.0, 60.0
MOST_LINKS = 16
_UNASKED_PX = 1200
_PASSED_BYTES = 64 << 10
_FIRST = itertools.count(0, 1 << 32)

#: Puts one message of a widget on its way to the pages, with buffers behind it.
Send = Callable[[dict[str, Any], list[bytes]], None]


class _Link:
    """One page that asked to hear of the job."""

    def __init__(self) -> None:
        self.asked_at = time.monotonic()
        #: The number of the next message with frames. No two links count alike: whoever misses the first ones notices.
        self.next = self._first = next(_FIRST)
        self.socket: JobSocket | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def begins(self) -> bool:
        """Whether nothing was told yet."""
        return self.next == self._first


class Relay:
    """The relay of one widget. `hear` and `close` may be called by any thread, the rest happens in one of its own."""

    def __init__(self, job_id: str, send: Send) -> None:
        self._job_id = job_id
        self._send = send
        #: Whether a page said that it has no need of the kernel.
        self.declined = False
        self._links: dict[int, _Link] = {}
        self._unasked: asyncio.Task[None] | None = None
        self._has_begun = False
        self._thread = shared()
        self._thread.call(self._begin)

    def hear(self, message: object) -> None:
        """What a page says. Anything may come from there; what makes no sense is passed over."""
        if isinstance(message, dict) and message.get("trainlive") == 1:
            self._thread.call(self._hear, message)

    def close(self) -> None:
        """The widget is no more."""
        self._thread.call(self._end)

    def _begin(self) -> None:
        self._thread.relays.append(self)
        if self._thread.busy:
            self.tell_unasked()

    def _end(self) -> None:
        if self in self._thread.relays:
            self._thread.relays.remove(self)
        self.be_quiet()
        for link in list(self._links):
            self._close(link)

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"ask": "nothing"}:
                self.declined = True
                self.be_quiet()
            case {"ask": "frames", "link": int(link)}:
                self.declined = False
                opened = self._links.get(link)
                if opened is None:
                    self._open(link)
                else:
                    opened.asked_at = time.monotonic()
                    self._say("here", link=link, first=opened.begins, k=opened.next)
            case {"ask": "pass", "link": int(link), "text": str(text)} if len(text) <= _PASSED_BYTES:
                self._thread.spawn(self._pass(link, text))
            case {"ask": "close", "link": int(link)}:
                self._close(link)
                # It is told unasked no more either: its page is gone, or has another way.
                self.declined = not self._links
            case {"ask": "here", "n": int(n)}:
                self._say("answer", n=n, k=0, status=204, content_type="", more=False)
            case {"ask": "request", "n": int(n), "path": str(path), "method": str(method), "at": float(at) | int(at)}:
                if abs(time.monotonic() - at) <= FRESH_SECONDS:
                    body = message.get("body")
                    self._say("taken", n=n)
                    self._thread.spawn(self._answer(n, method, path, body if isinstance(body, str) else None))

    def _say(self, what: str, buffers: Sequence[bytes] = (), **fields: Any) -> None:
        self._send({"trainlive": 1, "say": what, "t": time.monotonic(), **fields}, list(buffers))

    def _open(self, link: int) -> None:
        while len(self._links) >= MOST_LINKS:
            self._close(next(iter(self._links)))
        opened = self._links[link] = _Link()
        opened.task = self._thread.spawn(self._serve(link, opened))

    def _close(self, link: int) -> None:
        closed = self._links.pop(link, None)
        if closed is not None and closed.task is not None:
            closed.task.cancel()

    async def _pass(self, link: int, text: str) -> None:
        opened = self._links.get(link)
        if opened is not None and opened.socket is not None:
            with contextlib.suppress(*broken()):
                await opened.socket.send(text)

    async def _serve(self, link: int, opened: _Link) -> None:
        def wanted() -> bool:
            # What was said while the kernel was at work is still to come.
            last = max(opened.asked_at, self._thread.idle_since)
            return self._thread.busy or time.monotonic() - last <= FORGOTTEN_SECONDS

        with contextlib.suppress(*broken()):
            async with socket_of(self._job_id) as socket:
                opened.socket = socket
                await self._tell(socket, link, opened, lambda _: wanted())
        if self._links.get(link) is opened:
            del self._links[link]
            self._say("closed", link=link)

    def tell_unasked(self) -> None:
        """From now on, if the kernel stays at work."""
        if self._unasked is None and not self.declined:
            self._has_begun = False
            self._unasked = self._thread.spawn(self._serve_unasked())

    def be_quiet(self, unless_begun: bool = False) -> None:
        """Tell no more unasked; or, with `unless_begun`, do not begin to."""
        if self._unasked is None or (unless_begun and self._has_begun):
            return
        self._unasked.cancel()
        self._unasked = None
        if self._has_begun:
            self._say("closed", link=None)

    async def _serve_unasked(self) -> None:
        # Where a page hears already it is for those alone that come later.
        await asyncio.sleep(LONGEST_CYCLE_SECONDS if self._links else BUSY_SECONDS)
        self._has_begun = True
        cycle = FIRST_CYCLE_SECONDS
        while True:
            until = time.monotonic() + cycle
            with contextlib.suppress(*broken()):
                async with socket_of(self._job_id) as socket:
                    subscribe = f'{{"type":"subscribe","since":0,"series":"*","log":false,"px":{_UNASKED_PX}}}'
                    await socket.send(subscribe)
                    if not await self._tell(socket, None, _Link(), functools.partial(_goes_on, until)):
                        return
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            cycle = min(2 * cycle, LONGEST_CYCLE_SECONDS)

    async def _tell(self, socket: JobSocket, link: int | None, opened: _Link, goes_on: Callable[[int], bool]) -> bool:
        """Pass frames on while `goes_on`, which is told how many bytes went last; False once the job's end was told."""
        size = 0
        while goes_on(size):
            frames = await batch(socket, at_once=opened.begins)
            if not frames:
                self._say("here", link=link, first=opened.begins, k=opened.next)
                size = 0
                continue
            size = sum(map(len, frames))
            await asyncio.sleep(self._thread.frames.wait_for(size))
            self._say("frames", link=link, first=opened.begins, k=opened.next, frames=frames)
            opened.next += 1
            if frames[-1][:20].replace(" ", "").startswith('{"type":"end"'):
                return False
        return True

    async def _answer(self, n: int, method: str, path: str, body: str | None) -> None:
        answer = await tunnel.fetch(self._thread.http, method, path, body)
        starts = range(0, max(1, len(answer.body)), BATCH_BYTES)
        for k, start in enumerate(starts):
            part = answer.body[start : start + BATCH_BYTES]
            await asyncio.sleep(self._thread.answers.wait_for(len(part)))
            head = {"n": n, "status": answer.status, "content_type": answer.content_type}
            self._say("answer", [part] if part else [], **head, k=k, more=start != starts[-1])


def _goes_on(until: float, size: int) -> bool:
    # Not broken off in the middle of a history: none of it would be whole for a page that came late.
    return size >= BATCH_BYTES or time.monotonic() < until
