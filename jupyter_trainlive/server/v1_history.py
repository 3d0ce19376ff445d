"""What lies behind a number in a job's training journal, read for one client that catches up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..jobs.tracker import Tracker
from ..protocol.journal import JournalReader, Record

#: Bytes of the journal that one frame of history is made from. It is made for one client, who may not read it.
_PIECE_BYTES = 32 << 10
#: How long to wait where it can't be read: a full disk, too few file descriptors.
_TRY_AGAIN_SECONDS = 1.0

_T = TypeVar("_T")


class History:
    """The records behind `seq`, and maybe some before; what can't be read now is tried again until it can."""

    def __init__(self, tracker: Tracker, seq: int) -> None:
        self._tracker = tracker
        self._seq = seq
        self._path = tracker.job_dir.training_journal
        self._reader: JournalReader | None = None
        self._before = (0, 0)

    async def read(self) -> tuple[list[Record], bool]:
        """The next records, and whether they were the last ones at that moment."""
        if self._reader is None:
            self._reader = await self._begun()
        reader = self._reader
        self._before = reader.position
        return await _persistently(lambda: reader.read(_PIECE_BYTES)), reader.at_end

    def again(self) -> None:
        """Have the next reading give what the last one gave."""
        if self._reader is not None:
            self._reader.offset, self._reader.seq = self._before

    async def size(self) -> int:
        """Bytes of the whole journal."""
        return await _persistently(lambda: _size(self._path))

    async def _begun(self) -> JournalReader:
        """As near to the number as the curves know a place; where they know none now, at the journal's beginning."""
        reader = JournalReader(self._path)
        with contextlib.suppress(OSError, ValueError):
            place = await self._tracker.curves.position_of(self._seq)
            await asyncio.to_thread(reader.go_on_from, *place)
        return reader


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _persistently(attempt: Callable[[], _T]) -> _T:
    while True:
        try:
            return await asyncio.to_thread(attempt)
        except OSError:
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
