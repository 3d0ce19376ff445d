"""The ``trainlive.v1`` dialect: everything as it happens, with a number to go on from.

A frame's ``seq`` is the number of the last record of the training journal that the client has when it has
that frame. The journal outlives the server, and so do the numbers: a client that comes back with
``since`` gets the records behind it, from the journal, and none twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..jobs.series import columns
from ..jobs.tracker import Change, Tracker
from ..protocol.journal import JournalReader, Record
from ..protocol.messages import closing_message, job_view
from ..protocol.values import carry, dumps, iso, whole
from .connections import ConnectionManager

NAME = "trainlive.v1"

#: Frames go out at once after a quiet moment, then at most so often.
_FRAME_SECONDS = 1 / 30
#: Bytes of the journal that one frame of history is made from.
_HISTORY_BYTES = 256 << 10
#: How long a client of an ended job has to say what it wants.
_SUBSCRIBE_SECONDS = 10.0


class Socket(Protocol):
    """What a session needs of its WebSocket."""

    def send(self, text: str) -> bool: ...

    def end(self, text: str) -> None: ...

    async def drained(self) -> bool: ...


class V1Stream:
    """Sends one job's frames to its sessions, each built once."""

    def __init__(self, tracker: Tracker, clock: Callable[[], float] = time.time) -> None:
        self.connections: ConnectionManager[V1Session] = ConnectionManager()
        self.tracker = tracker
        self.clock = clock
        #: What live sessions have been sent; those that catch up stop there and join.
        self.sent_seq = tracker.seq
        self._job_id = tracker.job_dir.job_id
        self._pending: list[Record] = []
        self._view = job_view(tracker.job, tracker.place)
        self._timer: asyncio.TimerHandle | None = None
        self._last_flush = 0.0

    def connect(self, session: V1Session) -> None:
        if not self.connections.count():
            self.sent_seq, self._pending = self.tracker.seq, []
            self._view = job_view(self.tracker.job, self.tracker.place)
            self.tracker.listeners.add(self._changed)
        session.send(self._hello())
        self.connections.connect(self._job_id, session)

    def disconnect(self, session: V1Session) -> None:
        self.connections.disconnect(self._job_id, session)
        if not self.connections.count():
            self.tracker.listeners.discard(self._changed)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def gauges(self, text: str) -> None:
        """Send a frame that says nothing of the job itself."""
        self.connections.broadcast(self._job_id, text)

    def end(self) -> str | None:
        """The last frame, once the job has ended and all of it was sent, its last state included."""
        if not self.tracker.job.status.ended or self._timer is not None:
            return None
        closing = closing_message(self.tracker.job, self.clock())
        return dumps({"type": "end", "seq": self.sent_seq, "message": closing})

    def whole_state(self) -> str:
        """All of the job, for a session that missed a change."""
        return self._state(self._view)

    def _state(self, job: dict[str, Any]) -> str:
        return dumps({"type": "state", "seq": self.sent_seq, "job": job})

    def _hello(self) -> str:
        series = [
            {"name": name, "count": summary.count, "last": carry(summary.last)}
            for name, summary in self.tracker.series.items()
        ]
        frame = {"type": "hello", "seq": self.sent_seq, "job": self._view, "series": series}
        return dumps({**frame, "server_time": iso(self.clock())})

    def _changed(self, change: Change) -> None:
        self._pending.extend(change.records)
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._last_flush + _FRAME_SECONDS - loop.time()
        if wait <= 0:
            self._flush()
        else:
            self._timer = loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._last_flush = asyncio.get_running_loop().time()
        records, self._pending = self._pending, []
        self.sent_seq = self.tracker.seq
        sessions = self.connections.watchers(self._job_id)
        if points := columns(records):
            frame = dumps({"type": "points", "seq": self.sent_seq, "series": points})
            for session in sessions:
                session.points(frame, points, self.sent_seq)
        before, self._view = self._view, job_view(self.tracker.job, self.tracker.place)
        if changed := {key: value for key, value in self._view.items() if value != before[key]}:
            frame = self._state(changed)
            for session in sessions:
                session.state(frame)
        if self.tracker.job.status.ended:
            for session in sessions:
                session.end_if_done()


