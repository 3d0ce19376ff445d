"""The ``trainlive.v1`` dialect: everything as it happens, with a number to go on from.

A frame's ``seq`` is the number of the last record of the training journal that the client has when it has
that frame. The journal outlives the server, and so do the numbers: a client that comes back with
``since`` gets the records behind it, from the journal, and none twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..jobs.series import SeriesSummary, frame_columns, joined
from ..jobs.tracker import Change, Tracker
from ..protocol.messages import closing_message, job_view
from . import v1_frames as frames
from .connections import ConnectionManager
from .limits import Limits
from .log_tail import LogTail
from .v1_session import V1Session
from .v1_snapshots import Snapshots

NAME = "trainlive.v1"

#: Frames go out at once after a quiet moment, then at most so often.
_FRAME_SECONDS = 1 / 30
#: What every step changes is told so often at the most.
_PROGRESS_SECONDS = 0.5
_PROGRESS = frozenset(
    (
        *("progress", "current_epoch", "current_step", "eta_seconds", "loss", "learning_rate", "grad_norm"),
        *("samples_per_second", "step_time_seconds", "gpu_memory_allocated_gb"),
    )
)
#: So many frames of points, and points in them, are at hand for who lags a little.
_MOST_RECENT, _MOST_RECENT_POINTS = 64, 20_000


class News:
    """New training records, and the frames of their points, each built once for all who want the same series."""

    def __init__(self, changes: Sequence[Change], names: Callable[[frozenset[str] | None], Mapping[str, Any]]) -> None:
        self.first_seq: int = changes[0].records[0]["seq"]
        self.seq: int = changes[-1].records[-1]["seq"]
        self._columns = joined([change.points for change in changes])
        self.points = sum(len(column.value) for column in self._columns.values())
        self._names = names
        self._frames: dict[frozenset[str] | None, str | None] = {}

    def frame(self, wanted: frozenset[str] | None) -> str | None:
        """The points of the wanted series, None for all of them; None where there are none."""
        if wanted not in self._frames:
            series = frame_columns(self._columns, self._names(wanted))
            self._frames[wanted] = frames.points(self.seq, series) if series else None
        return self._frames[wanted]


class V1Stream:
    """Sends one job's frames to its sessions, each built once."""

    def __init__(
        self, tracker: Tracker, limits: Limits | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.connections: ConnectionManager[V1Session] = ConnectionManager()
        self.tracker = tracker
        self.log = LogTail(tracker)
        self.snapshots = Snapshots(tracker)
        #: What live sessions have been sent; those that catch up stop there and join.
        self.sent_seq = tracker.seq
        self._limits = limits or Limits()
        self._clock = clock
        self._job_id = tracker.job_dir.job_id
        self._pending: list[Change] = []
        #: What was sent last, so that who lags a little is sent the same frames and need not read the journal.
        self._recent: deque[News] = deque(maxlen=_MOST_RECENT)
        self._recent_points = 0
        self._view = job_view(tracker.job, tracker.place)
        self._timer: asyncio.TimerHandle | None = None
        self._state_timer: asyncio.TimerHandle | None = None
        self._last_flush = self._last_state = 0.0

    def connect(self, session: V1Session) -> None:
        if not self.connections.count():
            self.sent_seq, self._pending = self.tracker.seq, []
            self._recent.clear()
            self._recent_points = 0
            self._view = job_view(self.tracker.job, self.tracker.place)
            self.tracker.listeners.add(self._changed)
        session.send(frames.hello(self.sent_seq, self._view, self.tracker.series, self._clock(), self._limits))
        self.connections.connect(self._job_id, session)

    def disconnect(self, session: V1Session) -> None:
        self.connections.disconnect(self._job_id, session)
        if not self.connections.count():
            self.tracker.listeners.discard(self._changed)
            for timer in (self._timer, self._state_timer):
                if timer is not None:
                    timer.cancel()
            self._timer = self._state_timer = None

    def names(self, wanted: frozenset[str] | None) -> Mapping[str, SeriesSummary]:
        """The series that there are of those wanted, None for all."""
        series = self.tracker.series
        return series if wanted is None else {name: series[name] for name in series if name in wanted}

    def recent(self, seq: int) -> News | None:
        """The first of what was sent behind that number; None where that is too long ago, or nothing was."""
        for place, news in enumerate(self._recent):
            if news.seq > seq:
                # Of the oldest one nobody knows what was before it.
                return news if news.first_seq == seq + 1 or (place and news.first_seq > seq) else None
        return None

    def gauges(self, text: str) -> None:
        """Send a frame that says nothing of the job itself."""
        self.connections.broadcast(self._job_id, text)

    def end(self) -> str | None:
        """The last frame, once the job has ended and all of it was sent, its last state included."""
        if not self.tracker.job.status.ended or self._timer is not None:
            return None
        return frames.end(self.sent_seq, closing_message(self.tracker.job, self._clock()))

    def whole_state(self, seq: int) -> str:
        """All of the job, for a session that missed a change."""
        return frames.state(seq, self._view)

    def _changed(self, change: Change) -> None:
        if change.records:
            self._pending.append(change)
        if change.after.status.ended:
            self.log.wake()
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
        changes, self._pending = self._pending, []
        self.sent_seq = self.tracker.seq
        sessions = self.connections.watchers(self._job_id)
        if changes:
            news = News(changes, self.names)
            self._remember(news)
            for session in sessions:
                session.points(news)
        self._tell_state(sessions)
        if self.tracker.job.status.ended:
            for session in sessions:
                session.end_if_done()

    def _tell_state(self, sessions: Sequence[V1Session]) -> None:
        """Say what changed of the job; of mere progress, which the points show as well, only now and then."""
        view, now = job_view(self.tracker.job, self.tracker.place), asyncio.get_running_loop().time()
        changed = {key: value for key, value in view.items() if value != self._view[key]}
        wait = self._last_state + _PROGRESS_SECONDS - now
        if changed and changed.keys() <= _PROGRESS and wait > 0 and not self.tracker.job.status.ended:
            if self._state_timer is None:
                self._state_timer = asyncio.get_running_loop().call_later(wait, self._tell_progress)
        elif changed:
            self._view, self._last_state = view, now
            frame = frames.state(self.sent_seq, changed)
            for session in sessions:
                session.state(frame, changed)

    def _tell_progress(self) -> None:
        self._state_timer = None
        self._tell_state(self.connections.watchers(self._job_id))

    def _remember(self, news: News) -> None:
        if len(self._recent) == _MOST_RECENT:
            self._recent_points -= self._recent[0].points
        self._recent.append(news)
        self._recent_points += news.points
        while self._recent_points > _MOST_RECENT_POINTS:
            self._recent_points -= self._recent.popleft().points
