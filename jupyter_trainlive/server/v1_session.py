"""One client of ``trainlive.v1``: what it asked for, how far it was told, and how it catches up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from ..jobs.errors import InvalidRequest
from ..jobs.series import columns, frame_columns
from . import v1_frames as frames
from .log_tail import LogFollower
from .sockets import AGAIN_SECONDS, Socket, deliver
from .v1_answers import Answers
from .v1_history import History
from .v1_requests import Subscribe, WindowRequest, id_of, parsed, request_in, snapshot_buckets
from .v1_snapshots import is_far_behind, is_long

if TYPE_CHECKING:
    from .v1 import News, V1Stream

#: How long a client of an ended job has to say what it wants.
_SUBSCRIBE_SECONDS = 10.0


class V1Session:
    """Behind and reading history, or live.

    `seq` is the number of the last training record that the client has, or asked not to be sent.
    """

    def __init__(self, socket: Socket, stream: V1Stream) -> None:
        self.seq = 0
        self._socket = socket
        self._stream = stream
        self._wanted: frozenset[str] | None = frozenset()
        self._px: int | None = None
        self._live = False
        self._ended = False
        self._missed_state = False
        self._catching_up: asyncio.Task[None] | None = None
        self._log: LogFollower | None = None
        #: Made with the first question: of a thousand watchers few have one.
        self._answers: Answers | None = None
        self._unsubscribed = asyncio.get_running_loop().call_later(_SUBSCRIBE_SECONDS, self._fall_behind)

    def send(self, text: str) -> bool:
        return self._socket.send(text)

    def end(self, text: str) -> None:
        self._socket.end(text)

    def close(self) -> None:
        """The client left."""
        self._ended = True
        self._unsubscribed.cancel()
        if self._answers is not None:
            self._answers.close()
        if self._log is not None:
            self._log.close()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def receive(self, message: str | bytes) -> None:
        """What the client says. What can't be granted is answered with an error and changes nothing."""
        request = None if self._ended else request_in(message)
        if request is None:
            return
        try:
            asked = parsed(request)
        except InvalidRequest as error:
            self._answering().refuse(id_of(request), error)
            return
        if isinstance(asked, WindowRequest):
            self._answering().ask(asked)
        else:
            self._subscribe(asked)

    def _answering(self) -> Answers:
        if self._answers is None:
            self._answers = Answers(self._socket, self._stream.tracker, self.end_if_done)
        return self._answers

    def _subscribe(self, asked: Subscribe) -> None:
        self._unsubscribed.cancel()
        self.seq, self._wanted, self._px = asked.since, asked.series, asked.px
        if self._log is not None:
            self._log.close()
            self._log = None
        if asked.log_offset is not None:
            self._log = LogFollower(
                self._stream.log, self._socket, asked.log_offset, seq=lambda: self.seq, on_done=self.end_if_done
            )
        self._fall_behind(anew=asked.since == 0)

    def points(self, news: News) -> None:
        """New records. A client that lags gets their points from the journal later."""
        if not self._live or news.seq <= self.seq:
            return
        # A snapshot may have reached further than the stream had, up to somewhere among them.
        whole = news.first_seq > self.seq
        frame = news.frame(self._wanted) if whole else None
        if whole and (frame is None or self.send(frame)):
            self.seq = news.seq
        else:
            self._fall_behind()

    def state(self, frame: str, changed: dict[str, Any]) -> None:
        """What changed of the job; the frame says so to those who have all that was sent."""
        if self.seq != self._stream.sent_seq:
            frame = frames.state(self.seq, changed)
        if not self.send(frame):
            self._missed_state = True
            if self._live:
                self._fall_behind()

    def end_if_done(self) -> None:
        """Say the last word, once it can be said and all that the client asked for was sent."""
        frame = self._stream.end() if self._live else None
        asking = self._answers is not None and self._answers.busy
        if frame is None or asking or not (self._log is None or self._log.done):
            return
        self._live, self._ended = False, True
        self._stream.connections.disconnect(self._stream.tracker.job_dir.job_id, self)
        self.end(frame)

    def _fall_behind(self, *, anew: bool = False) -> None:
        self._live = False
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._catching_up = asyncio.get_running_loop().create_task(self._catch_up(anew))

    async def _catch_up(self, anew: bool) -> None:
        """Send what the client lacks, as fast as it takes it, then go live; `anew` where it has nothing yet."""
        if not await self._knows_its_place():
            return
        history = History(self._stream.tracker, self.seq)
        snapshot = anew and self._px is not None and await self._is_long(history)
        # What a newcomer is to be sent point by point, however much it is.
        owed = self._stream.sent_seq if anew else 0
        while await self._socket.drained():
            if self._px is not None and (snapshot or await self._is_far_behind(history, owed)):
                snapshot, owed = False, self._stream.sent_seq
                if await self._send_snapshot(self._px):
                    history = History(self._stream.tracker, self.seq)
            elif await self._send_history(history):
                return

    async def _knows_its_place(self) -> bool:
        """Whether the journal has the record after which the client wants to go on; it is told where not."""
        tracker = self._stream.tracker
        # A snapshot may have reached further than the tracker has read.
        while self.seq > tracker.seq:
            before = tracker.seq
            with contextlib.suppress(OSError):
                await tracker.catch_up()
            if tracker.seq == before:
                break
        if self.seq <= tracker.seq:
            return True
        problem = f"must be at most {tracker.seq}, the last record of this job, but is {self.seq}; subscribe with 0"
        self.seq, self._wanted = self._stream.sent_seq, frozenset()
        self._answering().refuse(None, InvalidRequest("since", problem))
        self._unsubscribed = asyncio.get_running_loop().call_later(_SUBSCRIBE_SECONDS, self._fall_behind)
        return False

    async def _send_history(self, history: History) -> bool:
        """Send what the others had last, or a piece of the journal; go live where the client has all that they have."""
        if (news := self._stream.recent(self.seq)) is not None:
            frame = news.frame(self._wanted)
            if frame is not None and not self.send(frame):
                return await self._soon(history)
            self.seq = news.seq
            return False
        if self.seq < self._stream.sent_seq and self._stream.names(self._wanted):
            records, at_end = await history.read()
            # No waiting from here to going live: `sent_seq` must not move in between.
            upto = self._stream.sent_seq
            new = [record for record in records if self.seq < record["seq"] <= upto]
            series = frame_columns(columns(new), self._stream.names(self._wanted))
            if series and not self.send(frames.points(new[-1]["seq"], series)):
                return await self._soon(history)
            self.seq = new[-1]["seq"] if new else self.seq
            if not at_end and (not records or records[-1]["seq"] < upto):
                return False
        self.seq = max(self.seq, self._stream.sent_seq)
        if not self._has_state():
            # Some of what was read may not have been sent to anybody yet.
            return await self._soon(history)
        self._live = True
        self._catching_up = None
        self.end_if_done()
        return True

    async def _soon(self, history: History) -> bool:
        """There was no room for it: have it again."""
        history.again()
        await asyncio.sleep(AGAIN_SECONDS)
        return False

    def _has_state(self) -> bool:
        """Whether the client knows all of the job, which it is told now if it missed a change."""
        if self._missed_state:
            self._missed_state = not self.send(self._stream.whole_state(self.seq))
        return not self._missed_state

    async def _is_long(self, history: History) -> bool:
        """Whether a newcomer is better shown a picture of the curves than all of their points."""
        counts = [summary.count for summary in self._stream.names(self._wanted).values()]
        return is_long(counts, await history.size(), self._px or 0)

    async def _is_far_behind(self, history: History, owed: int) -> bool:
        """Whether one that has, or is owed, some of the points is better shown how the curves are now."""
        upto, has = self._stream.sent_seq, max(self.seq, owed)
        if has >= upto:
            return False
        points = sum(summary.count for summary in self._stream.names(self._wanted).values())
        return is_far_behind(1 - has / upto, points, await history.size())

    async def _send_snapshot(self, px: int) -> bool:
        """Send how all wanted curves are at one number, a frame without any last; False where they can't be read."""
        most = snapshot_buckets(px, len(self._stream.names(self._wanted)))
        try:
            seq, pictures = await self._stream.snapshots.get(self._wanted, most, self.seq + 1)
        except OSError:
            return False
        for frame in pictures:
            if not await deliver(self._socket, frame):
                return True
        self.seq = seq
        return True
