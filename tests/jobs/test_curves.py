"""Every point of a journal is in its curve once, whatever becomes of the server, of the index and of the journal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from jupyter_trainlive.jobs import chunks, flushes, ingest
from jupyter_trainlive.jobs import curves as curves_module
from jupyter_trainlive.jobs import keeper as keeper_module
from jupyter_trainlive.jobs.curves import AXES, Curves, Window
from jupyter_trainlive.jobs.database import IndexUnavailable
from jupyter_trainlive.jobs.index import Index, IndexLost
from jupyter_trainlive.jobs.keeper import Keeper
from jupyter_trainlive.jobs.points import Points
from jupyter_trainlive.jobs.registry import Registry
from jupyter_trainlive.jobs.snapshots import Snapshot
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id, write_json
from jupyter_trainlive.protocol.journal import JournalReader, append_shared
from jupyter_trainlive.protocol.values import carry

from ..managing import become
from .plain_curves import Logged, assert_same, plain_curve

_T = TypeVar("_T")


class Store:
    """An index, and what a keeper does with it for curves."""

    def __init__(self, path: Path, job_id: str, *, writable: bool = True) -> None:
        self.path = path
        self.job_id = job_id
        self.writable = writable
        self.reading = asyncio.Semaphore(2)
        self.out_of_reach = False
        self.index = Index.open(path, writable=writable)
        if writable:
            self.know_the_job()

    def know_the_job(self) -> None:
        with contextlib.suppress(IndexLost):
            self.index.save([Snapshot(self.job_id, "x", "running", None, None, {}, 1)])
            return
        self.know_the_job()

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        return self._do(lambda: self.index.read(work))

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return self._do(lambda: self.index.write(work))

    def _do(self, work: Callable[[], _T]) -> _T:
        if self.out_of_reach:
            raise IndexUnavailable("it is out of reach")
        try:
            return work()
        except IndexLost:
            self.know_the_job()
            raise


class History:
    """A job whose training logs."""

    def __init__(self, folder: Path) -> None:
        self.job_dir = JobDir(folder / new_job_id())
        self.job_dir.create()
        self.logged: dict[str, list[Logged]] = {}
        self.seq = 0
        self._torn = b""

    def log(
        self, values: dict[str, float], step: int | None = None, epoch: float | None = None, t: float = 0.0
    ) -> bytes:
        """The line of a record."""
        self.seq += 1
        t = t or 1.7e9 + self.seq / 8
        for name, value in values.items():
            self.logged.setdefault(name, []).append(Logged(step, t, epoch, value))
        record = {"seq": self.seq, "t": t, "kind": "metrics", "step": step, "epoch": epoch}
        return json.dumps({**record, "values": {name: carry(value) for name, value in values.items()}}).encode() + b"\n"

    def write(self, content: bytes) -> None:
        with self.job_dir.training_journal.open("ab") as file:
            file.write(content)

    def steps(self, count: int, names: Sequence[str] = ("loss",)) -> None:
        """So many steps more, logged at once."""
        step = self.logged[names[0]][-1].step or 0 if names[0] in self.logged else 0
        self.write(b"".join(self.log(dict.fromkeys(names, (step + i) / 7), step + i) for i in range(1, count + 1)))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def store(tmp_path: Path, history: History) -> Iterator[Store]:
    opened = Store(tmp_path / "index.sqlite3", history.job_dir.job_id)
    yield opened
    opened.index.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few points have all that many have else."""
    monkeypatch.setattr(ingest, "FLUSH_POINTS", 50)
    monkeypatch.setattr(ingest, "FLUSH_BYTES", 8000)
    monkeypatch.setattr(ingest, "MOST_PENDING", 300)
    monkeypatch.setattr(chunks, "_SUMMARY_SHARE", 2)
    monkeypatch.setattr(chunks, "_FEW_POINTS", 10)
    monkeypatch.setattr(chunks, "_SUMMARY_BUCKETS", 8)
    monkeypatch.setattr(chunks, "CHUNK_POINTS", 60)
    monkeypatch.setattr(JournalReader.read, "__defaults__", (2000,))


