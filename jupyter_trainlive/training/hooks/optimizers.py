"""A plain torch loop, seen from its optimizer: steps, learning rate, step time, and a place to wait when it is held.

Its own logs count where there are some: those without a step go to the optimizer's, and where the steps they name
go along with the optimizer's the two are counted as one. Where they count something else (epochs, batches), they are
the job's steps, and what is measured here has its own.
"""

from __future__ import annotations

import time
import weakref
from types import ModuleType
from typing import Any

from ..control import NO_RELEASE
from ..log import between_steps
from ..pace import Pace
from ..recorder import Recorder, current
from ..watch import NonFiniteLoss
from . import losses, schedulers
from .guard import complain
from .turns import Turns

#: So many losses wait on their device at most until they are recorded.
_MOST_LOSSES = 1000


class Loop:
    """What is known of the plain loops of one job."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._turns = Turns()
        self._pace = Pace()
        self._step = 0
        self._rate: Any = None
        #: Steps done but not recorded, and the losses of some of them.
        self._unrecorded = False
        self._losses: list[tuple[int, Any]] = []
        #: The loss of the last step of each optimizer that does not count, which may be the first of a new loop.
        self._doubtful: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        #: What has to be added to the optimizer's count to have the steps that the loop names when it logs; the last
        #: of those, with the optimizer's count then; and whether they don't go along with it.
        self._ahead = 0
        self._said: tuple[int, int] | None = None
        self._apart = False

    def stepped(self, optimizer: Any) -> None:
        """An optimizer has stepped."""
        done = self._turns.count
        turn = self._turns.see(optimizer)
        loss = losses.take()
        if turn is not None and turn.begins:
            done = turn.count - 1
            self._begin(optimizer, done)
        self._compare(done)
        if turn is None:
            self._doubtful[optimizer] = loss
            return
        self._step = max(0, turn.count + self._ahead)
        if not self._apart:
            self._recorder.at_step(self._step)
        self._pace.step()
        self._rate = _rate(optimizer)
        self._unrecorded = True
        if loss is not None:
            self._losses.append((self._step, loss))
        if self._pace.due or len(self._losses) >= _MOST_LOSSES:
            self.record()
        self._heed(turn.count)

    def record(self) -> None:
        """Record what is not yet recorded."""
        if not self._unrecorded:
            return
        self._unrecorded = False
        waiting, self._losses = self._losses, []
        values_of_losses = losses.numbers([loss for _, loss in waiting]) if waiting else []
        for (step, _), loss in zip(waiting, values_of_losses, strict=True):
            # Those of earlier steps are late, and must not take the job back to them.
            self._recorder.metrics({"loss": loss}, step=step, aside=self._apart or step != self._step)
        values: dict[str, Any] = self._pace.tell()
        if self._rate is not None:
            values["learning_rate"] = self._rate
        if values:
            self._recorder.metrics(values, step=self._step, aside=self._apart)

    def _begin(self, optimizer: Any, done: int) -> None:
        """A loop begins, of which `done` steps went by unseen."""
        self.record()
        self._ahead, self._said, self._apart = 0, None, False
        self._pace = Pace()
        if done and (loss := self._doubtful.pop(optimizer, None)) is not None:
            self._losses.append((done, loss))
        # Where several ranks wait for each other, each must count alike, though only one may log.
        if self._recorder.said is None or self._recorder.together:
            total = schedulers.total_steps(optimizer)
            self._recorder.segment(step=done, total_steps=total, total_epochs=None, trainer=False)
        self._recorder.phase("training")

    def _compare(self, done: int) -> None:
        """Compare the step that was named in a log since the last step, if any was, with the steps done by then."""
        said, self._recorder.said = self._recorder.said, None
        if said is None:
            return
        before, self._said = self._said, (said, done)
        if before is None:
            # A loop that goes on from a checkpoint shows at the second log that it counts the same.
            self._apart = abs(said - done) > 1
        else:
            self._apart = said - before[0] != done - before[1]
        if not self._apart:
            self._ahead = said - done

    def _heed(self, count: int) -> None:
        recorder = self._recorder
        if recorder.together:
            # All ranks count alike, whatever one of them logs.
            recorder.gate.hold(count, no_release=NO_RELEASE)
        elif not recorder.gate.open:
            if recorder.gate.paused:
                # Who pauses wants to see where it has come to.
                self.record()
            began = time.perf_counter()
            between_steps(recorder)
            self._pace.leave_out(time.perf_counter() - began)


_loop: Loop | None = None
_loops_of: Recorder | None = None
#: The recorder of work that is over: what is done in its kernel from then on is no part of it.
_over: Recorder | None = None


def hook(module: ModuleType) -> None:
    """Called with ``torch.optim.optimizer``."""
    module.register_optimizer_step_post_hook(_stepped)


def finish() -> None:
    """The work is over."""
    global _over, _loop
    recorder = current()
    if _loop is not None and _loops_of is recorder:
        _loop.record()
    _over, _loop = recorder, None


def _stepped(optimizer: Any, args: Any, kwargs: Any) -> None:
    recorder = current()
    if recorder is None or recorder.trainer_runs or recorder is _over:
        return
    try:
        _loop_of(recorder).stepped(optimizer)
    except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
        complain("optimizers", error)
    if recorder.stop is not None:
        # As `log` does: the one thing that a loop without a trainer can be told. It was asked for.
        raise NonFiniteLoss(*recorder.stop.args)


# A compiled step calls it as it is.
_stepped._torchdynamo_disable = True  # type: ignore[attr-defined]


def _loop_of(recorder: Recorder) -> Loop:
    global _loop, _loops_of
    if _loop is None or _loops_of is not recorder:
        _loop, _loops_of = Loop(recorder), recorder
    return _loop


def _rate(optimizer: Any) -> Any:
    """The learning rate of the first group of parameters, as it was in this step."""
    groups = optimizer.param_groups
    return groups[0].get("lr") if groups else None
