"""One job as the server sees it: its journals followed, folded, and told to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalReader, Record
from ..protocol.states import Job, Journal, fold
from .series import SeriesSummary, summarise

#: Chunks of the training journal read in a row before the loop looks at anything else.
_CHUNKS_AT_ONCE = 8


@dataclass(frozen=True)
class Change:
    """What one reading brought: the job before and after, and the new records of the training."""

    before: Job
    after: Job
    records: list[Record]


@dataclass(eq=False)
class Tracker:
    """Follows one job's journals. `ring` says that there is something new."""

    job_dir: JobDir
    job: Job
    series: dict[str, SeriesSummary] = field(default_factory=dict)
    listeners: set[Callable[[Change], None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._readers = {
            Journal.SERVER: JournalReader(self.job_dir.server_journal),
            Journal.PROCESS: JournalReader(self.job_dir.process_journal),
            Journal.TRAINING: JournalReader(self.job_dir.training_journal),
        }
        self._ends: list[tuple[Journal, Record]] = []
        self._seq = 0
        self._lock = asyncio.Lock()
        self._rung = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def seq(self) -> int:
        """The number of the last training record that `job` contains; the reader, in its thread, may be ahead."""
        return self._seq

    def ring(self) -> None:
        self._rung.set()

    async def rung(self, timeout_seconds: float) -> None:
        """Wait until the doorbell rings, or for that long."""
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout_seconds)
        self._rung.clear()

    async def until(self, condition: Callable[[Job], bool], timeout_seconds: float) -> bool:
        """Wait until `condition` holds of the job; whether it does when that long has passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while not condition(self.job):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - loop.time())
            except (TimeoutError, asyncio.TimeoutError):
                return condition(self.job)
        return True

    async def catch_up(self) -> bool:
        """Read what is new in the journals; False where more of it is waiting.

        Raises OSError where one can't be read; what the others had is kept for the next time.
        """
        async with self._lock:
            # The process's journal is read first: what it ends with was written after the training's end.
            for journal in (Journal.PROCESS, Journal.SERVER):
                records = await asyncio.to_thread(self._readers[journal].read)
                self._ends.extend((journal, record) for record in records)
            for _ in range(_CHUNKS_AT_ONCE):
                records = await asyncio.to_thread(self._readers[Journal.TRAINING].read)
                if not records:
                    self._apply_ends()
                    return True
                self._apply(records, [])
            while self._ends and (records := await asyncio.to_thread(self._readers[Journal.TRAINING].read)):
                self._apply(records, [])
            self._apply_ends()
            return False

    def _apply_ends(self) -> None:
        ends, self._ends = self._ends, []
        self._apply([], ends)

    def _apply(self, records: list[Record], others: list[tuple[Journal, Record]]) -> None:
        if not records and not others:
            return
        before = job = self.job
        for record in records:
            job = fold(job, Journal.TRAINING, record)
        for journal, record in others:
            job = fold(job, journal, record)
        self.job = job
        if records:
            self._seq = records[-1]["seq"]
        summarise(self.series, records)
        self._changed.set()
        change = Change(before, job, records)
        for listener in list(self.listeners):
            listener(change)


def load(job_dir: JobDir, spec: dict[str, Any]) -> Tracker:
    """A tracker that has read nothing yet."""
    return Tracker(job_dir, Job(job_dir.job_id, spec=spec))
