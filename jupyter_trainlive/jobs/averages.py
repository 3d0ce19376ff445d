"""Averages: what smoothing left at the end of each chunk, so that a window need not begin at the beginning."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .points import Floats, Ints
from .smoothing import Carried, smooth

if TYPE_CHECKING:
    from .windows import Part

_AXES = ("step", "time", "epoch")
#: So many chunks' averages are kept for a job, of all curves and weights; each has about 4 KB.
_MOST_KEPT = 4096


@dataclass(frozen=True)
class _Left:
    """Of one chunk: the averages at some of its points, those that its summaries name, and at its end."""

    at: Ints
    averages: Floats
    end: Carried


class Averages:
    """The averages of one job's curves. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, float], list[_Left]] = OrderedDict()

    def at(self, curve: int, parts: Sequence[Part], weight: float, at: Ints) -> Floats:
        """The average of all points of a segment up to point number `at`; NaN where that is -1.

        `parts` are all parts of the curve with that number.
        """
        result = np.full(len(at), np.nan)
        owners = np.searchsorted([part.first for part in parts], at, side="right") - 1
        left = self._left(curve, weight)
        carried = Carried()
        for number, part in enumerate(parts[: int(owners.max(initial=-1)) + 1]):
            asked = np.flatnonzero(owners == number)
            known = number < len(left)
            if known and _look_up(left[number], at[asked], result, asked):
                carried = left[number].end
                continue
            averages, end = smooth(*part.values(), weight, carried)
            result[asked] = averages[at[asked] - part.first]
            if part.stored and not known:
                marks = _marks(part)
                left.append(_Left(marks, averages[marks - part.first], end))
            carried = end
        self._keep(curve, weight, left)
        return result

    def _left(self, curve: int, weight: float) -> list[_Left]:
        with self._lock:
            return list(self._kept.get((curve, weight), ()))

    def _keep(self, curve: int, weight: float, left: list[_Left]) -> None:
        with self._lock:
            if len(left) >= len(self._kept.get((curve, weight), ())):
                self._kept[curve, weight] = left
            self._kept.move_to_end((curve, weight))
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _MOST_KEPT:
                self._kept.popitem(last=False)


def _look_up(left: _Left, at: Ints, result: Floats, places: Ints) -> bool:
    """Put what is known of these points into their places; False where one is not known."""
    found = np.searchsorted(left.at, at)
    if len(at) and (found[-1] == len(left.at) or np.any(left.at[np.minimum(found, len(left.at) - 1)] != at)):
        return False
    result[places] = left.averages[found]
    return True


def _marks(part: Part) -> Ints:
    """The points that buckets of a part's summaries end with."""
    at = [part.buckets(axis)["at"] for axis in _AXES if part.shift(axis) is not None]
    marks = np.unique(np.concatenate([np.empty(0, np.int64), *at]))
    return marks[marks >= 0]
