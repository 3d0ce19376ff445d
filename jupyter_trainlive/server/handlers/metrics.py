"""A job's numbers: its curves as buckets, and every point as CSV."""

from __future__ import annotations

import asyncio
import math

from tornado import iostream

from ...jobs.curves import AXES, Window
from ...jobs.errors import InvalidRequest
from ...jobs.series import csv_chunks
from ...jobs.tracker import Tracker
from ...protocol.values import encode
from .base import ApiBase, allowed

_ARGUMENTS = ("names", "axis", "x0", "x1", "points", "smoothing")
_POINTS, _MOST_POINTS = 400, 5_000
_MOST_NAMES = 100
#: All series of one answer share so many buckets.
_MOST_BUCKETS = 50_000


class MetricsHandler(ApiBase):
    """``GET …/{id}/metrics?names=&x0=&x1=&points=&axis=&smoothing=``: curves in at most so many buckets
    each, or one for each time the steps went back."""

    _track_activity = False

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        for name in self.request.query_arguments:
            if name not in _ARGUMENTS:
                raise InvalidRequest(name[:80], f"is not a parameter here; those there are: {', '.join(_ARGUMENTS)}")
        names = list(dict.fromkeys(self._names())) or list(tracker.series)
        if len(names) > _MOST_NAMES:
            problem = f"must be given, {_MOST_NAMES} series at most: there are {len(names):,} to choose from"
            raise InvalidRequest("names", problem)
        for name in names:
            if name not in tracker.series:
                raise InvalidRequest("names", self._unknown(name, tracker))
        window = self._window(_MOST_BUCKETS // max(1, len(names)))
        seq, curves = await tracker.curves.read(names, window)
        series = {name: {"n": curve.n, "buckets": curve.buckets} for name, curve in curves.items()}
        self.set_header("Content-Type", "application/json")
        self.finish(await asyncio.to_thread(encode, {"axis": window.axis, "seq": seq, "series": series}))

    def _unknown(self, name: str, tracker: Tracker) -> str:
        some = ", ".join(repr(known) for known in list(tracker.series)[:5])
        problem = f"asks for {name[:80]!r}, which has no curve; there are {len(tracker.series):,}: {some or 'none'}"
        if len(tracker.series) > 5:
            problem += f" … (all of them under series of GET api/training/jobs/{tracker.job_dir.job_id})"
        if tracker.refused_series is not None:
            problem += ". The points of series beyond JobManager.max_series_per_job are in metrics.csv only"
        return problem

    def _names(self) -> list[str]:
        """As they are: names may hold commas, and spaces at either end."""
        try:
            return [raw.decode() for raw in self.request.query_arguments.get("names", [])]
        except UnicodeDecodeError:
            raise InvalidRequest("names", "must be UTF-8") from None

    def _window(self, most: int) -> Window:
        axis = self.get_query_argument("axis", AXES[0])
        if axis not in AXES:
            raise InvalidRequest("axis", f"must be one of: {', '.join(AXES)}")
        x0, x1 = self._number("x0"), self._number("x1")
        if x0 is not None and x1 is not None and x0 > x1:
            raise InvalidRequest("x1", "must not be less than x0")
        points = self.whole_argument("points", _POINTS)
        if not 1 <= points <= _MOST_POINTS:
            raise InvalidRequest("points", f"must be 1 to {_MOST_POINTS}: at most so many buckets for each series")
        smoothing = self._number("smoothing") or 0.0
        if not 0 <= smoothing < 1:
            raise InvalidRequest("smoothing", "must be a number from 0 to less than 1")
        return Window(axis, x0, x1, min(points, most), smoothing)

    def _number(self, name: str) -> float | None:
        text = self.get_query_argument(name, None)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InvalidRequest(name, "must be a finite number, or left out")
        return number


class MetricsCsvHandler(ApiBase):
    """``GET …/{id}/metrics.csv``: all points, streamed."""

    @allowed("read")
    async def get(self, job_id: str) -> None:
        tracker = await self.services.manager.get(job_id)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{job_id}-metrics.csv"')
        chunks = csv_chunks(tracker.job_dir)
        try:
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                self.write(chunk.encode(errors="replace"))
                await self.flush()
        except iostream.StreamClosedError:
            return
        self.finish()
