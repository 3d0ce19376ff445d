"""Buckets: what points of a series say of each stretch of an axis, at any width that is a power of two.

Bucket `key` of level L is [key * 2**L, (key + 1) * 2**L). Two of level L make one of level L + 1, so that finer ones
can be merged into coarser ones without a look at the points, and a bucket never moves when points are added behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .points import FINEST, Floats, Ints, Placed, in_order

#: One bucket of one segment. `min`, `max` and `last` are over finite values: infinity, minus infinity and NaN where
#: there are none. `at` is the number of the last finite point in its series, -1 where there is none. `n` counts
#: all points, `nan` and `inf` (of either sign) those of them that are not finite.
BUCKET = np.dtype(
    [
        *(("segment", "<i8"), ("key", "<i8"), ("min", "<f8"), ("max", "<f8"), ("last", "<f8")),
        *(("at", "<i8"), ("n", "<i8"), ("nan", "<i8"), ("inf", "<i8")),
    ]
)
Buckets = npt.NDArray[np.void]

#: So many levels above the finest nothing is left to merge: keys have 64 bits.
LEVELS = 63
_NONE = np.empty(0, BUCKET)


def top(axis: str) -> int:
    """The coarsest level."""
    return FINEST[axis] + LEVELS


def of_points(points: Placed, shift: int) -> Buckets:
    """The buckets of points that are in order, `shift` levels above the finest, by segment and key."""
    if not len(points):
        return _NONE
    values, keys = points.values, points.keys >> shift
    starts = _starts(points.segments, keys)
    buckets = np.zeros(len(starts), BUCKET)
    buckets["segment"], buckets["key"] = points.segments[starts], keys[starts]
    buckets["n"] = np.diff(starts, append=len(values))
    finite = np.isfinite(values)
    if finite.all():
        buckets["min"], buckets["max"] = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        _set_last(buckets, starts, points.at, values)
        return buckets
    nan = np.isnan(values)
    buckets["min"] = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
    buckets["max"] = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    buckets["nan"] = np.add.reduceat(nan, starts, dtype=np.int64)
    buckets["inf"] = np.add.reduceat(~finite & ~nan, starts, dtype=np.int64)
    _set_last(buckets, starts, np.where(finite, points.at, -1), values)
    return buckets


def merged(parts: Sequence[Buckets], shifts: Sequence[int]) -> Buckets:
    """One level's buckets out of finer ones: those of part i are `shifts[i]` levels below it."""
    # Not numpy's concatenate, which compares the fields of each two of them.
    together = np.frombuffer(bytearray().join([part.data for part in parts]), BUCKET)
    if not len(together):
        return _NONE
    together["key"] >>= np.repeat(np.asarray(shifts, np.int64), [len(part) for part in parts])
    if not in_order(together["segment"], together["key"]):
        together = together[np.lexsort((together["key"], together["segment"]))]
    starts = _starts(together["segment"], together["key"])
    buckets = np.empty(len(starts), BUCKET)
    for same in ("segment", "key"):
        buckets[same] = together[same][starts]
    buckets["min"] = np.minimum.reduceat(together["min"], starts)
    buckets["max"] = np.maximum.reduceat(together["max"], starts)
    for count in ("n", "nan", "inf"):
        buckets[count] = np.add.reduceat(together[count], starts)
    _set_last(buckets, starts, together["at"], together["last"])
    return buckets


def _set_last(buckets: Buckets, starts: npt.NDArray[np.intp], at: Ints, values: Floats) -> None:
    """Which of the values that each bucket begins with at `starts` is the latest; -1 in `at` are none."""
    ends = np.append(starts[1:], len(at)) - 1
    latest = np.maximum.reduceat(at, starts)
    if not np.array_equal(latest, at[ends]):
        # Some are none, or were in several finer buckets between which the clock went back.
        places = np.flatnonzero(at == np.repeat(latest, ends - starts + 1))
        # None at all leaves several such places; which of them doesn't matter.
        ends = places[np.searchsorted(places, starts)]
    buckets["at"] = latest
    buckets["last"] = np.where(latest >= 0, values[ends], np.nan)


def fewest_levels(segments: Ints, keys: Ints, most: int) -> int:
    """How many levels above that of the keys there are at most `most` buckets, or as few as there can be.

    The keys are in order. Neither segments nor what lies below and above 0 ever come together.
    """
    # Two neighbours are in one bucket as soon as their keys differ in no bit that is left.
    apart = _bit_length(keys[1:] ^ keys[:-1])
    apart[segments[1:] != segments[:-1]] = LEVELS + 1
    # At level i a bucket begins with the first key, and wherever two are apart above it.
    pairs = np.cumsum(np.bincount(apart, minlength=LEVELS + 2)[::-1])[::-1]
    few = np.flatnonzero(pairs[1 : LEVELS + 2] < max(most, pairs[LEVELS + 1] + 1))
    return int(few[0])


def _bit_length(numbers: Ints) -> npt.NDArray[np.intp]:
    """The number of bits of each; LEVELS + 1 for a negative one."""
    bits = np.frexp(numbers.astype(np.float64))[1]
    if numbers.max(initial=0) >= 2**53:
        # As a float it may have been rounded up to the next power of two.
        high = numbers >> 32
        bits = np.where(high > 0, np.frexp(high.astype(np.float64))[1] + 32, bits)
    return np.where(numbers < 0, LEVELS + 1, bits).astype(np.intp)


def _starts(segments: Ints, keys: Ints) -> npt.NDArray[np.intp]:
    """Where a bucket begins, in arrays that are in order and not empty."""
    new = (keys[1:] != keys[:-1]) | (segments[1:] != segments[:-1])
    return np.concatenate(([0], np.flatnonzero(new) + 1))
