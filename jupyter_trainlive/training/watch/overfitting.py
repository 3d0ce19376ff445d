"""The watch over an evaluation loss: tells when it rises while the training loss goes on falling."""

from __future__ import annotations

import itertools
import math
from collections import deque

from .names import called

#: How far above its best it must be: this part of it, and beyond what its own noise may do.
_LEAST = 0.01
_SIGMAS = 4.0
#: By how much the training loss must have fallen meanwhile, to be falling.
_FALLS = 0.01
#: So many evaluations are remembered, besides the best one.
_REMEMBERED = 100
#: What the median of the absolute second differences of unit noise is: 0.6745 times the root of 6.
_SECOND_DIFFERENCES = 1.652


class OverfittingWatch:
    """Watches the loss of one set of rows, evaluated now and then; pure.

    `patience` evaluations in a row, each higher than the one before, are worth telling, once until there is a new best.
    """

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = int(patience)
        self._remembered = max(_REMEMBERED, 2 * self._patience)
        self.begin()

    def begin(self) -> None:
        """Forget everything: another training begins."""
        self._evals: deque[float] = deque(maxlen=self._remembered)
        #: The mean training loss before each of them; None where it is not known.
        self._training: deque[float | None] = deque(maxlen=self._remembered)
        self._many = 0
        self._best: tuple[float, int] = (math.inf, 0)
        self._at: int | None = None
        self._course = (0.0, 0)
        self._told = False

    def see(self, step: int, value: float, course: tuple[float, int]) -> str | None:
        """What to tell after this evaluation, in a sentence.

        `course` is the sum and the number of the training losses so far.
        """
        if self._at is not None and step <= self._at:
            if step < self._at:
                self.begin()
            else:
                # Evaluated once more after the training, or on other rows under the same name.
                return None
        self._at = step
        self._many += 1
        self._evals.append(value)
        self._training.append(self._mean_since(course))
        if value < self._best[0]:
            self._best, self._told = (value, step), False
            return None
        if self._told or not self._rises() or not self._training_falls():
            return None
        self._told = True
        best, best_step = self._best
        return (
            f"{called(self._name)} rose {self._patience} {'time' if self._patience == 1 else 'times in a row'}, to "
            f"{value:.4g} at step {step}, while the training loss fell to {self._training[-1]:.4g}: the model may be "
            f"learning its rows by heart. It was best at step {best_step} ({best:.4g})."
        )

    def _mean_since(self, course: tuple[float, int]) -> float | None:
        """The mean training loss since the last evaluation, or as it was before where none was logged since."""
        (total, count), (total_before, count_before), self._course = course, self._course, course
        if count < count_before:
            # It began anew.
            total_before, count_before = 0.0, 0
        if count > count_before:
            return (total - total_before) / (count - count_before)
        return self._training[-1] if self._training else None

    def _rises(self) -> bool:
        if len(self._evals) <= self._patience:
            return False
        row = list(self._evals)[-self._patience - 1 :]
        if any(after <= before for before, after in itertools.pairwise(row)):
            return False
        best = self._best[0]
        # The best of many is low by chance, the more so the more they are.
        beyond_chance = (math.sqrt(2 * math.log(self._many)) + _SIGMAS) * self._noise()
        return row[-1] - best > max(_LEAST * abs(best), beyond_chance)

    def _noise(self) -> float:
        """The standard deviation of the evaluations about their course: second differences don't see a steady one."""
        evals = list(self._evals)
        bends = sorted(abs(a - 2 * b + c) for a, b, c in zip(evals, evals[1:], evals[2:], strict=False))
        middle = len(bends) // 2
        median = (bends[middle] + bends[~middle]) / 2 if bends else 0.0
        return median / _SECOND_DIFFERENCES

    def _training_falls(self) -> bool:
        before, now = self._training[-self._patience - 1], self._training[-1]
        return before is not None and now is not None and now < before - _FALLS * abs(before)
