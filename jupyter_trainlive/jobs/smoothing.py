"""Smoothing: TensorBoard's debiased exponential moving average, of any number of points, from where it was left."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .points import Floats, Ints

_BLOCK = 64
#: A power below this changes no 1 that it is subtracted from.
_NOTHING = 2.0**-54


@dataclass(frozen=True)
class Carried:
    """Where an average was left: after `count` finite points of a segment, before its debiasing."""

    sum: float = 0.0
    count: int = 0
    segment: int = 0


def smooth(values: Floats, segments: Ints, weight: float, carried: Carried) -> tuple[Floats, Carried]:
    """The average at each point, and where it was left; NaN at non-finite ones, which it passes over.

    s = w * s + (1 - w) * v, shown as s / (1 - w**count), begun anew in each segment; 0 < w < 1.
    """
    averages = np.full(len(values), np.nan)
    finite = np.isfinite(values)
    starts = [0, *(np.flatnonzero(np.diff(segments)) + 1).tolist()] if len(values) else []
    for start, end in zip(starts, [*starts[1:], len(values)], strict=False):
        segment = int(segments[start])
        if segment != carried.segment:
            carried = Carried(segment=segment)
        run = slice(start, end)
        taken = values[run] if finite[run].all() else values[run][finite[run]]
        if len(taken):
            sums = _recurrence((1 - weight) * taken, weight, carried.sum)
            left = Carried(float(sums[-1]), carried.count + len(taken), segment)
            _debias(sums, weight, carried.count)
            averages[run][finite[run]] = sums
            carried = left
    return averages, carried


def _debias(sums: Floats, weight: float, count: int) -> None:
    """Divide the sums after the first `count` of a segment by 1 - w**i."""
    early = max(0, min(len(sums), math.ceil(math.log(_NOTHING) / math.log(weight)) - count))
    sums[:early] /= 1 - np.power(weight, np.arange(count + 1, count + early + 1, dtype=np.float64))


def _recurrence(inputs: Floats, factor: float, before: float) -> Floats:
    """c[i] = factor * c[i - 1] + inputs[i], where c[-1] is `before`: a block at a time, then the blocks alike."""
    matrix, powers = _block(factor)
    if len(inputs) <= _BLOCK:
        size = len(inputs)
        result: Floats = inputs @ matrix[:size, :size] + before * powers[:size]
        return result
    # In products so small that BLAS leaves its threads alone: they would spin on the processors of the training.
    products = -(-len(inputs) // _BLOCK**2)
    padded = np.zeros(products * _BLOCK**2)
    padded[: len(inputs)] = inputs
    within: Floats = (padded.reshape(products, _BLOCK, _BLOCK) @ matrix).reshape(-1, _BLOCK)
    starts = np.concatenate(([before], _recurrence(within[:-1, -1], float(powers[-1]), before)))
    within += np.outer(starts, powers)
    return within.reshape(-1)[: len(inputs)]


@functools.lru_cache(maxsize=32)
def _block(factor: float) -> tuple[Floats, Floats]:
    """What input i adds to c[j] in a block, and what is left there of c before the block."""
    powers = factor ** np.arange(1, _BLOCK + 1, dtype=np.float64)
    distance = np.arange(_BLOCK)[None, :] - np.arange(_BLOCK)[:, None]
    matrix = np.where(distance >= 0, factor ** np.maximum(distance, 0).astype(np.float64), 0.0)
    return matrix, powers
