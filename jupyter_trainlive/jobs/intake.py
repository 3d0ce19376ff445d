"""How much of a job's numbers is taken in: so many points a second, and so many series."""

from __future__ import annotations

from dataclasses import dataclass

#: A job is told of its haste once it has been held back for so long.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class IntakeLimits:
    """What one job may bring; what is beyond waits in its journal, or stays there."""

    points_per_second: int
    series: int

    def too_many_points(self) -> str:
        """What to tell of a job that logs faster than that."""
        return (
            f"This job logs more than {self.points_per_second:,} points a second; its curves come later, and nothing "
            "is lost. Log less often, or raise JobManager.max_points_per_second."
        )

    def too_many_series(self, name: str) -> str:
        """What to tell of a job that logs under more names than that; `name` is one that found no place."""
        return (
            f"This job logs more than {self.series:,} series: {name!r} has no curve, but all its points are in "
            "metrics.csv. Log under fewer names, or raise JobManager.max_series_per_job."
        )


class Pace:
    """Holds one job's intake to a number of points a second, reckoned over one second."""

    def __init__(self, points_per_second: int) -> None:
        self._rate = points_per_second
        self._credit = float(points_per_second)
        self._at: float | None = None
        self._since: float | None = None

    def took(self, points: int, now: float) -> float:
        """Seconds to wait before more is taken in, after so many points; `now` is a clock that is never set back."""
        if self._at is not None:
            self._credit = min(self._rate, self._credit + (now - self._at) * self._rate)
        self._at = now
        self._credit -= points
        if self._credit >= 0:
            self._since = None
            return 0.0
        self._since = now if self._since is None else self._since
        return -self._credit / self._rate

    def hasty(self, now: float) -> bool:
        """Whether the job has been held back for longer than a burst lasts."""
        return self._since is not None and now - self._since >= _PATIENCE_SECONDS
