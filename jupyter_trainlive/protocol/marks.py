"""What happened to a training at a step, as charts mark it: checkpoints, pauses, and where it went on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from .values import iso

#: So many are kept at hand, the newest ones; all of them stay in the journal.
MARKS_KEPT = 200


@dataclass(frozen=True)
class Mark:
    """`kind` is ``checkpoint``, ``paused``, ``resumed`` or ``restarted``; `t` in Unix seconds.

    A training that was paused is resumed, in the same process or from its checkpoint in another; one that had ended
    before its time is restarted.
    """

    kind: str
    step: int | None
    t: float

    @functools.cached_property
    def shown(self) -> dict[str, Any]:
        """As the wire has it; made once, for a job is looked at many times a second."""
        return {"kind": self.kind, "step": self.step, "time": iso(self.t)}


def with_mark(marks: tuple[Mark, ...], kind: str, step: int | None, t: float) -> tuple[Mark, ...]:
    """The marks with one more, without the oldest where they are too many."""
    return (*marks, Mark(kind, step, t))[-MARKS_KEPT:]
