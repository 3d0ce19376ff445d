"""The tables of the index: which versions there are, and how an older one becomes today's."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence

#: Tells an index from every other SQLite file ("TrLv").
APPLICATION_ID = 0x54724C76

#: The statements that make one version's tables of those of the version before; all of them or none are applied.
Migration = tuple[str, ...]

#: In order; the version of the schema is how many were applied. What was released here is never changed, only added to.
MIGRATIONS: tuple[Migration, ...] = (
    (
        """
        CREATE TABLE jobs (
            job_id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            submitted_at REAL,
            ended_at REAL,
            fold_version INTEGER NOT NULL,
            facts TEXT NOT NULL,
            checksum INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE journals (
            job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
            journal TEXT NOT NULL,
            offset INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY (job_id, journal)
        ) WITHOUT ROWID
        """,
        # `last` has no type, so that SQLite leaves a number a number and the word for a non-finite one a word.
        """
        CREATE TABLE series (
            job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
            name TEXT NOT NULL,
            count INTEGER NOT NULL,
            last NOT NULL,
            PRIMARY KEY (job_id, name)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE flushes (
            job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
            number INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            points INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            PRIMARY KEY (job_id, number)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE curves (
            job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
            number INTEGER NOT NULL,
            name TEXT NOT NULL,
            checksum INTEGER NOT NULL,
            PRIMARY KEY (job_id, number)
        ) WITHOUT ROWID
        """,
        # What is looked at most comes first: SQLite reads a long row only as far as it is asked for.
        """
        CREATE TABLE chunks (
            job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
            curve INTEGER NOT NULL,
            first INTEGER NOT NULL,
            size INTEGER NOT NULL,
            segment INTEGER NOT NULL,
            last_segment INTEGER NOT NULL,
            first_step INTEGER NOT NULL,
            last_step INTEGER NOT NULL,
            stride INTEGER,
            step_low INTEGER NOT NULL,
            step_high INTEGER NOT NULL,
            step_shift INTEGER,
            time_low INTEGER,
            time_high INTEGER,
            time_shift INTEGER,
            epoch_low INTEGER,
            epoch_high INTEGER,
            epoch_shift INTEGER,
            checksum INTEGER NOT NULL,
            step_buckets BLOB,
            time_buckets BLOB,
            epoch_buckets BLOB,
            raw_values BLOB NOT NULL,
            raw_steps BLOB,
            raw_times BLOB NOT NULL,
            raw_epochs BLOB,
            PRIMARY KEY (job_id, curve, first)
        )
        """,
    ),
)


class Unusable(Exception):
    """What lies there is no index that this version can work with; the text says why."""


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All that is done within is done, or nothing of it."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite itself has rolled back after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """How many of the migrations were applied, 0 for an empty database.

    Raises Unusable where it belongs to somebody else, is newer than the last of them or has other columns
    than they make. Changes nothing.
    """
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [things] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, things) == (0, 0, 0):
        return 0
    if application != APPLICATION_ID:
        raise Unusable("it belongs to another application")
    if version > len(migrations):
        raise Unusable(f"its schema {version} is newer than {len(migrations)}, the newest that is known here")
    if version < 1 or not _columns_after(migrations[:version]) <= _columns(connection):
        raise Unusable(f"its tables are not those of schema {version}")
    return int(version)


def migrate(connection: sqlite3.Connection, version: int, migrations: Sequence[Migration]) -> None:
    """Apply what is missing after `version`, each migration in a transaction of its own."""
    for number, statements in enumerate(migrations[version:], version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """(table, column) for all there are."""
    columns = "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'"
    return set(connection.execute(columns))


def _columns_after(migrations: Sequence[Migration]) -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, 0, migrations)
        return _columns(fresh)
