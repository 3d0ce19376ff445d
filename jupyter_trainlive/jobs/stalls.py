"""Noticing that a training has stopped stepping: no step for far longer than its steps take."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.states import Job, Status

#: The phases in which steps are expected; loading, evaluating and saving take as long as they take.
STEPPING = (None, "training")


@dataclass(frozen=True)
class StallRule:
    """A job stalls when no step comes for `factor` times as long as its steps take, and at least `least_seconds`."""

    factor: float
    least_seconds: float

    def limit_seconds(self, job: Job) -> float | None:
        """How long the job may be without a step now; None where no step is expected."""
        speed = job.step_seconds
        if job.status is not Status.RUNNING or job.now.training.phase not in STEPPING or speed is None:
            return None
        return max(self.least_seconds, self.factor * speed)


class StallWatch:
    """Watches one job; `look` is called now and then, with a clock that is never set back."""

    def __init__(self, rule: StallRule) -> None:
        self._rule = rule
        self._seen: tuple[int | None, str | None, int] | None = None
        self._since = 0.0
        self._told = False

    def look(self, job: Job, now: float) -> str | None:
        """What to tell of a stall that was not told of yet, in a sentence."""
        training = job.now.training
        seen = (training.step, training.phase, job.attempt)
        limit = self._rule.limit_seconds(job)
        if seen != self._seen or limit is None:
            self._seen, self._since, self._told = seen, now, False
            return None
        quiet = now - self._since
        if self._told or quiet < limit:
            return None
        self._told = True
        return (
            f"No step for {quiet:.0f} s after step {training.step}; a step took {job.step_seconds or 0:.2g} s before. "
            "Its output may say what it waits for."
        )
