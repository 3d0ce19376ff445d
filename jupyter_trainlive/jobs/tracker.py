"""One job as the server sees it: its journals followed, folded, and told to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..protocol.facts import TrainingFacts
from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalReader, Record, append_shared
from ..protocol.messages import Place
from ..protocol.saved import FOLD_VERSION, restored, saved
from ..protocol.states import Job, Journal, fold, fold_all
from .curves import Curves
from .series import Columns, SeriesSummary, columns, summarise
from .snapshots import Snapshot

#: Where nobody says how many series a job may have.
MOST_SERIES = 1000
#: Chunks of the training journal read in a row before the loop looks at anything else.
_CHUNKS_AT_ONCE = 4
#: Records of the process or the server behind which the training writes nothing: they wait until all of it is read.
_LAST = frozenset(("exited", "lost"))


@dataclass(frozen=True)
class Change:
    """What one reading brought: the job before and after, the new records of the training and the points in them."""

    before: Job
    after: Job
    records: list[Record] = field(default_factory=list)
    points: Mapping[str, Columns] = field(default_factory=dict)


@dataclass(frozen=True)
class _News:
    """One chunk of the journal of the training: records, points in them, facts after them; was it all there was?"""

    records: list[Record]
    points: dict[str, Columns]
    training: TrainingFacts
    complete: bool


@dataclass(eq=False)
class Tracker:
    """Follows one job's journals. `ring` says that there is something new."""

    job_dir: JobDir
    job: Job
    series: dict[str, SeriesSummary] = field(default_factory=dict)
    listeners: set[Callable[[Change], None]] = field(default_factory=set)
    #: The job's place in the queue, while it waits there.
    place: Place | None = None
    #: Held by whoever decides by the job's state and acts on it.
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Whether something was folded since the last snapshot.
    unsaved: bool = True
    #: So many series are followed; the name of one that found no place.
    most_series: int = MOST_SERIES
    refused_series: str | None = None
    #: How many points were read since this tracker was made.
    points: int = 0
    #: The job's series at any length; the registry sees to it.
    curves: Curves = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._readers = {
            journal: JournalReader(path)
            for journal, path in (
                (Journal.SERVER, self.job_dir.server_journal),
                (Journal.PROCESS, self.job_dir.process_journal),
                (Journal.TRAINING, self.job_dir.training_journal),
            )
        }
        self._others: list[tuple[Journal, Record]] = []
        self._seq = 0
        self._folded = dict.fromkeys(Journal, (0, 0))
        self._lock = asyncio.Lock()
        self._rung = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def seq(self) -> int:
        """The number of the last training record that `job` contains; the reader, in its thread, may be ahead."""
        return self._seq

    def ring(self) -> None:
        self._rung.set()

    async def note(self, kind: str, **values: Any) -> None:
        """Write down what the server did, and know it at once. Raises OSError where it can't be written."""
        await asyncio.to_thread(lambda: append_shared(self.job_dir.server_journal, kind, **values))
        await self.catch_up()

    def put(self, place: Place | None) -> None:
        """Say where in the queue the job is."""
        if place != self.place:
            self.place = place
            self._tell(Change(self.job, self.job))

    def snapshot(self) -> Snapshot:
        """Facts, series and how far each journal was read, all of the same moment."""
        job = self.job
        self.unsaved = False
        return Snapshot(
            job_id=job.job_id,
            name=str(job.spec.get("name", "")),
            status=job.status.value,
            submitted_at=job.server.submitted_at,
            ended_at=job.ended_at,
            facts=saved(job),
            fold_version=FOLD_VERSION,
            series={name: (summary.count, summary.last) for name, summary in self.series.items()},
            offsets={journal.value: self._folded[journal] for journal in Journal},
        )

    async def refold(self) -> None:
        """Fold the journals anew from their beginning. Listeners hear of nothing that they heard before."""
        async with self._lock:
            fresh = Tracker(self.job_dir, Job(self.job.job_id, self.job.spec), most_series=self.most_series)
            missed: list[Record] = []
            fresh.listeners.add(
                lambda change: missed.extend(record for record in change.records if record["seq"] > self._seq)
            )
            while not await fresh.catch_up():
                pass
            before = self.job
            self.job, self.series, self._seq = fresh.job, fresh.series, fresh.seq
            self.refused_series = fresh.refused_series
            self._readers, self._folded, self._others, self.unsaved = fresh._readers, fresh._folded, [], True
            self._tell(Change(before, self.job, missed, columns(missed)))

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
            news = await asyncio.to_thread(self._read_all)
            over = any(record["kind"] in _LAST for _, record in self._others)
            for chunk in itertools.count(1):
                if not over:
                    # What was asked for is known at once, however much the training writes.
                    self._apply_others()
                self._apply(news)
                if news.complete or (chunk >= _CHUNKS_AT_ONCE and not over):
                    break
                news = await asyncio.to_thread(self._read_training)
            self._apply_others()
            return news.complete

    def _read_all(self) -> _News:
        # The process's journal is read first: what it ends with was written after the training's end.
        for journal in (Journal.PROCESS, Journal.SERVER):
            self._others.extend((journal, record) for record in self._readers[journal].read())
        return self._read_training()

    def _read_training(self) -> _News:
        """The next of the training's records, already folded: a chunk of them would hold up the loop."""
        reader = self._readers[Journal.TRAINING]
        records = reader.read()
        training = fold_all(self.job, Journal.TRAINING, records).training
        return _News(records, columns(records), training, reader.at_end)

    def _apply(self, news: _News) -> None:
        self._folded[Journal.TRAINING] = self._readers[Journal.TRAINING].position
        if not news.records:
            return
        self._seq = news.records[-1]["seq"]
        self.points += sum(len(column.value) for column in news.points.values())
        refused = summarise(self.series, news.points, self.most_series)
        self.refused_series = self.refused_series or refused
        self._become(replace(self.job, training=news.training), news.records, news.points)

    def _apply_others(self) -> None:
        others, self._others = self._others, []
        for journal in (Journal.PROCESS, Journal.SERVER):
            self._folded[journal] = self._readers[journal].position
        if others:
            job = self.job
            for journal, record in others:
                job = fold(job, journal, record)
            self._become(job, [], {})

    def _become(self, job: Job, records: list[Record], points: Mapping[str, Columns]) -> None:
        before, self.job, self.unsaved = self.job, job, True
        self._tell(Change(before, job, records, points))

    def _tell(self, change: Change) -> None:
        self._changed.set()
        for listener in list(self.listeners):
            listener(change)

    def go_on_from(self, snapshot: Snapshot) -> None:
        """Take over what was folded before; raises ValueError where it does not fit this job or this version."""
        if snapshot.fold_version != FOLD_VERSION:
            raise ValueError("folded by another version")
        job = restored(self.job.job_id, self.job.spec, snapshot.facts)
        for journal, reader in self._readers.items():
            reader.go_on_from(*snapshot.offsets[journal.value])
            self._folded[journal] = reader.position
        self.job = job
        self.series = {name: SeriesSummary(count, last) for name, (count, last) in snapshot.series.items()}
        self._seq = self._readers[Journal.TRAINING].seq
        self.unsaved = False


def load(job_dir: JobDir, spec: dict[str, Any], snapshot: Snapshot | None = None) -> Tracker:
    """A tracker that goes on from what was folded before, or else from the beginning. Reads no journal yet."""
    tracker = Tracker(job_dir, Job(job_dir.job_id, spec=spec))
    if snapshot is not None:
        try:
            tracker.go_on_from(snapshot)
        except (ValueError, KeyError):
            tracker = Tracker(job_dir, Job(job_dir.job_id, spec=spec))
    return tracker