def curves_of(history: History, store: Store, *, ended: bool = False, max_series: int = 1000) -> Curves:
    return Curves(history.job_dir, store, max_series=max_series, ended=lambda: ended)


async def assert_right(curves: Curves, history: History, windows: Sequence[Window] = (Window(),)) -> None:
    """Every curve is what was logged."""
    for window in windows:
        seq, got = await curves.read([*history.logged, "unknown"], window)
        assert seq == history.seq
        assert got.keys() == history.logged.keys()
        for name, logged in history.logged.items():
            assert_same(got[name], plain_curve(logged, window))
    assert curves.names == list(history.logged)


def _record(history: History, chance: random.Random, step: int) -> bytes:
    values = {name: chance.gauss(0, 1) for name in ("loss", "eval/loss", "\ud83d") if chance.random() < 0.8}
    if chance.random() < 0.05:
        values["loss"] = chance.choice([math.nan, math.inf, -math.inf])
    known = chance.random() < 0.95
    line = history.log(values, step if known else None, step / 100 if chance.random() < 0.9 else None)
    return line + (b"garbage\n" if chance.random() < 0.02 else b"")


_ALL = [Window(), Window(most=20, smoothing=0.9), Window("time", most=10), Window("epoch", 1.0, 3.5, 12, 0.5)]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(8))
async def test_a_journal_in_any_pieces_gives_each_point_once(tmp_path: Path, seed: int) -> None:
    """Cut anywhere, the server killed between flushes, the index deleted, damaged, rebuilt or given up."""
    chance = random.Random(seed)
    history = History(tmp_path)
    store = Store(tmp_path / "index.sqlite3", history.job_dir.job_id)
    content, step = b"", 0
    for _ in range(700):
        step = max(
            0, step + chance.choice([1, 1, 1, 1, 2, 0]) - (chance.randrange(300) if chance.random() < 0.01 else 0)
        )
        content += _record(history, chance, step)
    curves, start = curves_of(history, store), 0
    while start < len(content):
        end = min(len(content), start + chance.choice([10, 300, 5000, 20_000]))
        history.write(content[start:end])
        start = end
        seq = await curves.catch_up()
        whole = content[:end].count(b"\n") - content[:end].count(b"garbage\n")
        assert seq == whole
        event = chance.choice(["", "", "killed", "deleted", "damaged", "rebuilt", "read"])
        if event == "killed":
            store.index.close()
            store = Store(store.path, history.job_dir.job_id)
            curves = curves_of(history, store)
        elif event == "deleted":
            store.path.unlink(missing_ok=True)
        elif event == "damaged":
            damage = chance.choice(
                [
                    "UPDATE chunks SET raw_values = zeroblob(length(raw_values)) WHERE first > 0",
                    "DELETE FROM chunks WHERE first > 0",
                    "DELETE FROM flushes",
                    "DELETE FROM flushes WHERE number = 2",
                    "UPDATE flushes SET offset = offset + 1",
                    "DELETE FROM curves WHERE number = 1",
                    "DROP TABLE chunks",
                ]
            )
            # It may have been deleted just before.
            with (
                contextlib.suppress(sqlite3.OperationalError),
                contextlib.closing(sqlite3.connect(store.path)) as other,
            ):
                other.execute(damage)
                other.commit()
        elif event == "rebuilt":
            with contextlib.suppress(IndexLost):
                store.index.clear()
            store.know_the_job()
            await curves.begin_again()
        elif event == "read":
            await curves.read(["loss"], chance.choice(_ALL))
    await assert_right(curves, history, _ALL)
    await assert_right(curves_of(history, store), history, _ALL)
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        [stored] = other.execute("SELECT sum(size) FROM chunks").fetchone()
    assert stored > 300
    store.index.close()


