"""The shape of one series in a few values, for a list of jobs: it costs the same whatever the number of points."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: So many values at the most; a power of two.
MOST = 32


@dataclass(frozen=True)
class Spark:
    """Means of `width` points each, in the order in which they were logged; None where none of them is finite.

    When there are too many values, each two become one and the width doubles. Behind them come the points that do not
    fill a value yet: `n` of them, of which `finite` are finite and have the sum `total`.
    """

    values: tuple[float | None, ...] = ()
    width: int = 1
    n: int = 0
    finite: int = 0
    total: float = 0.0

    def extended(self, points: Iterable[float]) -> Spark:
        """The shape after more points."""
        values, width, n, finite, total = list(self.values), self.width, self.n, self.finite, self.total
        for point in points:
            n += 1
            if math.isfinite(point):
                finite += 1
                total += point
            if n < width:
                continue
            values.append(_mean(total, finite))
            n, finite, total = 0, 0, 0.0
            if len(values) == MOST:
                values = [_between(*values[at : at + 2]) for at in range(0, MOST, 2)]
                width *= 2
        return Spark(tuple(values), width, n, finite, total)

    @property
    def shown(self) -> list[float | None]:
        """The values to six digits, oldest first; what does not fill one yet is the last of them."""
        values = [*self.values, _mean(self.total, self.finite)] if self.n else self.values
        return [None if value is None else float(f"{value:.6g}") for value in values]


def _mean(total: float, finite: int) -> float | None:
    # Of numbers near the largest there are the sum may be infinite.
    return total / finite if finite and math.isfinite(total) else None


def _between(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one / 2 + other / 2
