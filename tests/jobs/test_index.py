"""The index gives back what was saved or nothing, whatever became of its file."""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_trainlive.jobs.database import IndexUnavailable
from jupyter_trainlive.jobs.index import Index, IndexLost
from jupyter_trainlive.jobs.schema import APPLICATION_ID, MIGRATIONS, Migration, Unusable
from jupyter_trainlive.jobs.snapshots import Snapshot

from ..small_disk import small_disk


def snapshot(number: int = 1, count: int = 3) -> Snapshot:
    return Snapshot(
        job_id=f"job_{number:012d}",
        name=f"näme {number}",
        status="running",
        submitted_at=1_700_000_000.25 + number,
        ended_at=None,
        facts={"n": count, "training": {"step": count, "error": None}, "gpus": ["GPU-1"], "text": "ü\n\ud83d"},
        fold_version=1,
        series={"loss": (count, 0.1 * count), "eval/loss": (1, 2.0)},
        offsets={"training": (100 * count, count), "process": (80, 1), "server": (0, 0)},
    )


def by_id(snapshots: list[Snapshot]) -> dict[str, Snapshot]:
    return {item.job_id: item for item in snapshots}


@contextlib.contextmanager
def opened(path: Path, **options: Any) -> Iterator[Index]:
    index = Index.open(path, **options)
    try:
        yield index
    finally:
        index.close()


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as SQLite alone sees it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "jobs with ?% and ü").mkdir()
    return tmp_path / "jobs with ?% and ü" / "index.sqlite3"


def aside(path: Path) -> list[str]:
    """What was set aside of databases, without what belongs to them."""
    return sorted(
        file.name for file in path.parent.glob("*.aside-*") if not file.name.endswith(("-wal", "-shm", "-journal"))
    )


def test_what_is_saved_is_there_for_the_next_server(path: Path) -> None:
    with opened(path) as index:
        assert index.rebuilt is None
        assert index.load() == []
        index.save([snapshot(1), snapshot(2)])
        assert index.get("job_000000000001") == snapshot(1)
        assert index.get("job_unknown") is None
    assert [file.name for file in path.parent.iterdir()] == [path.name], "closed, it is one file"
    with opened(path) as index:
        assert index.rebuilt is None
        assert by_id(index.load()) == by_id([snapshot(1), snapshot(2)])


def test_a_later_save_takes_the_place_of_an_earlier_one(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1), snapshot(2)])
        later = replace(
            snapshot(1, 9),
            status="completed",
            ended_at=1_700_000_099.5,
            series={"loss": (9, 0.5), "grad_norm": (1, 1.0)},
            offsets={"training": (900, 9)},
        )
        index.save([later])
        assert by_id(index.load()) == by_id([later, snapshot(2)])


def test_a_forgotten_job_leaves_nothing_behind(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1), snapshot(2), snapshot(3)])
        index.forget("job_000000000001")
        index.forget("job_000000000001")
        assert by_id(index.load()) == by_id([snapshot(2), snapshot(3)])
        index.clear()
        assert index.load() == []
    with database(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables} == {
            "jobs": 0,
            "journals": 0,
            "series": 0,
            "flushes": 0,
            "curves": 0,
            "chunks": 0,
        }


@pytest.mark.parametrize("last", [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 5e-324, 0.1 + 0.2])
def test_the_last_value_of_a_series_survives_whatever_it_is(path: Path, last: float) -> None:
    saved = replace(snapshot(), series={"loss": (2**62, last)})
    with opened(path) as index:
        index.save([replace(saved, series={"loss": (2**62, 0.0)})])
        index.save([saved])
        [loaded] = index.load()
    assert loaded.series["loss"] == (2**62, pytest.approx(last, rel=0, abs=0, nan_ok=True))
    assert type(loaded.series["loss"][1]) is float


_TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_COUNTS = st.integers(0, 2**63 - 1)
_SNAPSHOTS = st.builds(
    Snapshot,
    job_id=st.sampled_from(["job_a", "job_b"]),
    name=_TEXTS,
    status=st.sampled_from(["queued", "completed"]),
    submitted_at=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ended_at=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    facts=st.dictionaries(_TEXTS, _JSON, max_size=3),
    fold_version=st.integers(0, 9),
    series=st.dictionaries(_TEXTS, st.tuples(_COUNTS, st.floats(allow_nan=False)), max_size=3),
    offsets=st.dictionaries(st.sampled_from(["server", "process", "training"]), st.tuples(_COUNTS, _COUNTS)),
)


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with opened(tmp_path_factory.mktemp("index") / "index.sqlite3") as index:
        yield index


