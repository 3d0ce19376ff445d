"""A window of a curve: as many buckets as asked for, of all the points there, whatever their number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .averages import Averages
from .buckets import LEVELS, Buckets, fewest_levels, merged, of_points
from .curves import Curve, Window
from .points import FINEST, Floats, Ints, Placed, Points, in_order

#: Keys are of 64 bits.
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class Part(Protocol):
    """Some points of a curve in a row, as `chunks.Chunk` has them; the parts of a curve follow upon each other."""

    @property
    def stored(self) -> bool: ...

    @property
    def first(self) -> int: ...

    @property
    def summary_size(self) -> int: ...

    def extent(self, axis: str) -> tuple[int, int] | None: ...

    def shift(self, axis: str) -> int | None: ...

    def buckets(self, axis: str) -> Buckets: ...

    def values(self) -> tuple[Floats, Ints]: ...

    def placed(self, axis: str) -> Placed: ...


class Pending:
    """Points that are in no chunk yet, as a part of their curve."""

    stored = False
    summary_size = 0

    def __init__(self, points: Points) -> None:
        self._points = points
        self._placed = dict[str, Placed]()
        self.first = points.first

    def extent(self, axis: str) -> tuple[int, int] | None:
        return self.placed(axis).extent

    def shift(self, axis: str) -> int | None:
        return None

    def buckets(self, axis: str) -> Buckets:
        raise NotImplementedError("there is no summary")

    def values(self) -> tuple[Floats, Ints]:
        return self._points.values, self._points.segments

    def placed(self, axis: str) -> Placed:
        if axis not in self._placed:
            self._placed[axis] = self._points.on(axis).in_order()
        return self._placed[axis]


@dataclass(frozen=True)
class _Piece:
    """What a part has in the window, in buckets so many levels above the finest; `whole` where that is all it has.

    Finer ones can be had only where it is the summary of the part.
    """

    part: Part
    shift: int
    buckets: Buckets
    summary: bool
    whole: bool


@dataclass(frozen=True)
class _Look:
    """What is in the window: `n` points, in at most `most` buckets from `shift` levels above the finest on.

    `inside` are the parts that the window holds as a whole, by the number of their first point.
    """

    n: int
    shift: int
    inside: dict[int, _Piece]


def read(parts: Sequence[Part], window: Window, curve: int, averages: Averages) -> Curve:
    """The window of a curve that has these parts, and that number among its job's.

    The level is the finest at which at most `window.most` buckets result; only where there are more segments than
    that in the window, more of them do. Buckets that reach out of the window hold what lies there as well.
    """
    low, high = keys(window)
    look = _look(parts, window, low, high)
    shift = look.shift
    while True:
        buckets = _at_level(parts, window.axis, low >> shift, high >> shift, shift, look)
        # Those at the edges may hold no point of the window.
        # Neither segments nor what lies below and above 0 ever come together.
        apart = len(np.unique(2 * buckets["segment"] + (buckets["key"] < 0)))
        if len(buckets) <= max(window.most, apart) or shift == LEVELS:
            break
        shift += 1
    smoothed = averages.at(curve, parts, window.smoothing, buckets["at"]) if window.smoothing else None
    return Curve(look.n, _as_json(buckets, window.axis, shift, smoothed))


def keys(window: Window) -> tuple[int, int]:
    """The finest buckets that the window begins and ends in."""
    # Steps are whole, so that one that the window begins behind is not in it.
    first = math.ceil if window.axis == "step" else math.floor
    return (
        _LOWEST if window.x0 is None else first(_scaled(window.axis, window.x0)),
        _HIGHEST if window.x1 is None else min(math.floor(_scaled(window.axis, window.x1)), _HIGHEST),
    )


def _scaled(axis: str, x: float) -> float:
    # A window may begin or end at infinity.
    near = float(max(_LOWEST, min(_HIGHEST, x)))
    return max(_LOWEST, min(_HIGHEST, math.ldexp(near, -FINEST[axis])))


def _look(parts: Sequence[Part], window: Window, low: int, high: int) -> _Look:
    """What is in the window, and how fine its buckets may be.

    Points are looked at only where summaries do not tell: in parts that the window cuts, and where finer buckets
    than those of the summary may be few enough; then there are few such parts.
    """
    axis, most = window.axis, window.most
    pieces = list[_Piece]()
    for part in parts:
        extent = part.extent(axis)
        if extent is not None and extent[0] <= high and extent[1] >= low:
            shift, whole = part.shift(axis), low <= extent[0] and extent[1] <= high
            if shift is not None and whole:
                pieces.append(_Piece(part, shift, part.buckets(axis), True, True))
            else:
                pieces.append(_from_points(part, axis, low, high, most, whole))
    while True:
        base = max((piece.shift for piece in pieces), default=0)
        levels = _levels_above(pieces, base, most)
        coarse = [piece.part for piece in pieces if piece.summary and piece.shift == base]
        if not base or levels or not coarse or _too_many_below(coarse, axis, most):
            break
        pieces = [
            _from_points(piece.part, axis, low, high, most, True) if piece.part in coarse else piece for piece in pieces
        ]
    n = sum(int(piece.buckets["n"].sum()) for piece in pieces)
    return _Look(n, min(base + levels, LEVELS), {piece.part.first: piece for piece in pieces if piece.whole})


def _levels_above(pieces: Sequence[_Piece], base: int, most: int) -> int:
    """How many levels above `base` the pieces make at most `most` buckets."""
    if not pieces:
        return 0
    keys = np.concatenate([piece.buckets["key"] >> (base - piece.shift) for piece in pieces])
    segments = np.concatenate([piece.buckets["segment"] for piece in pieces])
    if not in_order(segments, keys):
        order = np.lexsort((keys, segments))
        segments, keys = segments[order], keys[order]
    return fewest_levels(segments, keys, most)


def _too_many_below(parts: Sequence[Part], axis: str, most: int) -> bool:
    """Whether parts with summaries of one level surely make more buckets than `most` one level below."""
    extents = [part.extent(axis) or (0, 0) for part in parts]
    # There each has more than a summary may have, of which it shares at most one with the next.
    in_a_row = all(one[1] <= other[0] for one, other in itertools.pairwise(extents))
    return in_a_row and sum(part.summary_size for part in parts) >= most


def _from_points(part: Part, axis: str, low: int, high: int, most: int, whole: bool) -> _Piece:
    """At a finer level these points alone would make more buckets than `most`."""
    points = part.placed(axis).between(low, high)
    shift = fewest_levels(points.segments, points.keys, most)
    return _Piece(part, shift, of_points(points, shift), False, whole)


def _at_level(parts: Sequence[Part], axis: str, first: int, last: int, shift: int, look: _Look) -> Buckets:
    """The buckets `first` to `last` of one level."""
    low, high = max(first << shift, _LOWEST), min(((last + 1) << shift) - 1, _HIGHEST)
    found, shifts = list[Buckets](), list[int]()
    for part in parts:
        extent, summary, piece = part.extent(axis), part.shift(axis), look.inside.get(part.first)
        if extent is None or extent[0] > high or extent[1] < low:
            continue
        if piece is not None:
            found.append(piece.buckets)
            shifts.append(shift - piece.shift)
        elif summary is not None and summary <= shift:
            found.append(part.buckets(axis))
            shifts.append(shift - summary)
        else:
            found.append(of_points(part.placed(axis).between(low, high), shift))
            shifts.append(0)
    buckets = merged(found, shifts)
    return buckets[(buckets["key"] >= first) & (buckets["key"] <= last)]


def _as_json(buckets: Buckets, axis: str, shift: int, smoothed: Floats | None) -> list[dict[str, Any]]:
    level = FINEST[axis] + shift
    result = list[dict[str, Any]]()
    for segment, key, low, high, last, at, n, nan, inf in buckets.tolist():
        bucket = {
            "x0": key << shift if axis == "step" else math.ldexp(key, level),
            "x1": (key + 1) << shift if axis == "step" else math.ldexp(key + 1, level),
            "min": low if at >= 0 else None,
            "max": high if at >= 0 else None,
            "last": last if at >= 0 else None,
            "n": n,
            "nan": nan,
            "inf": inf,
        }
        if segment:
            bucket["segment"] = segment
        result.append(bucket)
    if smoothed is not None:
        for bucket, average in zip(result, smoothed.tolist(), strict=True):
            bucket["smoothed"] = average if math.isfinite(average) else None
    return result
