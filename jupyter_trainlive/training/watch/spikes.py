"""The watch over the level of a loss: tells when it is far above where it was.

A loss is noisy, heavy in its tail, falls fast at first, jumps where a schedule restarts, or hovers about zero where it
means little. So the watch learns each training's own level and jumps, and stays silent until it knows them.
"""

from __future__ import annotations

import math
from collections import deque
from operator import sub

from .names import called

#: Logs are learned from so many at a time, and there is no level before that…
_BLOCK = 16
#: … and from so many once there are blocks enough, which costs each log less.
_LARGE_BLOCK = 32
#: The level is the mean of the lowest of so many blocks, so that a loss that drifts away is noticed too. For so many
#: nothing more is told after an alert.
_BLOCKS = 16
#: The usual jump from one log to the next is the second largest of the last ones, as jumps shrink with the loss.
_JUMP_BLOCKS = 8
#: What stays high for so many logs is the level from then on.
_ACCEPTED = 64
#: A loss that hardly jumps must yet be so many times this part of its level above it, and this part of what it was in
#: the beginning.
_LEAST, _LEAST_OF_FIRST = 0.25, 0.1
#: One log alone is an odd batch more often than not: it must be so many times as far above, and this part of what the
#: loss was in the beginning.
_TIMES_ALONE, _ALONE_OF_FIRST = 3.0, 0.8
#: One log alone is told if it is so many times as far above as any that came back at once; those fade with each block.
_TIMES_PEAK, _FADES = 2.0, 0.995
#: A loss that rises by more than this within its first logs has no level yet.
_STEADY = 1.2
#: A learning rate that is so many times what it had fallen to is a schedule's restart.
_RESTARTED = 2.0

_ADVICE = " A lower learning_rate or max_grad_norm may keep it down; odd rows in the data do this too."


class SpikeWatch:
    """Watches one loss; pure. Without a `factor` it only counts, see `course`.

    For who calls it at each log and must be quick: a value not above `limit` may be put into `recent` instead of
    calling `see`, as long as that has fewer than `size` values then.
    """

    def __init__(self, name: str, factor: float | None, patience: float) -> None:
        self._name = name
        self._factor = factor
        self._patience = patience
        #: The learning rate, where it is known.
        self.rate = math.nan
        self._highest_rate = 0.0
        #: Whether `see` is to be called for every value.
        self.all = False
        self.begin()

    def begin(self) -> None:
        """Forget everything: another trainer begins, or the same at another place."""
        self._limit = self._alone = self._mean_limit = math.inf
        #: Values since the last block, and those in a row that are above the limit.
        self.recent: list[float] = []
        self.size = _BLOCK
        self._high: list[float] = []
        self._high_since: int | None = None
        self._at: int | None = None
        self._levels: deque[float] = deque(maxlen=_BLOCKS)
        self._jumps: deque[float] = deque(maxlen=_JUMP_BLOCKS)
        #: Learning rates, each with the highest one until then.
        self._rates: deque[tuple[float, float]] = deque(maxlen=_BLOCKS)
        #: The mean of the first block.
        self._first = -math.inf
        self._armed = False
        self._peak = 0.0
        #: For so many blocks nothing is told again: one episode is one alert.
        self._rest = 0
        self._total, self._count = 0.0, 0
        self.set_limit()

    def set_limit(self) -> None:
        """Have `limit` say which values are to be seen: after one that was high, and where it is wished, all."""
        self.limit = -math.inf if self.all or self._high else self._limit

    @property
    def course(self) -> tuple[float, int]:
        """The sum of all values so far, and how many they are."""
        waiting = (*self.recent, *self._high)
        return self._total + sum(waiting), self._count + len(waiting)

    def see(self, step: int, value: float) -> str | None:
        """What to tell after this log, in a sentence. The value is a finite number."""
        if self._at is not None and step < self._at:
            self.begin()
        if value > self._limit:
            return self._above(step, value)
        if self._high:
            self._come_back()
        self.recent.append(value)
        return self._learn(step) if len(self.recent) >= self.size else None

    def _above(self, step: int, value: float) -> str | None:
        self._at = step
        if self._restarted():
            self.begin()
            self.recent.append(value)
            return None
        if not self._high:
            self._high_since = step
        self._high.append(value)
        self.set_limit()
        in_a_row = len(self._high)
        if in_a_row >= _ACCEPTED:
            # A level of its own: it is told of again where that, too, is left upwards.
            rest = self._rest
            self.begin()
            self._rest = rest
            return None
        if self._rest or (in_a_row < self._patience and value <= self._alone):
            return None
        # One log alone, an odd batch, must not keep what comes after it from being told.
        self._rest = _BLOCKS if in_a_row >= self._patience else 1
        row = "" if in_a_row == 1 else f", after {in_a_row} such logs in a row (since step {self._high_since})"
        return self._sentence(f"was {value:.4g} at step {step}{row}", min(self._levels))

    def _sentence(self, was: str, level: float) -> str:
        return f"{called(self._name)} {was}: far above its recent level of {level:.4g}.{_ADVICE}"

    def _come_back(self) -> None:
        """The loss is no longer high."""
        high, self._high = self._high, []
        self.set_limit()
        if len(high) < self._patience:
            # It came back by itself at once: the next one must be larger to be worth a word.
            self._peak = max(self._peak, max(high) - min(self._levels))
        if self._rest:
            self._total += sum(high)
            self._count += len(high)
        else:
            # What was not worth telling is part of its usual course.
            self.recent += high

    def _learn(self, step: int) -> str | None:
        """Take in the values since the last block, set the limits anew, and tell where the loss has drifted away."""
        values, self.recent = self.recent, []
        self._at = step
        total = sum(values)
        self._total += total
        self._count += len(values)
        if self._factor is None:
            return None
        mean, sentence = total / len(values), None
        if mean > self._mean_limit and self._restarted():
            self.begin()
            return None
        if self._rest:
            self._rest -= 1
        elif mean > self._mean_limit:
            self._rest = _BLOCKS
            sentence = self._sentence(f"was {mean:.4g} on average in the logs until step {step}", min(self._levels))
        if mean < self._first:
            self._armed = True
        elif not self._levels:
            self._first, half = mean, _BLOCK // 2
            self._armed = sum(values[half:]) <= _STEADY * sum(values[:half])
        self._levels.append(mean)
        self._jumps.append(max(map(sub, values[1:], values)))
        self._highest_rate = max(self._highest_rate, self.rate)
        self._rates.append((self.rate, self._highest_rate))
        self._peak *= _FADES
        self._set_limits(self._factor)
        if len(self._levels) == _BLOCKS:
            self.size = _LARGE_BLOCK
        return sentence

    def _set_limits(self, factor: float) -> None:
        level = min(self._levels)
        if not self._armed or level <= 0.0:
            self._limit = self._alone = self._mean_limit = math.inf
            self.set_limit()
            return
        jump = factor * sorted(self._jumps)[-2:][0]
        least = max(factor * _LEAST * level, _LEAST_OF_FIRST * self._first)
        above = max(jump, least)
        self._limit = level + above
        # The mean of a block jumps that much less than one log.
        self._mean_limit = level + max(jump / math.sqrt(self.size), least)
        self._alone = level + max(_TIMES_ALONE * above, _ALONE_OF_FIRST * self._first, _TIMES_PEAK * self._peak)
        self.set_limit()

    def _restarted(self) -> bool:
        """Whether the learning rate is far above what it had fallen to not long ago."""
        return any(self.rate > _RESTARTED * rate and highest > _RESTARTED * rate for rate, highest in self._rates)
