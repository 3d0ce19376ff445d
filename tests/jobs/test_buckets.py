"""Buckets say of every stretch what its points say, and windows of a curve do so however it lies in chunks."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_trainlive.jobs import chunks, flushes, windows
from jupyter_trainlive.jobs.averages import Averages
from jupyter_trainlive.jobs.buckets import LEVELS, fewest_levels, merged, of_points
from jupyter_trainlive.jobs.curves import AXES, Curve, Window
from jupyter_trainlive.jobs.points import MOST_SEGMENTS, End, Points, Tail
from jupyter_trainlive.jobs.schema import MIGRATIONS, Unusable, migrate
from jupyter_trainlive.jobs.smoothing import Carried, smooth

from .plain_curves import Logged, assert_same, columns_of, plain_curve

JOB = "job_000000000001"
#: Those are read when they are asked for.
_NO_SUMMARIES = ("step", 0, 0)

_VALUES = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, 0.1]) | st.floats(-9, 9)
_STEPS = (
    st.integers(-3, 40) | st.integers(-(10**6), 10**6) | st.sampled_from([None, 10**30, -(2**53), 2**53, 2**53 + 1])
)
_TIMES = st.floats(0, 50) | st.floats(1.7e9, 1.7e9 + 9) | st.sampled_from([0.0, 2.0**-20, 1e300, -5.0, 2.0**42])
_EPOCHS = st.none() | st.floats(0, 3) | st.sampled_from([1.0, -1e-9])
_LOGGED = st.builds(Logged, _STEPS, _TIMES, _EPOCHS, _VALUES)


@st.composite
def _trained(draw: st.DrawFn) -> list[Logged]:
    """What a real training logs: steps that mostly go up by as much, and start again at times."""
    points, step, stride = list[Logged](), 0, draw(st.integers(1, 9))
    for run in draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)):
        step = max(0, step - draw(st.integers(0, 60)) * stride)
        for _ in range(run):
            step += stride
            points.append(Logged(step, 1.7e9 + len(points) / 7, step / 64, draw(_VALUES)))
    return points


_RUNS = st.lists(_LOGGED, min_size=1, max_size=40) | _trained()
_EDGES = st.none() | st.integers(-50, 400) | st.floats(-9, 60) | st.floats(1.7e9, 1.7e9 + 20) | st.just(math.inf)
_WINDOWS = st.builds(
    Window,
    axis=st.sampled_from(AXES),
    x0=_EDGES,
    x1=_EDGES,
    most=st.integers(1, 12) | st.just(400),
    smoothing=st.sampled_from([0.0, 0.0, 0.3, 0.9, 0.999, 1e-9]),
)


def points_of(logged: Sequence[Logged]) -> Points:
    tail = Tail(End())
    if logged:
        tail.add(columns_of(logged))
    return tail.view()


@contextlib.contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """An empty index that knows one job."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, 0, MIGRATIONS)
        connection.execute("INSERT INTO jobs VALUES (?, 'x', 'running', NULL, NULL, 1, '{}', 0)", (JOB,))
        yield connection


@contextlib.contextmanager
def stored(points: Points, flushed: Sequence[int]) -> Iterator[list[windows.Part]]:
    """The parts of a curve whose points were put into chunks at these numbers; the rest is pending."""
    with database() as connection:
        start = 0
        for end in sorted(min(end, len(points)) for end in flushed):
            if end > start:
                chunks.write(connection, list(chunks.encode(JOB, 0, points.part(start, end))))
                start = end
        rest = [windows.Pending(points.part(start, len(points)))] if start < len(points) else []
        yield [*chunks.chunks_of(connection, JOB, 0, start, *_NO_SUMMARIES), *rest]


