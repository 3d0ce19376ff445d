"""All streams of a server: one per job and dialect while somebody watches, and the sampler held meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..jobs.gpu_share import reading
from ..jobs.tracker import Tracker
from ..protocol.states import Job
from ..system import Sample, Sampler
from . import v1_frames as frames
from .connections import Watcher
from .limits import Limits
from .plain import PlainStream
from .sockets import Socket
from .v1 import V1Stream
from .v1_session import V1Session


@dataclass
class _Streams:
    plain: PlainStream
    v1: V1Stream
    watchers: int = 0


class TooManyWatchers(Exception):
    """The server serves as many watchers as it may, or as many of this job."""


class Streams:
    """Connects watchers to the streams of their jobs."""

    def __init__(
        self, sampler: Sampler, occupied: Callable[[], Sequence[Job]], *, interval_seconds: float, limits: Limits
    ) -> None:
        self._sampler = sampler
        self._occupied = occupied
        self._interval = interval_seconds
        self._limits = limits
        self._jobs: dict[str, _Streams] = {}
        self._unsubscribe = sampler.subscribe(self._sampled)

    @property
    def count(self) -> int:
        """How many watch, all jobs together."""
        return sum(streams.watchers for streams in self._jobs.values())

    def watch_plain(self, tracker: Tracker, watcher: Watcher) -> Callable[[], None]:
        """Serve a client of the plain dialect until the returned function is called."""
        streams = self._open(tracker)
        streams.plain.connect(watcher)

        def leave() -> None:
            streams.plain.disconnect(watcher)
            self._close(tracker, streams)

        return leave

    def watch_v1(self, tracker: Tracker, socket: Socket) -> tuple[V1Session, Callable[[], None]]:
        """Serve a client of ``trainlive.v1`` until the returned function is called."""
        streams = self._open(tracker)
        session = V1Session(socket, streams.v1)
        streams.v1.connect(session)
        if self._sampler.latest is not None:
            session.send(frames.gauges(reading(self._sampler.latest, self._occupied())))

        def leave() -> None:
            session.close()
            streams.v1.disconnect(session)
            self._close(tracker, streams)

        return session, leave

    def check_room(self, tracker: Tracker) -> None:
        """Raise TooManyWatchers where no further one may connect to that job."""
        streams = self._jobs.get(tracker.job_dir.job_id)
        if streams is not None and streams.watchers >= (most := self._limits.max_watchers_per_job):
            raise TooManyWatchers(
                f"This job is streamed to {most:,} watchers already: close one of them, or raise "
                "TrainLive.max_watchers_per_job."
            )
        if self.count >= (most := self._limits.max_watchers):
            raise TooManyWatchers(
                f"This server streams to {most:,} watchers already: close one of them, or raise TrainLive.max_watchers."
            )

    def close(self) -> None:
        self._unsubscribe()

    def _open(self, tracker: Tracker) -> _Streams:
        job_id = tracker.job_dir.job_id
        streams = self._jobs.get(job_id)
        if streams is None:
            plain = PlainStream(tracker, self.utilization, self._interval)
            streams = self._jobs[job_id] = _Streams(plain, V1Stream(tracker, self._limits))
            self._sampler.acquire()
        streams.watchers += 1
        return streams

    def _close(self, tracker: Tracker, streams: _Streams) -> None:
        streams.watchers -= 1
        if not streams.watchers:
            del self._jobs[tracker.job_dir.job_id]
            self._sampler.release()

    def utilization(self, tracker: Tracker) -> float | None:
        """The utilization in percent of the busiest GPU of the job, or of all where it leased none."""
        sample, leased = self._sampler.latest, tracker.job.now.server.gpus
        gpus = sample.gpus if sample is not None else ()
        known = [gpu.utilization_percent for gpu in gpus if not leased or gpu.uuid in leased]
        return max((percent for percent in known if percent is not None), default=None)

    def _sampled(self, sample: Sample) -> None:
        if any(streams.v1.connections.count() for streams in self._jobs.values()):
            frame = frames.gauges(reading(sample, self._occupied()))
            for streams in self._jobs.values():
                streams.v1.gauges(frame)