@settings(max_examples=200, deadline=None, derandomize=True)
@given(saved=st.lists(_SNAPSHOTS, max_size=4))
def test_any_snapshots_come_back_as_they_were_saved(long_lived: Index, saved: list[Snapshot]) -> None:
    long_lived.clear()
    long_lived.save(saved)
    assert by_id(long_lived.load()) == by_id(saved)
    for job_id, job in by_id(saved).items():
        assert long_lived.get(job_id) == job


def test_numbers_that_a_garbled_journal_brings_stop_no_save(path: Path) -> None:
    odd = replace(snapshot(), offsets={"training": (7, 10**30)}, submitted_at=math.nan, ended_at=-math.inf)
    with opened(path) as index:
        index.save([odd, snapshot(2)])
        loaded = by_id(index.load())
    assert loaded[odd.job_id].offsets == {"training": (7, 2**63 - 1)}
    assert (loaded[odd.job_id].submitted_at, loaded[odd.job_id].ended_at) == (None, None)


_SAVES_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
from jupyter_trainlive.jobs.index import Index
from jupyter_trainlive.jobs.snapshots import Snapshot

index = Index.open(Path(sys.argv[1]))
begin = max((job.facts["n"] for job in index.load()), default=0) + 1
assert index.rebuilt is None
for n in count(begin):
    index.save(
        Snapshot(f"job_{job}", "x", "running", 1.0, None, {"n": n, "pad": "x" * 5000}, n,
                 {f"series {number}": (n, float(n)) for number in range(20)}, {"training": (n, n), "server": (n, n)})
        for job in range(5)
    )
    print(n, flush=True)