class V1Session:
    """One client of the dialect: behind and reading history, or live."""

    def __init__(self, socket: Socket, stream: V1Stream) -> None:
        self._socket = socket
        self._stream = stream
        self._wanted: frozenset[str] | None = frozenset()
        self._seq = 0
        self._live = False
        self._missed_state = False
        self._catching_up: asyncio.Task[None] | None = None
        self._unsubscribed = asyncio.get_running_loop().call_later(_SUBSCRIBE_SECONDS, self._do_without_points)

    def send(self, text: str) -> bool:
        return self._socket.send(text)

    def end(self, text: str) -> None:
        self._socket.end(text)

    def close(self) -> None:
        """The client left."""
        self._unsubscribed.cancel()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def receive(self, message: str | bytes) -> None:
        """What the client says; anything but a well-formed ``subscribe`` is passed over."""
        try:
            request = json.loads(message)
        except (ValueError, RecursionError):
            return
        if not isinstance(request, dict) or request.get("type") != "subscribe":
            return
        self._seq = max(0, whole(request.get("since")) or 0)
        self._wanted = _wanted(request.get("series"))
        self._unsubscribed.cancel()
        self._fall_behind()

    def points(self, frame: str, points: dict[str, Any], seq: int) -> None:
        """New points, as a frame for all and by name. A client that lags gets them from the journal later."""
        if not self._live:
            return
        if self._wanted is not None:
            points = {name: column for name, column in points.items() if name in self._wanted}
            frame = dumps({"type": "points", "seq": seq, "series": points}) if points else ""
        if not frame or self.send(frame):
            self._seq = seq
        else:
            self._fall_behind()

    def state(self, frame: str) -> None:
        """What changed of the job."""
        if not self.send(frame):
            self._missed_state = True
            if self._live:
                self._fall_behind()

    def end_if_done(self) -> None:
        """Say the last word, once it can be said and all points are there."""
        frame = self._stream.end() if self._live else None
        if frame is not None:
            self._live = False
            self._stream.connections.disconnect(self._stream.tracker.job_dir.job_id, self)
            self.end(frame)

    def _do_without_points(self) -> None:
        if self._has_state():
            self._go_live()
        else:
            self._fall_behind()

    def _go_live(self) -> None:
        self._live = True
        self.end_if_done()

    def _has_state(self) -> bool:
        """Whether the client knows all of the job, which it is told now if it missed a change."""
        if self._missed_state:
            self._missed_state = not self.send(self._stream.whole_state())
        return not self._missed_state

    def _fall_behind(self) -> None:
        self._live = False
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Send what the journal holds behind `_seq`, as fast as the client takes it, then go live."""
        reader = JournalReader(self._stream.tracker.job_dir.training_journal)
        while await self._socket.drained():
            before = reader.position
            records = await asyncio.to_thread(reader.read, _HISTORY_BYTES)
            # No waiting from here to going live: `sent_seq` must not move in between.
            upto = self._stream.sent_seq
            new = [record for record in records if self._seq < record["seq"] <= upto]
            points = columns(new)
            if self._wanted is not None:
                points = {name: column for name, column in points.items() if name in self._wanted}
            if new:
                self._seq = new[-1]["seq"]
            if points and not self.send(dumps({"type": "points", "seq": self._seq, "series": points})):
                return
            if not records or reader.seq >= upto:
                if self._has_state():
                    self._go_live()
                    return
                # Read again when there is room for the state: some of it may not have been sent to anybody yet.
                reader.offset, reader.seq = before


def _wanted(series: object) -> frozenset[str] | None:
    """The series a client asks for; None for all, which ``"*"`` and silence mean."""
    if isinstance(series, list):
        return frozenset(name for name in series if isinstance(name, str))
    return None
