"""Which of several optimizers counts the steps of a plain loop, and when another loop begins."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Who joins so early is part of the same loop, as the second optimizer of a GAN.
_EARLY_STEPS = 4
#: After so many steps of others in a row, and so many times as many as ever before, the one that counted is out of use.
_MOST_OF_OTHERS = 32
_TIMES = 4


@dataclass(frozen=True)
class Turn:
    """A step of the optimizer that counts: `begins` says that it is the first that is seen of its loop."""

    count: int
    begins: bool


class Turns:
    """Sees every step of every optimizer. Holds none of them, nor their parameters.

    The first that steps counts. Another one that steps twice in a row after that has counted for a while is a new
    loop's; one that takes turns with it belongs to the same loop.
    """

    def __init__(self) -> None:
        self._leader: Callable[[], Any] = lambda: None
        self._count = 0
        #: Steps of others since the last one that counted, and the most there ever were between two of them.
        self._others = 0
        self._most_of_others = 0
        self._patience = _MOST_OF_OTHERS
        #: Who takes turns with the one that counts, and who has stepped once and may begin a loop of its own.
        self._companions: weakref.WeakSet[Any] = weakref.WeakSet()
        self._challengers: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def count(self) -> int:
        """Steps of the one that counts."""
        return self._count

    def see(self, optimizer: Any) -> Turn | None:
        """An optimizer has stepped; None where another one counts."""
        leader = self._leader()
        if leader is optimizer:
            self._count += 1
            self._most_of_others = max(self._most_of_others, self._others)
            self._others = 0
            if self._challengers:
                self._companions.update(self._challengers)
                self._challengers.clear()
            return Turn(self._count, False)
        self._others += 1
        if leader is None:
            return self._begin(optimizer, self._others)
        if self._others > max(self._patience, _TIMES * self._most_of_others):
            # Those who take turns for long do so again.
            self._patience *= _TIMES
            return self._begin(optimizer, self._others)
        if optimizer in self._companions:
            return None
        if self._count < _EARLY_STEPS:
            self._companions.add(optimizer)
        elif optimizer in self._challengers:
            return self._begin(optimizer, 2)
        else:
            self._challengers.add(optimizer)
        return None

    def _begin(self, optimizer: Any, count: int) -> Turn:
        # What was seen of it while another one still seemed to count are its first steps.
        self._count = count
        # One that counted before may come again, and take turns with it.
        self._companions = weakref.WeakSet(filter(None, [self._leader()]))
        self._leader = weakref.ref(optimizer)
        self._others = self._most_of_others = 0
        self._challengers = weakref.WeakSet()
        return Turn(count, True)
