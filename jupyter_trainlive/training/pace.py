"""How long the steps of a training take, told at most every quarter of a second."""

from __future__ import annotations

import math
import sys
import time

#: Faster steps than this share one record of their mean time.
INTERVAL_SECONDS = 0.25


class Pace:
    """Measures steps, one after the other: the time from one to the next, data loading included.

    `begin` comes before the first one, or else that one is not measured.
    """

    def __init__(self) -> None:
        #: When the step that is being measured began, and the steps measured but not yet told.
        self._mark: float | None = None
        self._seconds = 0.0
        self._steps = 0
        self._told_at = -math.inf

    def begin(self) -> None:
        """A training begins."""
        self._seconds, self._steps = 0.0, 0
        self._told_at = -math.inf
        self.go_on()

    def go_on(self) -> None:
        """What was done since the last step (evaluating, saving) is no step's time."""
        self._mark = time.perf_counter()

    def leave_out(self, seconds: float) -> None:
        """So long of the present step is none of its time."""
        if self._mark is not None:
            self._mark += seconds

    def step(self) -> None:
        """A step is done."""
        now = time.perf_counter()
        if self._mark is not None:
            self._seconds += now - self._mark
            self._steps += 1
        self._mark = now

    @property
    def due(self) -> bool:
        """Whether it is time to tell."""
        return time.perf_counter() - self._told_at >= INTERVAL_SECONDS

    def tell(self, samples: float | None = None) -> dict[str, float]:
        """What is known of the steps since the last call, by the contract's names; `samples` are those of one step."""
        self._told_at = time.perf_counter()
        values: dict[str, float] = {}
        if self._steps:
            seconds = self._seconds / self._steps
            self._seconds, self._steps = 0.0, 0
            values["step_time_seconds"] = seconds
            if samples is not None and seconds > 0:
                values["samples_per_second"] = samples / seconds
        memory = gpu_memory_gb()
        if memory is not None:
            values["gpu_memory_allocated_gb"] = memory
        return values


def gpu_memory_gb() -> float | None:
    """GiB that torch has allocated on all devices; None where it uses none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(sum(map(torch.cuda.memory_allocated, range(torch.cuda.device_count())))) / 2**30