@pytest.mark.usefixtures("small")
async def test_reading_while_a_job_logs_gives_what_was_logged_by_then(history: History, store: Store) -> None:
    curves, lengths = curves_of(history, store), list[int]()

    async def read_on() -> None:
        while not lengths or lengths[-1] < 900:
            seq, got = await curves.read(["a", "b"], Window(most=5000))
            if got:
                assert [curve.n for curve in got.values()] == [seq, seq]
                assert [bucket["x0"] for bucket in got["a"].buckets] == list(range(1, seq + 1))
                lengths.append(seq)

    async def log() -> None:
        for _ in range(30):
            await asyncio.to_thread(history.steps, 30, ("a", "b"))

    await asyncio.gather(log(), read_on(), read_on())
    assert lengths[-1] == 900


@pytest.mark.usefixtures("small")
async def test_a_server_that_was_left_behind_brings_nothing_twice(history: History, store: Store) -> None:
    one, other = curves_of(history, store), curves_of(history, store)
    for _ in range(6):
        history.steps(40)
        await one.catch_up()
        history.steps(40)
        await other.catch_up()
    for curves in (one, other, curves_of(history, store)):
        await assert_right(curves, history)


@pytest.mark.usefixtures("small")
async def test_an_index_out_of_reach_is_waited_for(history: History, store: Store) -> None:
    curves = curves_of(history, store)
    history.steps(100)
    await curves.catch_up()
    store.out_of_reach = True
    history.steps(200)
    assert await curves.catch_up() == 300
    assert curves.unsaved
    with pytest.raises(IndexUnavailable):
        await curves.read(["loss"], Window())
    history.steps(500)
    for _ in range(2):
        with pytest.raises(IndexUnavailable):
            await curves.catch_up()
    fresh = curves_of(history, store)
    with pytest.raises(IndexUnavailable):
        await fresh.catch_up()
    assert curves.points < 500
    store.out_of_reach = False
    await assert_right(curves, history)
    await assert_right(fresh, history)


@pytest.mark.usefixtures("small")
async def test_without_any_index_a_short_journal_is_shown_all_the_same(history: History, store: Store) -> None:
    store.out_of_reach = True
    history.steps(200)
    curves = curves_of(history, store)
    await assert_right(curves, history)
    assert await curves.position_of(150) == (0, 0)


@pytest.mark.usefixtures("small")
async def test_a_reader_begins_where_the_owner_is_and_keeps_nothing(history: History, store: Store) -> None:
    owner = curves_of(history, store)
    beside = Store(store.path, history.job_dir.job_id, writable=False)
    reader = curves_of(history, beside, ended=True)
    history.steps(40)
    await assert_right(reader, history, _ALL)
    for _ in range(8):
        history.steps(100)
        await owner.catch_up()
        await assert_right(reader, history, _ALL)
    assert history.seq > ingest.MOST_PENDING
    history.steps(1000)
    with pytest.raises(IndexUnavailable):
        await reader.catch_up()
    await owner.catch_up()
    await assert_right(reader, history)
    rows = store.read(lambda connection: connection.execute("SELECT count(*) FROM chunks").fetchone())
    beside.writable, beside.index = True, store.index
    history.steps(100)
    await assert_right(reader, history)
    after = store.read(lambda connection: connection.execute("SELECT count(*) FROM chunks").fetchone())
    assert rows is not None
    assert after is not None
    assert after > rows, "it has taken over"


@pytest.mark.usefixtures("small")
async def test_a_reader_of_an_index_that_nobody_can_read_reads_the_journal(history: History, store: Store) -> None:
    history.steps(200)
    store.index.close()
    store.path.write_text("no database")
    reader = curves_of(history, Store(store.path, history.job_dir.job_id, writable=False))
    await assert_right(reader, history)


@pytest.mark.usefixtures("small")
async def test_a_job_that_the_index_does_not_know_is_kept_until_it_does(history: History, store: Store) -> None:
    store.index.forget(history.job_dir.job_id)
    history.steps(120)
    curves = curves_of(history, store, ended=True)
    await assert_right(curves, history)
    assert curves.unsaved
    store.know_the_job()
    await curves.catch_up()
    assert not curves.unsaved


def _rows(store: Store) -> int:
    tables = ("flushes", "curves", "chunks")
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


