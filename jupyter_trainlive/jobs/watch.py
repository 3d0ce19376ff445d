"""What the server watches a running job for: its steps, and the GPUs that it has."""

from __future__ import annotations

from collections.abc import Iterator

from ..protocol.states import Job
from ..protocol.watching import limits_of, thresholds
from ..system import Sample
from .gpu_watch import IdleRule, IdleWatch, MemoryRule, MemoryWatch, gpus_of
from .stalls import StallRule, StallWatch


class JobWatch:
    """Watches one job by the thresholds of its spec; `stalls` holds where that says nothing of stalls."""

    def __init__(self, job: Job, stalls: StallRule) -> None:
        every = thresholds(
            job.spec.get("alerts"), {"stall_factor": stalls.factor, "stall_seconds": stalls.least_seconds}
        )
        stalled, idle, memory = (limits_of(alert, every) for alert in ("stalled", "gpu_idle", "gpu_memory"))
        self._stalls = None if stalled is None else StallWatch(StallRule(*stalled))
        self._idle = None if idle is None else IdleWatch(IdleRule(*idle))
        self._memory = None if memory is None else MemoryWatch(MemoryRule(*memory))
        self._sampled_at: float | None = None

    def look(self, job: Job, sample: Sample | None, now: float) -> Iterator[tuple[str, str]]:
        """Names and sentences of what is to be told; called about once a second, with a clock that is never set back.

        `sample` is the latest reading of the machine, which may be the same as before.
        """
        if self._stalls is not None and (sentence := self._stalls.look(job, now)):
            yield "stalled", sentence
        if sample is None or sample.time == self._sampled_at:
            return
        self._sampled_at = sample.time
        gpus = gpus_of(job, sample.gpus)
        if gpus and self._idle is not None and (sentence := self._idle.look(job, gpus, now)):
            yield "gpu_idle", sentence
        if gpus and self._memory is not None and (sentence := self._memory.look(job, gpus, now)):
            yield "gpu_memory", sentence
