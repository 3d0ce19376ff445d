"""How a job's curves are now, as frames, and who is better shown them than all the points."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..jobs.curves import Curve, Window
from ..jobs.tracker import Tracker
from . import v1_frames as frames

#: A picture that is this old serves as well: what came since is read from the journal.
_KEPT_SECONDS = 1.0
#: Many widths at a time are rare, and each picture may be megabytes.
_MOST_KEPT = 4

#: A newcomer is shown a series that is longer than this, and than four points a pixel, as buckets.
_RAW_POINTS, _RAW_POINTS_A_PIXEL = 4_000, 4
#: So much of a journal is read for one, where the series it wants are short.
_RAW_BYTES = 16 << 20
#: Who is further behind than either of these is not sent all of it, but how the curves are now.
_BEHIND_POINTS, _BEHIND_BYTES = 20_000, 1 << 20

#: The series that are wanted, None for all there are, and in how many buckets each.
_Key = tuple[frozenset[str] | None, int]
#: The number of the last record in it, one frame for each series, and one that says that these were all.
Picture = tuple[int, list[str]]


def is_long(counts: Iterable[int], journal_bytes: int, px: int) -> bool:
    """Whether series of so many points are too much for a newcomer with a chart of that width."""
    return max(counts, default=0) > max(_RAW_POINTS, _RAW_POINTS_A_PIXEL * px) or journal_bytes > _RAW_BYTES


def is_far_behind(share: float, points: int, journal_bytes: int) -> bool:
    """Whether that share of the records, and so about of all points and bytes, is too much to catch up with."""
    return points * share > _BEHIND_POINTS or journal_bytes * share > _BEHIND_BYTES


class Snapshots:
    """The snapshots of one job's curves, each made once for all who come at about the same time."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._made: dict[_Key, asyncio.Task[Picture]] = {}

    async def get(self, wanted: frozenset[str] | None, most: int, since: int) -> Picture:
        """These series in at most so many buckets each, at one number, `since` or later. Raises OSError."""
        key = wanted, most
        while True:
            kept = self._made.get(key)
            made = self._begin(key) if kept is None else kept
            picture = await asyncio.shield(made)
            if kept is None or picture[0] >= since:
                return picture
            if self._made.get(key) is kept:
                del self._made[key]

    def _begin(self, key: _Key) -> asyncio.Task[Picture]:
        made = asyncio.get_running_loop().create_task(self._make(*key))
        if len(self._made) < _MOST_KEPT:
            self._made[key] = made
        made.add_done_callback(lambda done: self._ready(key, done))
        return made

    def _ready(self, key: _Key, made: asyncio.Task[Picture]) -> None:
        failed = made.cancelled() or made.exception() is not None
        if self._made.get(key) is made:
            asyncio.get_running_loop().call_later(0 if failed else _KEPT_SECONDS, self._made.pop, key, None)

    async def _make(self, wanted: frozenset[str] | None, most: int) -> Picture:
        window = Window(most=most)
        # Which series there are is asked of the curves: the tracker may not know of one that they have taken in.
        names = None if wanted is None else sorted(wanted)
        seq, curves = await self._tracker.curves.read(names, window)
        return seq, await asyncio.to_thread(_frames, seq, window.axis, curves)


def _frames(seq: int, axis: str, curves: dict[str, Curve]) -> list[str]:
    parts = [frames.window(None, seq, axis, {name: curve.buckets}) for name, curve in curves.items()]
    # Only with the last one the client has all of it, and may come back with its number.
    return [*parts, frames.window(None, seq, axis, {})]