@pytest.mark.usefixtures("small")
async def test_a_deleted_job_leaves_nothing_and_nothing_brings_it_back(history: History, store: Store) -> None:
    curves = curves_of(history, store)
    history.steps(220)
    await curves.catch_up()
    assert _rows(store) > 5
    store.index.forget(history.job_dir.job_id)
    assert _rows(store) == 0
    history.steps(50)
    await curves.catch_up()
    assert _rows(store) == 0
    history.job_dir.training_journal.unlink()
    assert await curves_of(history, store, ended=True).read(["loss"], Window()) == (0, {})
    assert _rows(store) == 0


@pytest.mark.usefixtures("small")
async def test_an_ended_job_is_read_once_and_then_never_again(
    history: History, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.steps(210)
    curves = curves_of(history, store, ended=True)
    await curves.catch_up()
    assert (curves.unsaved, curves.points, curves.seq) == (False, 210, 210)
    read, offsets = JournalReader.read, list[int]()

    def noted(self: JournalReader) -> Any:
        offsets.append(self.offset)
        return read(self)

    monkeypatch.setattr(JournalReader, "read", noted)
    await assert_right(curves_of(history, store, ended=True), history)
    assert set(offsets) == {history.job_dir.training_journal.stat().st_size}


@pytest.mark.usefixtures("small")
async def test_a_journal_that_is_not_the_one_that_was_read_is_read_anew(history: History, store: Store) -> None:
    history.steps(220)
    await curves_of(history, store).catch_up()
    other = History(history.job_dir.path)
    other.steps(60)
    history.job_dir.training_journal.write_bytes(other.job_dir.training_journal.read_bytes())
    history.logged, history.seq = other.logged, other.seq
    await assert_right(curves_of(history, store), history)
    await assert_right(curves_of(history, store), history)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("read_before", [0, 1000])
async def test_series_beyond_the_limit_have_no_curve_and_the_same_ones_when_rebuilt(
    history: History, store: Store, read_before: int
) -> None:
    lines = [history.log({f"s{i % 7}": i, f"t{i % 11}": -i}, i) for i in range(300)]
    history.write(b"".join(lines[:read_before]))
    curves = curves_of(history, store, max_series=5)
    await curves.catch_up()
    history.write(b"".join(lines[read_before:]))
    await curves.catch_up()
    assert curves.names == ["s0", "t0", "s1", "t1", "s2"]
    _, got = await curves.read(list(history.logged), Window())
    assert got.keys() == set(curves.names)
    for name, curve in got.items():
        assert_same(curve, plain_curve(history.logged[name], Window()))
    again = curves_of(history, store, max_series=5)
    assert (await again.read(list(history.logged), Window()))[1] == got


@pytest.mark.usefixtures("small")
async def test_a_place_in_the_journal_is_at_or_before_what_was_asked_for_and_near(
    history: History, store: Store
) -> None:
    history.steps(500)
    curves = curves_of(history, store)
    await curves.catch_up()
    fresh = curves_of(history, store)
    for seq in (0, 1, 49, 50, 51, 260, 499, 500, 501, 10**30):
        for asked in (curves, fresh):
            offset, last = await asked.position_of(seq)
            assert seq - 100 < last <= seq or last >= 450
            reader = JournalReader(history.job_dir.training_journal)
            reader.go_on_from(offset, last)
            following = reader.read()
            assert [record["seq"] for record in following[:1]] == ([last + 1] if last < 500 else [])
    assert fresh.points < 500, "the journal was not read for it"


async def test_nothing_is_read_of_a_job_that_never_logged(history: History, store: Store) -> None:
    curves = curves_of(history, store, ended=True)
    assert await curves.read(["loss"], Window(smoothing=0.5)) == (0, {})
    assert (await curves.catch_up(), await curves.position_of(5), curves.names) == (0, (0, 0), [])
    assert not curves.unsaved


async def test_an_odd_step_in_ten_million_is_seen_at_any_width(history: History, store: Store) -> None:
    count, odd = 10_000_000, {1_234_567: 1e9, 5_000_000: math.nan, 9_999_998: -math.inf}
    history.write(b"\n")
    steps = np.arange(count)
    values = np.cos(steps / 1e5)
    for step, value in odd.items():
        values[step] = value
    points = Points(0, np.zeros(count, np.int64), steps, 1.7e9 + steps / 8, np.full(count, np.nan), values)

    def fill(connection: sqlite3.Connection) -> None:
        mark = flushes.Mark(1, 1, count, count)
        assert flushes.append_mark(connection, store.job_id, flushes.NO_MARK, mark)
        flushes.append_names(connection, store.job_id, 0, ["loss"])
        for start in range(0, count, chunks.CHUNK_POINTS):
            part = points.part(start, min(count, start + chunks.CHUNK_POINTS))
            chunks.write(connection, list(chunks.encode(store.job_id, 0, part)))

    store.write(fill)
    curves = curves_of(history, store)
    for axis in ("step", "time"):
        for most in (1, 480, 5000):
            _, got = await curves.read(["loss"], Window(axis, most=most))
            buckets = got["loss"].buckets
            assert most / 2.5 < len(buckets) <= most
            assert got["loss"].n == sum(bucket["n"] for bucket in buckets) == count
            assert sum(bucket["nan"] for bucket in buckets) == sum(bucket["inf"] for bucket in buckets) == 1
            assert [bucket["x0"] for bucket in buckets if bucket["max"] == 1e9] == [
                bucket["x0"]
                for bucket in buckets
                if bucket["x0"] <= (1_234_567 if axis == "step" else 1.7e9 + 1_234_567 / 8) < bucket["x1"]
            ]
    _, got = await curves.read(["loss"], Window(x0=1_234_500, x1=1_234_700))
    assert len(got["loss"].buckets) == got["loss"].n == 201
    for window in (Window(most=100, smoothing=0.99), Window(x0=8_000_000, x1=8_000_003, smoothing=0.99)):
        _, got = await curves.read(["loss"], window)
        for bucket in got["loss"].buckets:
            last = bucket["x1"] - 1 if bucket["x1"] <= count else count - 1
            before = values[max(0, last - 6000) : last + 1]
            before = before[np.isfinite(before) & (before < 1e9)]
            wanted = np.sum(before * 0.01 * 0.99 ** np.arange(len(before) - 1, -1, -1)) / (1 - 0.99 ** len(before))
            if abs(last - 1_234_567) > 6000:
                assert bucket["smoothed"] == pytest.approx(wanted, abs=1e-9)


@contextlib.asynccontextmanager
async def keeping(jobs_dir: Path) -> AsyncIterator[tuple[Registry, Keeper]]:
    """A registry and its keeper, at work."""
    log = logging.getLogger("test")

    async def adopt(tracker: Any) -> None: ...

    def prepare(tracker: Any) -> None:
        tracker.curves = keeper.curves_of(tracker)

    registry = Registry(jobs_dir, log, prepare, adopt)
    keeper = Keeper(registry, log)
    await keeper.open(writable=True)
    await registry.discover()
    work = [asyncio.create_task(task) for task in (keeper.keep(), keeper.keep_curves())]
    try:
        yield registry, keeper
    finally:
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        await keeper.close()


def _job(jobs_dir: Path, steps: int, *, ended: bool) -> History:
    history = History(jobs_dir)
    append_shared(history.job_dir.server_journal, "submitted", name="x", job_kind="code")
    append_shared(history.job_dir.server_journal, "queued", attempt=1)
    if ended:
        append_shared(history.job_dir.server_journal, "cancel_requested")
    write_json(history.job_dir.spec_file, {"job_id": history.job_dir.job_id, "name": "x", "kind": "code"})
    history.steps(steps)
    return history


@pytest.fixture
def jobs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keeper_module, "_SAVE_SECONDS", 0.01)
    (tmp_path / "jobs").mkdir()
    return tmp_path / "jobs"


