"""The file of the index: opened by its one writer or by a reader, and set aside where it is of no use."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from .schema import Migration, Unusable, migrate, version_of

#: How long to wait for another process that has the database locked.
_BUSY_SECONDS = 5.0
#: What SQLite keeps beside a database, and what belongs together when one is moved.
_BESIDE = ("-wal", "-shm", "-journal")
_KEPT_ASIDE = 3
_ASIDE = re.compile(r"\.aside-(?P<moment>\d{8}T\d{6}\.\d{6}Z)(?:" + "|".join(_BESIDE) + ")?")
#: What SQLite says when the disk or another process is to blame, not the file. (Python 3.10 gives no error codes.)
_OUT_OF_REACH = re.compile(r"is full|disk I/O error|is locked|unable to open|locking protocol")
#: Our own mistakes: no damage of the file's.
_MISTAKES = (sqlite3.ProgrammingError, sqlite3.NotSupportedError, sqlite3.DataError)


class IndexUnavailable(OSError):
    """The index can't be read or written now: the disk is full, the folder is gone, another process holds it."""


@contextlib.contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Raises Unusable or IndexUnavailable where SQLite or the system says that the file at `path` is."""
    try:
        yield
    except UnicodeDecodeError as error:
        # Of a value, or of SQLite's own message that quotes one.
        raise Unusable(f"a text in it is none: {error}") from error
    except (OSError, sqlite3.DatabaseError) as error:
        if isinstance(error, _MISTAKES):
            raise
        if isinstance(error, OSError) or _OUT_OF_REACH.search(str(error)):
            raise IndexUnavailable(f"The index {path} is out of reach: {error}") from error
        raise Unusable(str(error)) from error


def open_to_write(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """The database at `path`, begun where there is none, brought up to the last of the migrations.

    It and what lies beside it can be read by their owner alone. Raises Unusable, OSError or sqlite3.Error.
    """
    _check_files(path)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for file in _together(path):
        # Those that SQLite makes from now on get the mode of the database.
        if file.exists() and stat.S_IMODE(file.stat().st_mode) != 0o600:
            file.chmod(0o600)
    connection = _connect(path, "rw")
    try:
        version = version_of(connection, migrations)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, version, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def opened_to_read(path: Path, migrations: Sequence[Migration]) -> Iterator[sqlite3.Connection]:
    """The database at `path`, where it is of exactly the newest schema; raises as `open_to_write` does."""
    _check_files(path)
    with contextlib.closing(_connect(path, "ro")) as connection:
        if version_of(connection, migrations) != len(migrations):
            raise Unusable("its schema is an older one")
        yield connection


def identity(path: Path) -> tuple[int, int] | None:
    """Tells one file from another that took its place; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def set_aside(path: Path) -> Path:
    """Rename what is at `path`, with what belongs to it, and keep the three newest such; returns the new name."""
    moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.aside-{moment}")
    # The database goes first: what is left beside none is ignored by SQLite, should this be the last we do.
    for old, new in zip(_together(path), _together(aside), strict=True):
        with contextlib.suppress(FileNotFoundError):
            old.rename(new)
    _forget_older(path)
    return aside


def _forget_older(path: Path) -> None:
    moments: dict[str, list[Path]] = {}
    for file in path.parent.iterdir():
        match = file.name.startswith(path.name) and _ASIDE.fullmatch(file.name, len(path.name))
        if match:
            moments.setdefault(match["moment"], []).append(file)
    for moment in sorted(moments)[:-_KEPT_ASIDE]:
        for file in moments[moment]:
            # A folder was somebody's own.
            if file.is_symlink() or not file.is_dir():
                file.unlink(missing_ok=True)


def _together(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + ending) for ending in _BESIDE)]


def _check_files(path: Path) -> None:
    """Raises Unusable where something else is in a file's place: SQLite would wait on a pipe for ever."""
    for file in _together(path):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(file.lstat().st_mode):
                raise Unusable(f"{file.name} is not a file")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    # Names come from JSON, which may hold half of a surrogate pair.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
    return connection