@pytest.fixture
def small_summaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few points have all that many have else."""
    monkeypatch.setattr(chunks, "_SUMMARY_SHARE", 2)
    monkeypatch.setattr(chunks, "_FEW_POINTS", 3)
    monkeypatch.setattr(chunks, "_SUMMARY_BUCKETS", 4)
    monkeypatch.setattr(chunks, "CHUNK_POINTS", 16)


@pytest.mark.usefixtures("small_summaries")
@settings(max_examples=300)
@given(logged=_RUNS, flushed=st.lists(st.integers(0, 90), max_size=6), asked=st.lists(_WINDOWS, min_size=1, max_size=4))
def test_a_window_is_what_its_points_are_however_they_lie(
    logged: list[Logged], flushed: list[int], asked: list[Window]
) -> None:
    averages = Averages()
    with stored(points_of(logged), flushed) as parts:
        for window in asked:
            assert_same(windows.read(parts, window, 0, averages), plain_curve(logged, window))


def _many(count: int, seed: int) -> list[Logged]:
    chance = random.Random(seed)
    logged, step, now = list[Logged](), 0, 1.7e9
    for _ in range(count):
        step += chance.choice([0, 1, 1, 1, 5])
        now += chance.choice([0.0, 0.01, 0.3, -0.2])
        if chance.random() < 0.001:
            step -= chance.randrange(500)
        if chance.random() < 0.001:
            now -= 100
        value = chance.choice([math.nan, math.inf]) if chance.random() < 0.01 else chance.gauss(0, 1)
        logged.append(Logged(step, now, step / 100 if chance.random() < 0.9 else None, value))
    return logged


@pytest.mark.parametrize("axis", AXES)
def test_a_window_of_many_points_is_what_they_are(axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_FEW_POINTS", 100)
    monkeypatch.setattr(chunks, "_SUMMARY_SHARE", 8)
    logged = _many(3000, 1)
    chance = random.Random(axis)
    highest = {"step": 4500, "time": 300, "epoch": 45}[axis]
    averages = Averages()
    with stored(points_of(logged), [200, 210, 1000, 1500, 2700]) as parts:
        assert any(part.shift(axis) is not None for part in parts)
        for _ in range(12):
            x0, x1 = sorted(chance.uniform(0, highest) + (1.7e9 if axis == "time" else 0) for _ in range(2))
            if chance.random() < 0.2:
                x1 = x0 + highest / 100
            most = chance.choice([1, 7, 40, 64, 100, 400, 10_000])
            smoothing = chance.choice([0.0, 0.6, 0.99])
            window = Window(axis, *chance.choice([(x0, x1), (None, x1), (x0, None), (None, None)]), most, smoothing)
            assert_same(windows.read(parts, window, 0, averages), plain_curve(logged, window))


@given(logged=_RUNS, axis=st.sampled_from(AXES), shift=st.integers(0, 40), more=st.integers(0, LEVELS - 40))
def test_merging_finer_buckets_is_computing_coarser_ones(
    logged: list[Logged], axis: str, shift: int, more: int
) -> None:
    placed = points_of(logged).on(axis).in_order()
    finer, coarser = of_points(placed, shift), of_points(placed, shift + more)
    half = len(placed) // 2
    halves = [of_points(placed.take(part), shift) for part in (np.arange(half), np.arange(half, len(placed)))]
    for parts in ([finer], halves):
        got = merged(parts, [more] * len(parts))
        assert got.dtype == coarser.dtype
        for field in coarser.dtype.names or ():
            np.testing.assert_array_equal(got[field], coarser[field], field)


@given(logged=_RUNS, axis=st.sampled_from(AXES), most=st.integers(1, 50))
def test_the_level_is_the_finest_at_which_buckets_are_few(logged: list[Logged], axis: str, most: int) -> None:
    placed = points_of(logged).on(axis).in_order()
    levels = fewest_levels(placed.segments, placed.keys, most)
    fewest = max(most, len(set(zip(placed.segments.tolist(), (placed.keys < 0).tolist(), strict=True))))
    assert len(of_points(placed, levels)) <= fewest
    assert levels == 0 or len(of_points(placed, levels - 1)) > fewest


def test_what_is_as_far_apart_as_can_be_comes_together_at_the_last_level() -> None:
    keys = np.array([0, 2**62])
    assert fewest_levels(np.zeros(2, dtype=np.int64), keys, 1) == LEVELS
    assert fewest_levels(np.zeros(2, dtype=np.int64), keys, 2) == 0


@given(logged=_RUNS, axis=st.sampled_from(AXES), shift=st.integers(0, 30))
def test_a_finished_bucket_never_changes(logged: list[Logged], axis: str, shift: int) -> None:
    finished: dict[tuple[int, int], Any] = {}
    for count in range(1, len(logged) + 1):
        placed = points_of(logged[:count]).on(axis)
        buckets = of_points(placed.in_order(), shift)
        now = {(bucket["segment"].item(), bucket["key"].item()): bucket.tobytes() for bucket in buckets}
        assert finished.items() <= now.items()
        # Clocks and epochs may go back to a bucket in which they were; steps never do within a segment.
        if axis == "step":
            newest = (placed.segments[-1].item(), placed.keys[-1].item() >> shift)
            finished = {where: bucket for where, bucket in now.items() if where < newest}


def test_points_and_chunks_beyond_what_a_segment_may_be() -> None:
    logged = [Logged(step, 1.0, None, float(step)) for pair in range(400) for step in (pair + 10, pair)]
    points = points_of(logged)
    assert points.segments.max() == MOST_SEGMENTS - 1
    with stored(points, [300, 700]) as parts:
        for window in (Window(most=5), Window(x0=300, x1=305), Window(most=300, smoothing=0.5)):
            assert_same(windows.read(parts, window, 0, Averages()), plain_curve(logged, window))


def test_an_empty_window_has_no_buckets() -> None:
    with stored(points_of([Logged(5, 1.0, None, 1.0)]), [1]) as parts:
        for window in (Window(x0=6), Window(x1=4), Window(x0=9, x1=1), Window("epoch"), Window(x0=math.inf)):
            assert windows.read(parts, window, 0, Averages()) == Curve(0, [])
    assert windows.read([], Window(smoothing=0.5), 0, Averages()) == Curve(0, [])


@pytest.mark.parametrize(
    "wrong", [{"axis": "steps"}, {"most": 0}, {"smoothing": 1.0}, {"smoothing": math.nan}, {"x0": math.nan}]
)
def test_a_window_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Window(**wrong)


@given(logged=_RUNS, cuts=st.lists(st.integers(0, 90), max_size=5), weight=st.sampled_from([1e-9, 0.5, 0.9, 0.9999]))
def test_an_average_goes_on_exactly_where_it_was_left(logged: list[Logged], cuts: list[int], weight: float) -> None:
    points = points_of(logged)
    whole, end = smooth(points.values, points.segments, weight, Carried())
    carried, pieces = Carried(), []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(points)], strict=True):
        averages, carried = smooth(points.values[start:stop], points.segments[start:stop], weight, carried)
        pieces.append(averages)
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-10, atol=1e-10)
    assert carried.count == end.count
    assert carried.segment == end.segment


@pytest.mark.parametrize("weight", [0.3, 0.99, 0.99999])
def test_an_average_of_many_points_is_that_of_the_loop(weight: float) -> None:
    logged = _many(20_000, 2)
    points = points_of(logged)
    averages, _ = smooth(points.values, points.segments, weight, Carried())
    wanted, total, count, segment = [], 0.0, 0, 0
    for value, own in zip(points.values.tolist(), points.segments.tolist(), strict=True):
        if own != segment:
            segment, total, count = own, 0.0, 0
        if math.isfinite(value):
            total, count = weight * total + (1 - weight) * value, count + 1
        wanted.append(total / (1 - weight**count) if math.isfinite(value) else math.nan)
    np.testing.assert_allclose(averages, wanted, rtol=1e-9, atol=1e-12)


def _chunk(connection: sqlite3.Connection) -> None:
    points = points_of(_many(2400, 3))
    for start in (0, 1200):
        chunks.write(connection, list(chunks.encode(JOB, 0, points.part(start, start + 1200))))


_EVERYTHING = ("step", "time", "epoch")


def _read_all(connection: sqlite3.Connection) -> None:
    for chunk in chunks.chunks_of(connection, JOB, 0, 2400, *_NO_SUMMARIES):
        for axis in _EVERYTHING:
            assert chunk.shift(axis) is not None
            chunk.buckets(axis)
            chunk.placed(axis)


def test_what_was_written_is_read_again() -> None:
    points = points_of(_many(2400, 3))
    with database() as connection:
        _chunk(connection)
        assert chunks.end_of(connection, JOB, 0) == End(2400, int(points.steps[-1]), int(points.segments[-1]))
        for chunk in chunks.chunks_of(connection, JOB, 0, 2400, *_NO_SUMMARIES):
            own = points.part(chunk.first, chunk.first + 1200)
            for axis in _EVERYTHING:
                for field in ("at", "segments", "keys", "values"):
                    np.testing.assert_array_equal(
                        getattr(chunk.placed(axis), field), getattr(own.on(axis).in_order(), field), field
                    )


@pytest.mark.parametrize("column", [*chunks.Head._fields, "checksum", *chunks._BLOBS])
def test_damage_in_any_column_of_a_chunk_is_noticed(column: str) -> None:
    with database() as connection:
        _chunk(connection)
        _read_all(connection)
        query = f"SELECT rowid, {column} FROM chunks WHERE first = 1200"
        row, value = connection.execute(query).fetchone()
        if isinstance(value, bytes):
            damaged: list[Any] = [value[:-1], value[:-12], bytes([value[0] ^ 1]) + value[1:], b"", "text"]
        else:
            damaged = [(value or 0) + 1]
        for other in damaged:
            connection.execute(f"UPDATE chunks SET {column} = ? WHERE rowid = ?", (other, row))
            with pytest.raises(Unusable):
                _read_all(connection)
            connection.execute(f"UPDATE chunks SET {column} = ? WHERE rowid = ?", (value, row))
        _read_all(connection)


def test_a_missing_chunk_is_noticed() -> None:
    for first in (0, 1200):
        with database() as connection:
            _chunk(connection)
            connection.execute("DELETE FROM chunks WHERE first = ?", (first,))
            with pytest.raises(Unusable, match="missing"):
                _read_all(connection)


def test_names_and_flushes_come_back_as_they_were_written_or_not_at_all() -> None:
    names = ["loss", "\ud83d", "eval/\x00loss", "ü" * 200, ""]
    with database() as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogatepass")
        flushes.append_names(connection, JOB, 0, names[:2])
        flushes.append_names(connection, JOB, 2, names[2:])
        assert flushes.names_of(connection, JOB) == names
        marks = [flushes.NO_MARK, *(flushes.Mark(number, 100 * number, 10 * number, 9) for number in (1, 2, 3))]
        for before, mark in itertools.pairwise(marks):
            assert flushes.append_mark(connection, JOB, before, mark)
            assert flushes.last_mark(connection, JOB) == mark
            with pytest.raises(flushes.Moved):
                flushes.append_mark(connection, JOB, before, mark)
        assert not flushes.append_mark(connection, "job_unknown", flushes.NO_MARK, marks[1])
        assert [flushes.mark_before(connection, JOB, seq).number for seq in (0, 9, 10, 29, 30, 10**30)] == [
            *(0, 0, 1, 2, 3, 3)
        ]
        connection.execute("UPDATE flushes SET offset = offset + 1 WHERE number = 3")
        with pytest.raises(Unusable):
            flushes.last_mark(connection, JOB)
        connection.execute("UPDATE curves SET name = 'acc' WHERE number = 2")
        with pytest.raises(Unusable):
            flushes.names_of(connection, JOB)
        flushes.drop(connection, JOB)
        assert flushes.names_of(connection, JOB) == []