async def test_a_jobs_curves_are_kept_while_it_runs_and_to_its_end_without_anybody_asking(
    jobs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_RECORDS_BEHIND", 100)
    history = _job(jobs_dir, 90, ended=False)
    async with keeping(jobs_dir) as (registry, _):
        tracker = await registry.get(history.job_dir.job_id)
        curves = tracker.curves
        await become(lambda: not tracker.unsaved)
        history.steps(20)
        await tracker.catch_up()
        await become(lambda: curves.points == 110)
        assert curves.unsaved, "a few points wait for more"
        history.steps(5)
        append_shared(history.job_dir.server_journal, "cancel_requested")
        await tracker.catch_up()
        assert tracker.job.status.ended
        await become(lambda: curves.points == 115 and not curves.unsaved)
        await assert_right(curves, history)


async def test_the_next_server_reads_an_ended_job_only_when_somebody_asks(jobs_dir: Path) -> None:
    history, other = _job(jobs_dir, 50, ended=True), _job(jobs_dir, 50, ended=True)
    async with keeping(jobs_dir) as (registry, _):
        trackers = [await registry.get(job.job_dir.job_id) for job in (history, other)]
        await become(lambda: all(one.curves.points == 50 and not one.curves.unsaved for one in trackers))
    async with keeping(jobs_dir) as (registry, keeper):
        tracker, beside = [await registry.get(job.job_dir.job_id) for job in (history, other)]
        assert not tracker.unsaved
        await keeper.save()
        await assert_right(tracker.curves, history)
        # The index is lost: those that nobody asks for wait still.
        (jobs_dir / keeper_module.INDEX_NAME).unlink()
        await assert_right(tracker.curves, history)
        await become(lambda: _known_jobs(keeper) == 2)
        await tracker.curves.catch_up()
        assert not tracker.curves.unsaved
        assert beside.curves.points == 0
        assert await keeper.rebuild() == 2
        assert beside.curves.points == 50
        assert not beside.curves.unsaved
        for one, job in ((tracker, history), (beside, other)):
            await assert_right(one.curves, job)


def _known_jobs(keeper: Keeper) -> int:
    found = keeper.read(lambda connection: connection.execute("SELECT count(*) FROM jobs").fetchone())
    return found[0] if found else 0


async def test_a_job_that_is_forgotten_stays_so_while_others_are_kept(jobs_dir: Path) -> None:
    history = _job(jobs_dir, 50, ended=True)
    async with keeping(jobs_dir) as (registry, keeper):
        tracker = await registry.get(history.job_dir.job_id)
        await become(lambda: tracker.curves.points == 50 and not tracker.curves.unsaved)
        registry.forget(tracker)
        await asyncio.gather(keeper.save(), keeper.forget(history.job_dir.job_id), tracker.curves.catch_up())
        tracker.unsaved = True
        await keeper.save()
        await tracker.curves.catch_up()
        assert _known_jobs(keeper) == 0


async def test_curves_outlive_an_index_that_is_closed_and_opened_again(jobs_dir: Path) -> None:
    history = _job(jobs_dir, 50, ended=True)
    async with keeping(jobs_dir) as (registry, keeper):
        curves = (await registry.get(history.job_dir.job_id)).curves
        await become(lambda: curves.points == 50 and not curves.unsaved)
        await keeper.close()
        with pytest.raises(IndexUnavailable):
            await curves.read(["loss"], Window())
        # Nobody knows then what the index has.
        await curves.begin_again()
        await assert_right(curves, history)
        await keeper.open(writable=True)
        for axis in AXES:
            await assert_right(curves, history, [Window(axis)])
        assert not curves.unsaved


async def test_of_a_job_that_outruns_its_reader_a_part_is_shown_and_all_of_it_in_the_end(
    history: History, store: Store, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.steps(2000)
    ended = False
    curves = Curves(history.job_dir, store, max_series=10, ended=lambda: ended)
    monkeypatch.setattr(curves_module, "_PATIENCE_SECONDS", 0.0)
    seq, got = await curves.read(["loss"], Window())
    assert 0 < seq < 2000
    assert got["loss"].n == seq
    ended = True
    await assert_right(curves, history)
