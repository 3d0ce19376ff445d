"""Who watches which job: one registry for all sockets."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Watcher(Protocol):
    """One connected client."""

    def send(self, text: str) -> bool:
        """Send one message without waiting; False where it had to be left out."""

    def end(self, text: str) -> None:
        """Send a last message and close with 1000."""


AnyWatcher = TypeVar("AnyWatcher", bound=Watcher)


class ConnectionManager(Generic[AnyWatcher]):
    """The watchers of every job.

    All methods run on the event loop and none of them waits, so each is atomic: there is nothing to lock.
    A watcher that left, lags or fails is its own affair and never delays another.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, dict[AnyWatcher, None]] = {}

    def connect(self, job_id: str, watcher: AnyWatcher) -> None:
        """Add a watcher of a job; adding it again changes nothing."""
        self._watchers.setdefault(job_id, {})[watcher] = None

    def disconnect(self, job_id: str, watcher: AnyWatcher) -> None:
        """Forget a watcher; one that is not known is no error."""
        watchers = self._watchers.get(job_id, {})
        watchers.pop(watcher, None)
        if not watchers:
            self._watchers.pop(job_id, None)

    def broadcast(self, job_id: str, text: str) -> int:
        """Send one message, serialised once, to all who watch a job; returns how many it was sent to."""
        return sum(watcher.send(text) for watcher in self.watchers(job_id))

    def end(self, job_id: str, text: str) -> None:
        """Send the closing message to all who watch a job, close and forget them."""
        for watcher in self.watchers(job_id):
            self.disconnect(job_id, watcher)
            watcher.end(text)

    def watchers(self, job_id: str) -> list[AnyWatcher]:
        """Those who watch a job now."""
        return list(self._watchers.get(job_id, ()))

    def count(self, job_id: str | None = None) -> int:
        """How many watch a job, or all jobs together."""
        if job_id is not None:
            return len(self._watchers.get(job_id, ()))
        return sum(map(len, self._watchers.values()))
