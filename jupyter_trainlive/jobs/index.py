"""The index: what is known of every job and how far its journals were read, so that a start need not read them again.

The journals are the truth. Whatever happens to the index costs a second reading of them and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from .database import IndexUnavailable, errors_named, identity, open_to_write, opened_to_read, set_aside
from .schema import MIGRATIONS, Migration, Unusable, transaction
from .snapshots import Snapshot
from .snapshots import read as read_jobs
from .snapshots import write as write_job

_T = TypeVar("_T")


class IndexLost(Exception):
    """What was in the index is gone, and an index is there again: save everything anew. The text is for the log."""


class IndexClosed(ValueError):
    """Nothing can be asked of it any more."""


class Index:
    """The index in one file. Everything here blocks and may be called from any thread.

    Each method raises IndexUnavailable where the file can't be reached now (nothing is changed then; the next call
    tries again), and IndexLost where its content is gone: it was damaged and set aside, removed or replaced.
    Opened to read only, it raises neither, finds nothing in what it can't read, and changes nothing.
    """

    def __init__(self, path: Path, *, writable: bool, migrations: Sequence[Migration]) -> None:
        self._path = path
        self._writable = writable
        self._migrations = migrations
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lost: str | None = None
        self._closed = False
        #: Why it was begun anew when it was opened, in a sentence for the log; None where it was not.
        self.rebuilt: str | None = None

    @classmethod
    def open(cls, path: Path, *, writable: bool = True, migrations: Sequence[Migration] = MIGRATIONS) -> Index:
        """The index at `path`, of which this must be the only writer. Never raises: the first call after it does."""
        index = cls(path, writable=writable, migrations=migrations)
        if writable:
            with contextlib.suppress(IndexUnavailable), errors_named(path):
                index._open()
                index.rebuilt, index._lost = index._lost, None
        return index

    def save(self, snapshots: Iterable[Snapshot]) -> None:
        """Keep these jobs as they are now, in place of what was kept of them: all of them or none."""
        everything = list(snapshots)

        def work(connection: sqlite3.Connection) -> None:
            for snapshot in everything:
                write_job(connection, snapshot)

        self.write(work)

    def load(self) -> list[Snapshot]:
        """All jobs, in no order."""
        return self.read(read_jobs) or []

    def get(self, job_id: str) -> Snapshot | None:
        """One job, or None where it isn't known."""
        found = self.read(lambda connection: read_jobs(connection, job_id))
        return found[0] if found else None

    def forget(self, job_id: str) -> None:
        """Know nothing of a job any more."""
        self.write(lambda connection: connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)))

    def clear(self) -> None:
        """Know nothing of any job any more."""
        self.write(lambda connection: connection.execute("DELETE FROM jobs"))

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Do it in one transaction; None where it was opened to read only and can't be read.

        Unusable, raised by `work`, says of the content that it is damaged.
        """
        if self._writable:
            return self._do(work, "DEFERRED")
        try:
            with (
                errors_named(self._path),
                opened_to_read(self._path, self._migrations) as connection,
                transaction(connection, "DEFERRED"),
            ):
                return work(connection)
        except (Unusable, IndexUnavailable):
            return None

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it in one transaction: all of it or nothing. Unusable has the meaning that it has for `read`."""
        if not self._writable:
            raise io.UnsupportedOperation("the index was opened to read only")
        return self._do(work, "IMMEDIATE")

    def close(self) -> None:
        """Bring everything into the one file. Nothing can be asked afterwards."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _do(self, work: Callable[[sqlite3.Connection], _T], kind: str) -> _T:
        with self._lock:
            if self._closed:
                raise IndexClosed("the index is closed")
            try:
                with errors_named(self._path):
                    connection = self._open()
                    if self._lost is None:
                        with transaction(connection, kind):
                            return work(connection)
            except IndexUnavailable:
                # What made it so may have left the connection useless: the next call opens another.
                self._disconnect()
                raise
            except Unusable as reason:
                with errors_named(self._path):
                    self._set_aside(reason)
                    self._open()
            lost, self._lost = self._lost, None
            raise IndexLost(lost)

    def _open(self) -> sqlite3.Connection:
        """The connection to what is at the path now; `_lost` says if that is not what was there before."""
        if self._connection is not None and identity(self._path) != self._identity:
            self._disconnect()
            self._lost = f"The index {self._path} was removed or replaced while it was in use; it is written again."
        if self._connection is None:
            try:
                with errors_named(self._path):
                    self._connection = open_to_write(self._path, self._migrations)
            except Unusable as reason:
                self._set_aside(reason)
                self._connection = open_to_write(self._path, self._migrations)
            self._identity = identity(self._path)
        return self._connection

    def _set_aside(self, reason: Unusable) -> None:
        self._disconnect()
        name = set_aside(self._path).name
        self._lost = (
            f"The index {self._path} can't be used ({reason}): it was set aside as {name} "
            "and is built again from the jobs' directories."
        )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What can't be brought over stays in the log beside it, or is read from the journals again.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