"""


def test_a_killed_server_leaves_facts_and_offsets_of_the_same_save(path: Path) -> None:
    delays = random.Random(3)
    for _ in range(10):
        writer = subprocess.Popen([sys.executable, "-c", _SAVES_FOR_EVER, str(path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            saved = 0
            for _ in range(delays.randrange(1, 40)):
                saved = int(writer.stdout.readline())
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(delays.random() * 0.01)
            assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
            saved = max([saved, *map(int, writer.stdout.read().split())])
        with opened(path) as index:
            assert index.rebuilt is None
            jobs = index.load()
        assert len(jobs) == 5
        numbers = {
            n
            for job in jobs
            for n in (
                job.facts["n"],
                job.fold_version,
                *(n for offset in job.offsets.values() for n in offset),
                *(n for summary in job.series.values() for n in summary),
            )
        }
        assert len(numbers) == 1, numbers
        assert numbers.pop() >= saved, "a save that has returned is not undone"


def _begin(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(number) for number in range(50)])


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(20_000))


def _text(path: Path) -> None:
    path.write_text("not a database")


def _cut_in_a_page(path: Path) -> None:
    _begin(path)
    os.truncate(path, path.stat().st_size - 4096 * 2 - 100)


def _cut_in_the_header(path: Path) -> None:
    _begin(path)
    os.truncate(path, 60)


def _zeroed_page(path: Path) -> None:
    _begin(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


def _folder(path: Path) -> None:
    (path / "inside").mkdir(parents=True)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def _folder_for_a_log(path: Path) -> None:
    _begin(path)
    path.with_name(path.name + "-wal").mkdir()


def _another_application(path: Path) -> None:
    with database(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("CREATE TABLE jobs (job_id)")


def _nobodys_tables(path: Path) -> None:
    with database(path) as connection:
        connection.execute("CREATE TABLE recipes (title)")


def _newer_schema(path: Path) -> None:
    _begin(path)
    with database(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def _a_table_too_few(path: Path) -> None:
    _begin(path)
    with database(path) as connection:
        connection.execute("DROP TABLE series")


def _another_number(path: Path) -> None:
    _begin(path)
    with database(path) as connection:
        connection.execute("UPDATE journals SET offset = offset + 1 WHERE job_id = 'job_000000000007'")


def _a_point_too_few(path: Path) -> None:
    _begin(path)
    with database(path) as connection:
        connection.execute("DELETE FROM series WHERE job_id = 'job_000000000007' AND name = 'loss'")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_garbage, "not a database"),
        (_text, "not a database"),
        (_cut_in_a_page, "malformed"),
        (_cut_in_the_header, "malformed"),
        (_zeroed_page, "malformed"),
        (_folder, "is not a file"),
        (_pipe, "is not a file"),
        (_dangling_link, "is not a file"),
        (_folder_for_a_log, "is not a file"),
        (_another_application, "belongs to another application"),
        (_nobodys_tables, "belongs to another application"),
        (_newer_schema, "is newer"),
        (_a_table_too_few, "its tables are not those"),
        (_another_number, "is not what was written"),
        (_a_point_too_few, "is not what was written"),
    ],
)
def test_a_database_of_no_use_is_set_aside_and_a_new_one_begun(
    path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(path)
    with opened(path) as index:
        # Some of it is seen only when the jobs are read.
        why = index.rebuilt
        if why is None:
            with pytest.raises(IndexLost) as lost:
                index.load()
            why = str(lost.value)
        [name] = aside(path)
        assert said in why
        assert name in why
        assert index.load() == []
        index.save([snapshot(1)])
    with opened(path) as index:
        assert index.rebuilt is None
        assert index.load() == [snapshot(1)]
    assert aside(path) == [name]


def test_what_was_set_aside_can_still_be_read_with_its_log(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1)])
        # As a killed server leaves it: what was saved last is in the log beside.
        kept = {file: file.read_bytes() for file in path.parent.iterdir()}
        assert len(kept) == 3
    for file, content in kept.items():
        file.write_bytes(content)
    with database(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        kept = {file: file.read_bytes() for file in path.parent.iterdir()}
    for file, content in kept.items():
        file.write_bytes(content)
    with opened(path) as index:
        assert index.rebuilt is not None
        assert index.load() == []
    [name] = aside(path)
    with database(path.with_name(name)) as connection:
        assert connection.execute("SELECT job_id FROM jobs").fetchall() == [("job_000000000001",)]


def test_three_are_kept_aside_and_folders_never_removed(path: Path) -> None:
    _folder(path)
    with opened(path):
        pass
    for number in range(5):
        path.write_text(f"garbage {number}")
        path.with_name(path.name + "-wal").write_text(f"log {number}")
        with opened(path) as index:
            assert index.rebuilt is not None
    files = [name for name in aside(path) if path.with_name(name).is_file()]
    assert [path.with_name(name).read_text() for name in files] == ["garbage 2", "garbage 3", "garbage 4"]
    [folder] = set(aside(path)) - set(files)
    assert (path.with_name(folder) / "inside").is_dir()


@pytest.mark.parametrize("seed", range(60))
def test_damaged_bytes_anywhere_give_what_was_saved_or_nothing(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    saved = by_id([snapshot(number, count=number) for number in range(40)])
    with opened(path) as index:
        index.save(saved.values())
        kept = {file: file.read_bytes() for file in path.parent.iterdir()}
    if seed % 2:
        # As a killed server leaves it, with its log.
        for file, content in kept.items():
            file.write_bytes(content)
    spoilt = chance.choice(sorted(path.parent.iterdir()))
    content = bytearray(spoilt.read_bytes())
    for _ in range(chance.choice([1, 3, 50])):
        # The header is small, and matters most.
        content[chance.randrange(chance.choice([100, len(content)]))] = chance.randrange(256)
    spoilt.write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
    with opened(path, writable=False) as reader:
        assert by_id(reader.load()).items() <= saved.items()
    changed = {job_id: replace(job, status="completed", series={}) for job_id, job in saved.items()}
    with opened(path) as index:
        lost = 0 if index.rebuilt is None else 1
        while True:
            try:
                assert by_id(index.load()).items() <= saved.items()
                index.save(changed.values())
                assert by_id(index.load()) == changed
                break
            except IndexLost:
                assert index.load() == []
                lost += 1
        assert len(aside(path)) == lost <= 1, "once begun anew it is sound"


def test_damage_that_comes_while_it_is_open_is_told_and_mended(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(number) for number in range(50)])
        # Another connection's change makes this one read the file again.
        with database(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("UPDATE jobs SET fold_version = 2 WHERE job_id = 'job_000000000003'")
        with pytest.raises(IndexLost, match="is not what was written"):
            index.get("job_000000000003")
        assert index.load() == []
        index.save([snapshot(2)])
        assert index.load() == [snapshot(2)]
        with database(path) as connection:
            connection.execute("DROP TABLE series")
        with pytest.raises(IndexLost, match="no such table"):
            index.save([snapshot(3)])
        index.save([snapshot(3)])
        assert index.load() == [snapshot(3)]


def test_a_removed_file_is_noticed_and_begun_again(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1)])
        path.unlink()
        with pytest.raises(IndexLost, match="removed or replaced"):
            index.save([snapshot(2)])
        index.save([snapshot(1), snapshot(2)])
    with opened(path) as index:
        assert by_id(index.load()) == by_id([snapshot(1), snapshot(2)])
    assert aside(path) == []


def test_a_log_that_was_left_without_its_database_is_nobodys(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1)])
        log = path.with_name(path.name + "-wal")
        content = log.read_bytes()
    path.unlink()
    log.write_bytes(content)
    with opened(path) as index:
        assert index.load() == []
        index.save([snapshot(2)])
        assert index.load() == [snapshot(2)]


def test_a_removed_folder_is_waited_for(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1)])
        shutil.rmtree(path.parent)
        for _ in range(2):
            with pytest.raises(IndexUnavailable, match="out of reach"):
                index.save([snapshot(1)])
        path.parent.mkdir()
        with pytest.raises(IndexLost):
            index.save([snapshot(1)])
        index.save([snapshot(1)])
        assert index.load() == [snapshot(1)]


def test_a_folder_that_is_not_there_yet_is_no_reason_to_begin_anew(path: Path) -> None:
    path.parent.rmdir()
    with opened(path) as index:
        with pytest.raises(IndexUnavailable):
            index.load()
        path.parent.mkdir()
        index.save([snapshot(1)])
        assert (index.load(), index.rebuilt) == ([snapshot(1)], None)


def test_only_its_owner_can_read_it(path: Path) -> None:
    def modes() -> dict[str, int]:
        return {file.name[len(path.name) :]: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    umask = os.umask(0)
    try:
        with opened(path) as index:
            index.save([snapshot(1)])
            assert modes() == {"": 0o600, "-wal": 0o600, "-shm": 0o600}
            kept = {file: file.read_bytes() for file in path.parent.iterdir()}
        for file, content in kept.items():
            file.unlink(missing_ok=True)
            file.write_bytes(content)
        assert set(modes().values()) == {0o666}
        with opened(path) as index:
            assert index.load() == [snapshot(1)]
            assert modes() == {"": 0o600, "-wal": 0o600, "-shm": 0o600}
    finally:
        os.umask(umask)


_NEXT: Migration = (
    "CREATE TABLE notes (job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, note TEXT NOT NULL)",
    "INSERT INTO notes SELECT job_id, 'from ' || name FROM jobs",
)
_AFTER_IT: Migration = ("ALTER TABLE jobs ADD COLUMN colour TEXT",)


def test_an_older_schema_is_brought_up_to_date_with_all_that_is_in_it(path: Path) -> None:
    with opened(path, migrations=MIGRATIONS) as index:
        index.save([snapshot(1)])
    newer = (*MIGRATIONS, _NEXT, _AFTER_IT)
    for _ in range(2):
        with opened(path, migrations=newer) as index:
            assert index.rebuilt is None
            assert index.load() == [snapshot(1)]
    with database(path) as connection:
        assert connection.execute("SELECT * FROM notes").fetchall() == [("job_000000000001", "from näme 1")]
        assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert aside(path) == []
    with opened(path, migrations=MIGRATIONS) as index:
        assert "is newer" in (index.rebuilt or ""), "an older version does not touch what it does not know"
    assert len(aside(path)) == 1


def test_an_index_from_before_there_were_curves_keeps_its_jobs(path: Path) -> None:
    with opened(path, migrations=MIGRATIONS[:1]) as index:
        index.save([snapshot(1), snapshot(2)])
    with opened(path, writable=False) as reader:
        assert reader.load() == [], "who only reads does not change it"
    with opened(path) as index:
        assert index.rebuilt is None
        assert by_id(index.load()) == by_id([snapshot(1), snapshot(2)])
        assert index.read(lambda connection: connection.execute("SELECT count(*) FROM chunks").fetchone()) == (0,)
    assert aside(path) == []


def test_what_is_found_damaged_while_it_is_read_is_set_aside(path: Path) -> None:
    def odd(connection: sqlite3.Connection) -> None:
        raise Unusable("it is odd")

    with opened(path) as index:
        for work in (index.read, index.write):
            index.save([snapshot(1)])
            with pytest.raises(IndexLost, match="it is odd"):
                work(odd)
            assert index.load() == []
        assert len(aside(path)) == 2
    with opened(path, writable=False) as reader:
        assert reader.read(odd) is None


def test_what_is_done_halfway_is_not_done(path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM jobs")
        raise KeyError("a mistake")

    with opened(path) as index:
        index.save([snapshot(1)])
        with pytest.raises(KeyError):
            index.write(fail)
        assert index.load() == [snapshot(1)]


def test_a_migration_that_is_stopped_half_way_is_as_if_it_had_not_begun(path: Path) -> None:
    with opened(path) as index:
        index.save([snapshot(1)])
    newer = (*MIGRATIONS, _NEXT)
    program = (
        "import os, signal, sqlite3, sys\n"
        "from pathlib import Path\n"
        "from jupyter_trainlive.jobs import database\n"
        "connect = database._connect\n"
        "def connect_and_die(path, mode):\n"
        "    connection = connect(path, mode)\n"
        "    look = lambda text: text.startswith('INSERT INTO notes') and os.kill(os.getpid(), signal.SIGKILL)\n"
        "    connection.set_trace_callback(look)\n"
        "    return connection\n"
        "database._connect = connect_and_die\n"
        f"database.open_to_write(Path(sys.argv[1]), {newer!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -signal.SIGKILL
    with opened(path, migrations=newer) as index:
        assert (index.rebuilt, index.load()) == (None, [snapshot(1)])
    with database(path) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (1,)


def test_a_reader_sees_what_the_writer_beside_it_saves(path: Path) -> None:
    with opened(path, writable=False) as reader:
        assert (reader.load(), reader.get("job_x"), reader.rebuilt) == ([], None, None)
        assert list(path.parent.iterdir()) == [], "where there is none, none is begun"
        with opened(path) as writer:
            assert reader.load() == []
            for count in range(3):
                writer.save([snapshot(1, count)])
                assert reader.load() == [snapshot(1, count)]
                assert reader.get("job_000000000001") == snapshot(1, count)
        assert reader.load() == [snapshot(1, 2)]
        for write in (lambda: reader.save([snapshot(2)]), lambda: reader.forget("job_x"), reader.clear):
            with pytest.raises(io.UnsupportedOperation):
                write()
        with opened(path) as writer:
            assert writer.load() == [snapshot(1, 2)]


@pytest.mark.parametrize("damage", [_garbage, _folder, _pipe, _newer_schema, _another_application, _another_number])
def test_a_reader_leaves_what_it_cannot_read_as_it_is(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with opened(path, writable=False) as reader:
        assert reader.load() == []
        assert reader.get("job_000000000007") is None
    assert aside(path) == []
    assert before is None or path.read_bytes() == before


def test_a_reader_knows_no_older_schema_and_does_not_change_it(path: Path) -> None:
    _begin(path)
    with opened(path, writable=False, migrations=(*MIGRATIONS, _NEXT)) as reader:
        assert reader.load() == []
    with opened(path) as index:
        assert len(index.load()) == 50


def test_a_database_that_another_process_holds_is_out_of_reach_and_not_lost(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("jupyter_trainlive.jobs.database._BUSY_SECONDS", 0.1)
    with opened(path) as index, database(path) as connection:
        index.save([snapshot(1)])
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailable, match="locked"):
            index.save([snapshot(2)])
        assert index.load() == [snapshot(1)]
        connection.execute("ROLLBACK")
        index.save([snapshot(2)])
        assert by_id(index.load()) == by_id([snapshot(1), snapshot(2)])
    assert aside(path) == []


def test_nothing_can_be_asked_of_a_closed_index(path: Path) -> None:
    index = Index.open(path)
    index.close()
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.save([snapshot(1)])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "512k") as disk:
        yield disk


def test_a_full_disk_is_told_and_loses_nothing(disk: Path) -> None:
    path, filler = disk / "index.sqlite3", disk / "filler"
    with opened(path) as index:
        index.save([snapshot(1)])
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(1 << 20))
        large = replace(snapshot(1, 5), facts={"text": "x" * 100_000})
        for _ in range(3):
            with pytest.raises(IndexUnavailable, match="out of reach"):
                index.save([large, snapshot(2)])
        filler.unlink()
        assert index.load() == [snapshot(1)]
        index.save([large, snapshot(2)])
    with opened(path) as index:
        assert index.rebuilt is None
        assert by_id(index.load()) == by_id([large, snapshot(2)])


def test_an_index_that_finds_no_room_to_begin_begins_when_there_is_some(disk: Path) -> None:
    path, filler = disk / "index.sqlite3", disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(1 << 20))
    with opened(path) as index:
        with pytest.raises(IndexUnavailable):
            index.load()
        filler.unlink()
        index.save([snapshot(1)])
        assert (index.rebuilt, index.load()) == (None, [snapshot(1)])
    assert aside(path) == []
