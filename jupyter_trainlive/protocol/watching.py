"""What a job is watched for, and its thresholds: one table, checked where a job is submitted and read by who watches.

Each alert is a record with a name, the step and a sentence; none of them stops a job. What is uncertain stays unsaid by
default. Failures are told whatever the thresholds: a loss that is no number, a checkpoint that can't be written.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """One threshold of one alert: what it means, its default, and what it may be."""

    alert: str
    default: float
    least: float
    most: float
    meaning: str
    whole: bool = False

    @property
    def form(self) -> str:
        """What it may be, in words."""
        return f"a {'whole ' if self.whole else ''}number from {self.least:.10g} to {self.most:.10g}"


#: By their names. Those of `stalled` have the server's own defaults, JobManager.stall_factor and stall_seconds.
THRESHOLDS: Mapping[str, Threshold] = {
    "loss_spike_factor": Threshold(
        *("loss_spike", 3.0, 0.1, 1000.0),
        "The loss is above its recent level by so many times as much as it jumps from one log to the next.",
    ),
    "loss_spike_patience": Threshold(
        *("loss_spike", 3, 1, 1000),
        "So many logs in a row, or one that is three times as far above.",
        whole=True,
    ),
    "eval_patience": Threshold(
        *("overfitting", 3, 1, 1000),
        "So many evaluations in a row with a rising loss, while the training loss falls.",
        whole=True,
    ),
    "stall_factor": Threshold(
        *("stalled", 20.0, 0.0, 1e6),
        "No step for so many times as long as its steps take.",
    ),
    "stall_seconds": Threshold(
        *("stalled", 60.0, 1.0, 1e7),
        "And no step for at least so many seconds.",
    ),
    "gpu_idle_percent": Threshold(
        *("gpu_idle", 25.0, 0.0, 100.0),
        "The busiest of its GPUs is busy for less than so much of the time, while steps are done.",
    ),
    "gpu_idle_seconds": Threshold(
        *("gpu_idle", 120.0, 1.0, 1e7),
        "For so many seconds of training.",
    ),
    "gpu_memory_percent": Threshold(
        *("gpu_memory", 97.0, 1.0, 100.0),
        "So much of the memory of one of its GPUs is used, by whomever.",
    ),
    "gpu_memory_seconds": Threshold(
        *("gpu_memory", 30.0, 0.0, 1e7),
        "For so many seconds.",
    ),
}

#: Thresholds by name, None where the alert is off.
Thresholds = dict[str, "float | None"]


def checked_thresholds(value: object) -> Thresholds:
    """The thresholds that a job sets itself, checked; {} where it sets none.

    `value` is an object of thresholds by name, each a number, or null or false to turn its alert off; false turns all
    of them off; null and true change nothing. Raises ValueError, which names the threshold and the remedy.
    """
    if value is None or value is True:
        return {}
    if value is False:
        return dict.fromkeys(THRESHOLDS)
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of thresholds by name, or false for no alerts but those of failures")
    return {name: _checked(name, given) for name, given in value.items()}


def thresholds(given: object, defaults: Mapping[str, float] | None = None) -> Thresholds:
    """All thresholds of a job: what its spec says, else `defaults`, else those of the table.

    What is wrong in a spec, as that of another version, is passed over. An alert of which any threshold is None is off.
    """
    every: Thresholds = {name: threshold.default for name, threshold in THRESHOLDS.items()}
    every.update(defaults or {})
    for name, one in (given if isinstance(given, dict) else {}).items():
        try:
            every[name] = _checked(name, one)
        except ValueError:
            continue
    return every


def limits_of(alert: str, every: Thresholds) -> tuple[float, ...] | None:
    """The thresholds of one alert, in the order of the table; None where it is off."""
    own = [every[name] for name, threshold in THRESHOLDS.items() if threshold.alert == alert]
    limits = tuple(limit for limit in own if limit is not None)
    return limits if len(limits) == len(own) else None


def _checked(name: object, value: object) -> float | None:
    threshold = THRESHOLDS.get(name) if isinstance(name, str) else None
    if threshold is None:
        raise ValueError(f"{str(name)[:80]!r} is no threshold; {_instead(str(name))}")
    if value is None or value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not threshold.least <= value <= threshold.most:
        raise ValueError(f"{name} must be {threshold.form}, or null for no such alert")
    if not threshold.whole:
        return float(value)
    if value != int(value):
        raise ValueError(f"{name} must be {threshold.form}, or null for no such alert")
    return int(value)


def _instead(name: str) -> str:
    """Which one may have been meant: those of an alert of that name, what is spelled alike, or else all."""
    own = [other for other, threshold in THRESHOLDS.items() if threshold.alert == name]
    near = own or difflib.get_close_matches(name, THRESHOLDS, n=1)
    return f"use {' or '.join(near)}" if near else f"use one of: {', '.join(THRESHOLDS)}"
