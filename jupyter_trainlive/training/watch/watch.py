"""Everything that the numbers of a training are watched for, behind one door that costs each log next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...protocol.watching import Thresholds, limits_of
from .names import is_evaluation_loss, is_gradient_norm, is_learning_rate, is_training_loss
from .non_finite import NonFiniteWatch, is_finite
from .overfitting import OverfittingWatch
from .spikes import SpikeWatch

#: Of more evaluation losses than these nobody is told: a training has a few.
_MOST_EVALS = 100
#: What is larger is a number, but sums of it may be none.
_MOST = 1e100

#: The name of an alert, and its sentence.
Told = tuple[str, str]
NON_FINITE = "non_finite_loss"


class Watch:
    """Watches one training's numbers; `eye` says who sees those of which names. Pure."""

    def __init__(self, patience: int, thresholds: Thresholds) -> None:
        self.non_finite = NonFiniteWatch(patience)
        self._spikes = limits_of("loss_spike", thresholds)
        self._overfitting = limits_of("overfitting", thresholds)
        self.losses: dict[str, SpikeWatch] = {}
        self.evals: dict[str, OverfittingWatch] = {}
        self._closed = False

    def begin(self) -> None:
        """Another trainer begins: what was before says nothing of it."""
        for spikes in self.losses.values():
            spikes.begin()
        for evaluations in self.evals.values():
            evaluations.begin()

    def close(self) -> None:
        """Watch nothing any more: eyes made from now on are shut."""
        self._closed = True

    def eye(self, names: tuple[str, ...]) -> Eye:
        """Who sees logs of exactly these names."""
        losses: list[tuple[str, SpikeWatch]] = []
        evals: list[tuple[str, OverfittingWatch]] = []
        rate = None
        for name in () if self._closed else names:
            if is_training_loss(name) and (self._spikes or self._overfitting):
                losses.append((name, self._spike_watch(name)))
            elif is_evaluation_loss(name) and self._overfitting:
                if len(self.evals) < _MOST_EVALS or name in self.evals:
                    evals.append((name, self.evals.setdefault(name, OverfittingWatch(name, *self._overfitting))))
            elif is_learning_rate(name) and self._spikes:
                rate = rate or name
        odd = not self._closed and any(is_training_loss(name) or is_gradient_norm(name) for name in names)
        return Eye(self, losses, evals, rate, odd)

    def _spike_watch(self, name: str) -> SpikeWatch:
        factor, patience = self._spikes or (None, 1)
        spikes = self.losses.setdefault(name, SpikeWatch(name, factor, patience))
        self.see_all(self.non_finite.row > 0)
        return spikes

    def see_all(self, wished: bool) -> None:
        """Whether every loss is to be looked at, be it as usual."""
        for spikes in self.losses.values():
            spikes.all = wished
            spikes.set_limit()

    @property
    def course(self) -> tuple[float, int]:
        """The sum and the number of the training losses so far, of the one that is logged most often."""
        return max((spikes.course for spikes in self.losses.values()), key=lambda course: course[1], default=(0.0, 0))


class Eye:
    """Sees the logs of one combination of names."""

    def __init__(
        self,
        watch: Watch,
        losses: list[tuple[str, SpikeWatch]],
        evals: list[tuple[str, OverfittingWatch]],
        rate: str | None,
        odd: bool,
    ) -> None:
        self._watch = watch
        self._non_finite = watch.non_finite
        self._losses = losses
        self._evals = evals
        self._rate = rate
        #: Whether it sees anything at all; otherwise `see` need not be called.
        self.watches = bool(losses or evals or rate or odd)
        #: The one loss of a log without evaluations, which is what nearly all logs have.
        self._idle = not (losses or evals or rate)
        self._name = ""
        self._only: SpikeWatch | None = None
        if len(losses) == 1 and not evals:
            self._name, self._only = losses[0]

    def see(self, step: int, numbers: Mapping[str, Any], finite: bool) -> list[Told] | None:
        """What to tell after this log; `finite` says that all its numbers are."""
        # Nearly every log goes no further than these lines, whose cost each of them has.
        only = self._only
        if only is not None and finite and (value := numbers[self._name]) <= only.limit:
            recent = only.recent
            recent.append(value)
            if len(recent) < only.size:
                return None
            # The one that fills it is seen.
            recent.pop()
        elif self._idle and finite and not self._non_finite.row:
            return None
        return self._look(step, numbers, finite)

    def _look(self, step: int, numbers: Mapping[str, Any], finite: bool) -> list[Told]:
        told: list[Told | None] = []
        if not finite or self._non_finite.row:
            told.append(_told(NON_FINITE, self._non_finite.see(step, numbers)))
            self._watch.see_all(self._non_finite.row > 0)
        if self._rate is not None and _usable(rate := numbers[self._rate]):
            for spikes in self._watch.losses.values():
                spikes.rate = rate
        for name, spikes in self._losses:
            if _usable(value := numbers[name]):
                told.append(_told("loss_spike", spikes.see(step, value)))
        for name, evaluations in self._evals:
            if _usable(value := numbers[name]):
                told.append(_told("overfitting", evaluations.see(step, value, self._watch.course)))
        return [each for each in told if each is not None]


def _told(name: str, sentence: str | None) -> Told | None:
    return None if sentence is None else (name, sentence)


def _usable(value: Any) -> bool:
    return is_finite(value) and abs(value) <= _MOST
