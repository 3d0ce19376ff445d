"""The plain dialect: whole messages, one a second and one at every change of state, then the closing one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..jobs.tracker import Change, Tracker
from ..protocol.messages import message
from ..protocol.values import dumps
from .connections import ConnectionManager, Watcher


class PlainStream:
    """Sends one job's messages to its plain watchers, for as long as there are any.

    Each message is built and serialised once, whatever the number of watchers.
    """

    def __init__(
        self,
        tracker: Tracker,
        utilization: Callable[[Tracker], float | None],
        interval_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connections: ConnectionManager[Watcher] = ConnectionManager()
        self._tracker = tracker
        self._job_id = tracker.job_dir.job_id
        self._utilization = utilization
        self._interval = interval_seconds
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def connect(self, watcher: Watcher) -> None:
        """Greet a new watcher with the message of this moment; of an ended job that is the closing one."""
        if self._tracker.job.status.ended:
            watcher.end(self._message())
            return
        watcher.send(self._message())
        self.connections.connect(self._job_id, watcher)
        if self._timer is None:
            self._tracker.listeners.add(self._changed)
            self._wait()

    def disconnect(self, watcher: Watcher) -> None:
        self.connections.disconnect(self._job_id, watcher)
        if not self.connections.count():
            self._rest()

    def _rest(self) -> None:
        self._tracker.listeners.discard(self._changed)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._wait()
        self.connections.broadcast(self._job_id, self._message())

    def _changed(self, change: Change) -> None:
        if change.after.status.ended:
            self._rest()
            self.connections.end(self._job_id, self._message())
        elif change.after.status is not change.before.status:
            self.connections.broadcast(self._job_id, self._message())

    def _message(self) -> str:
        tracker, now = self._tracker, self._clock()
        utilization = self._utilization(tracker)
        return dumps(message(tracker.job, now, gpu_utilization_percent=utilization, place=tracker.place))
