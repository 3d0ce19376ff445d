"""Points of one series as arrays: the segments they form, and where each lies on an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .series import Columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: The width of the finest bucket of an axis is 2 to this power, in steps, seconds or epochs.
FINEST = {"step": 0, "time": -20, "epoch": -20}
#: A step beyond this is unknown: JSON has it as a float, which no longer tells it from its neighbours.
LARGEST_STEP = 2**53
#: A time or an epoch beyond this is unknown: its key would not fit.
FARTHEST = 2.0**42
#: A series has at most so many segments; steps that go back in the last one begin no other. Two processes that log one
#: series by turns would make half as many segments as points, and no window could be told in few buckets.
MOST_SEGMENTS = 256


@dataclass(frozen=True)
class End:
    """The end of a series: how many points it has, and the step and the segment of the last; where it goes on."""

    count: int = 0
    step: int = 0
    segment: int = 0


@dataclass(frozen=True)
class Placed:
    """Points on one axis, those left out of which the place is unknown.

    Point number `at` of the series is in `segments`, has the value in `values`, and is in the finest bucket `keys`.
    """

    at: Ints
    segments: Ints
    keys: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.at)

    @property
    def extent(self) -> tuple[int, int] | None:
        """The finest buckets between which they lie; None where there are none."""
        return (int(self.keys.min()), int(self.keys.max())) if len(self) else None

    def take(self, which: Ints | Flags | slice) -> Placed:
        return Placed(self.at[which], self.segments[which], self.keys[which], self.values[which])

    def between(self, low: int, high: int) -> Placed:
        """Those with keys from `low` to `high`, of points that are in order."""
        if len(self) and self.segments[0] == self.segments[-1]:
            start, end = np.searchsorted(self.keys, low, "left"), np.searchsorted(self.keys, high, "right")
            return self.take(slice(start, end))
        return self.take((self.keys >= low) & (self.keys <= high))

    def in_order(self) -> Placed:
        """By segment and key; those that have both in common stay in their order."""
        if in_order(self.segments, self.keys):
            return self
        return self.take(np.lexsort((self.keys, self.segments)))


@dataclass(frozen=True)
class Points:
    """Points of one series, in order, the first being number `first` of it.

    Times are Unix seconds; epochs are NaN where unknown.
    """

    first: int
    segments: Ints
    steps: Ints
    times: Floats
    epochs: Floats
    values: Floats

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, end: int) -> Points:
        """Those from the `start`-th to before the `end`-th of them."""
        span = slice(start, end)
        return Points(
            self.first + start,
            self.segments[span],
            self.steps[span],
            self.times[span],
            self.epochs[span],
            self.values[span],
        )

    def on(self, axis: str) -> Placed:
        if axis == "step":
            return placed(self.first, self.segments, self.steps, None, self.values)
        keys, known = keys_of(self.times if axis == "time" else self.epochs)
        return placed(self.first, self.segments, keys, known, self.values)


def placed(first: int, segments: Ints, keys: Ints, known: Flags | None, values: Floats) -> Placed:
    """Points in a row, the first being number `first`; `known` says of which the key is, None of all."""
    row = Placed(np.arange(first, first + len(values), dtype=np.int64), segments, keys, values)
    return row if known is None else row.take(known)


def keys_of(places: Floats) -> tuple[Ints, Flags | None]:
    """The finest buckets that times or epochs are in, and which of these are known (None: all)."""
    known = np.abs(places) <= FARTHEST
    if known.all():
        return np.floor(places * 2.0 ** -FINEST["time"]).astype(np.int64), None
    return np.floor(np.where(known, places, 0.0) * 2.0 ** -FINEST["time"]).astype(np.int64), known


def in_order(segments: Ints, keys: Ints) -> bool:
    """Whether they go up by segment, then key."""
    step = np.diff(segments)
    return not bool(np.any((step < 0) | ((step == 0) & (keys[1:] < keys[:-1]))))


def segments_of(steps: Ints, first: int) -> Ints:
    """The segment of each point, where the first of them has segment `first`."""
    segments = np.full(len(steps), first, dtype=np.int64)
    segments[1:] += np.cumsum(steps[1:] < steps[:-1])
    return np.minimum(segments, MOST_SEGMENTS - 1)


class Tail:
    """The newest points of a series, to which others are added. What was viewed before stays as it was."""

    def __init__(self, end: End) -> None:
        self.end = end
        self._first = end.count
        self._room = _room(end.count, 16)

    def __len__(self) -> int:
        return self.end.count - self._first

    def add(self, new: Columns) -> None:
        """Go on with these points; one without a step has that of the one before, and 0 where there is none."""
        steps = _steps(new.step, self.end.step)
        back = self.end.count > 0 and int(steps[0]) < self.end.step
        segments = segments_of(steps, min(self.end.segment + back, MOST_SEGMENTS - 1))
        old, size = len(self), len(self) + len(steps)
        if size > len(self._room):
            grown = _room(self._first, 2 * size)
            _fill(grown, 0, self.view())
            self._room = grown
        # The epoch None becomes NaN.
        times, epochs, values = (np.array(column, np.float64) for column in (new.time, new.epoch, new.value))
        _fill(self._room, old, Points(self._first + old, segments, steps, times, epochs, values))
        self.end = End(self._first + size, int(steps[-1]), int(segments[-1]))

    def view(self) -> Points:
        """All of them."""
        return self._room.part(0, len(self))


def _room(first: int, size: int) -> Points:
    return Points(
        first, np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size), np.empty(size), np.empty(size)
    )


def _fill(room: Points, start: int, points: Points) -> None:
    end = start + len(points)
    room.segments[start:end], room.steps[start:end] = points.segments, points.steps
    room.times[start:end], room.epochs[start:end], room.values[start:end] = points.times, points.epochs, points.values


def _steps(given: list[int | None], last: int) -> Ints:
    try:
        steps = np.array(given, dtype=np.int64)
        if np.abs(steps).max() <= LARGEST_STEP:
            return steps
    except (TypeError, OverflowError):
        # Some are unknown, or beyond all bounds.
        pass
    filled = []
    for step in given:
        if step is not None and abs(step) <= LARGEST_STEP:
            last = step
        filled.append(last)
    return np.array(filled, dtype=np.int64)
