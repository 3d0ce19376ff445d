"""Curves as plain Python works them out, one point after the other: what the real ones must equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jupyter_trainlive.jobs.curves import Curve, Window
from jupyter_trainlive.jobs.series import Columns

FINEST = {"step": 0, "time": -20, "epoch": -20}


class Logged(NamedTuple):
    """One point as it was logged."""

    step: int | None
    time: float
    epoch: float | None
    value: float


class _Point(NamedTuple):
    segment: int
    step: int
    time: float
    epoch: float | None
    value: float
    average: float | None


def columns_of(points: Sequence[Logged]) -> Columns:
    columns = Columns()
    for point in points:
        columns.step.append(point.step)
        columns.time.append(point.time)
        columns.epoch.append(point.epoch)
        columns.value.append(point.value)
    return columns


def plain_curve(logged: Sequence[Logged], window: Window, most_segments: int = 256) -> Curve:
    """That window of a curve of these points."""
    points = [
        (point, math.floor(x * 2.0 ** -FINEST[window.axis]))
        for point in _in_segments(logged, window.smoothing, most_segments)
        if (x := getattr(point, window.axis)) is not None and (window.axis == "step" or abs(x) <= 2**42)
    ]
    for shift in range(64):
        width = 2.0 ** (FINEST[window.axis] + shift)
        found: dict[tuple[int, int], list[_Point]] = {}
        for point, key in points:
            found.setdefault((point.segment, key >> shift), []).append(point)
        # Steps are whole, so that a bucket's last one is one below its end.
        gap = 1 if window.axis == "step" else 0
        found = {
            (segment, key): inside
            for (segment, key), inside in found.items()
            if (window.x1 is None or key * width <= window.x1)
            and (window.x0 is None or ((key + 1) * width - gap >= window.x0 if gap else (key + 1) * width > window.x0))
        }
        # Neither segments nor what lies below and above 0 ever come together.
        if len(found) <= max(window.most, len({(segment, key < 0) for segment, key in found})):
            break
    return Curve(
        sum(_within(key, window) for _, key in points),
        [_bucket(segment, key, shift, found[segment, key], window) for segment, key in sorted(found)],
    )


def _within(key: int, window: Window) -> bool:
    """Whether the finest bucket overlaps the window."""
    width = 2.0 ** FINEST[window.axis]
    if window.x1 is not None and key * width > window.x1:
        return False
    if window.x0 is None:
        return True
    return key >= window.x0 if window.axis == "step" else (key + 1) * width > window.x0


def _in_segments(logged: Sequence[Logged], weight: float, most_segments: int) -> list[_Point]:
    points = list[_Point]()
    segment = step = count = 0
    total, average = 0.0, None
    for number, point in enumerate(logged):
        new = point.step if point.step is not None and abs(point.step) <= 2**53 else step
        if number and new < step and segment + 1 < most_segments:
            segment, count, total, average = segment + 1, 0, 0.0, None
        step = new
        if math.isfinite(point.value):
            total, count = weight * total + (1 - weight) * point.value, count + 1
            average = total / (1 - weight**count)
        points.append(_Point(segment, step, point.time, point.epoch, point.value, average))
    return points


def _bucket(segment: int, key: int, shift: int, points: list[_Point], window: Window) -> dict[str, Any]:
    finite = [point for point in points if math.isfinite(point.value)]
    level = FINEST[window.axis] + shift
    bucket = {
        "x0": key << shift if window.axis == "step" else math.ldexp(key, level),
        "x1": (key + 1) << shift if window.axis == "step" else math.ldexp(key + 1, level),
        "min": min((point.value for point in finite), default=None),
        "max": max((point.value for point in finite), default=None),
        "last": finite[-1].value if finite else None,
        "n": len(points),
        "nan": sum(math.isnan(point.value) for point in points),
        "inf": sum(math.isinf(point.value) for point in points),
    }
    if segment:
        bucket["segment"] = segment
    if window.smoothing:
        bucket["smoothed"] = finite[-1].average if finite else None
    return bucket


def assert_same(got: Curve, wanted: Curve) -> None:
    """Exactly the same, but for the rounding of averages."""

    def without_average(curve: Curve) -> list[dict[str, Any]]:
        return [{key: value for key, value in bucket.items() if key != "smoothed"} for bucket in curve.buckets]

    assert got.n == wanted.n
    assert without_average(got) == without_average(wanted)
    for mine, theirs in zip(got.buckets, wanted.buckets, strict=True):
        assert ("smoothed" in mine) == ("smoothed" in theirs)
        one, other = mine.get("smoothed"), theirs.get("smoothed")
        assert (one is None) == (other is None)
        assert one is None or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
