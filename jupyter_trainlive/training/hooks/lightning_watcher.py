"""What a callback of Lightning's does with the job: steps, speed, phases, and waiting or stopping between two steps.

Steps are counted when done, so they are one more than the index that Lightning's loggers are given.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

from ...protocol.control import Desired
from ..control import NO_RELEASE, NOT_TOGETHER
from ..numbers import number_in
from ..pace import Pace
from ..recorder import Recorder, current
from . import losses
from .guard import complain

#: So many losses wait on their device at most until they are recorded.
_MOST_LOSSES = 1000


def _watched(hook: Callable[..., None]) -> Callable[..., None]:
    """Call `hook` with this process's recorder, where it records, and never let it raise into the training."""

    @functools.wraps(hook)
    def watched(self: Watcher, trainer: Any, *args: Any, **kwargs: Any) -> None:
        try:
            recorder = current()
            if recorder is not None and not recorder.ended and (trainer.is_global_zero or recorder.together):
                hook(self, recorder, trainer, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
            complain("Lightning", error)

    return watched


class Watcher:
    """The hooks of a callback, apart from Lightning's own class."""

    def __init__(self) -> None:
        self._pace = Pace()
        #: Steps done.
        self.step = 0
        self._total: int | None = None
        #: Those that the training steps returned and that are not yet recorded, each with its step and epoch.
        self._losses: list[tuple[int, float | None, Any]] = []

    @_watched
    def on_sanity_check_start(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        recorder.phase("checking")

    @_watched
    def on_train_start(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        global _training
        _training = self
        self._losses.clear()
        self.step = _steps_before(trainer)
        self._total = _total_steps(trainer)
        recorder.segment(step=self.step, total_steps=self._total, total_epochs=_total_epochs(trainer, self._total))
        if "16-mixed" in str(trainer.precision) and "bf16" not in str(trainer.precision):
            # While the scaler seeks its scale, gradients overflow and their steps are left out.
            recorder.watch.non_finite.gradients = False
        recorder.phase("training")
        self._pace.begin()
        self._heed(recorder, trainer)

    @_watched
    def on_train_batch_end(self, recorder: Recorder, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        loop = trainer.fit_loop.epoch_loop
        if loop._should_accumulate():
            return
        self.step = loop._batches_that_stepped + 1
        recorder.at_step(self.step)
        self._pace.step()
        if not _logs_loss(trainer) and (loss := _loss(trainer, module, outputs)) is not None:
            self._losses.append((self.step, epoch_of(trainer), loss))
        if self._pace.due or self.step == self._total or len(self._losses) >= _MOST_LOSSES:
            self.record_losses(recorder)
            values: dict[str, Any] = self._pace.tell(_samples(trainer))
            if trainer.optimizers and (groups := trainer.optimizers[0].param_groups):
                values["learning_rate"] = groups[0].get("lr")
            values = {name: number for name, value in values.items() if (number := number_in(value)) is not None}
            if values:
                recorder.metrics(values, step=self.step, epoch=epoch_of(trainer))
        self.stop_if_needed(recorder, trainer)
        self._heed(recorder, trainer)

    @_watched
    def on_validation_start(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        if not trainer.sanity_checking:
            recorder.phase("evaluating")

    @_watched
    def on_validation_end(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        if recorder.trainer_runs:
            recorder.phase("training")
        self.go_on()

    @_watched
    def on_test_start(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        recorder.phase("testing")

    @_watched
    def on_predict_start(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        recorder.phase("predicting")

    @_watched
    def on_train_end(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        self._over(recorder)

    @_watched
    def on_exception(self, recorder: Recorder, trainer: Any, *_: Any) -> None:
        self._over(recorder)

    def record_losses(self, recorder: Recorder) -> None:
        """Record the losses that are not yet recorded, each at its own step."""
        waiting, self._losses = self._losses, []
        values = losses.numbers([loss for *_, loss in waiting]) if waiting else []
        for (step, epoch, _), value in zip(waiting, values, strict=True):
            # Those of earlier steps are late, and must not take the job back to them.
            recorder.metrics({"loss": value}, step=step, epoch=epoch, aside=step != self.step)

    def go_on(self) -> None:
        """What was done since the last step is no step's time."""
        self._pace.go_on()

    def stop_if_needed(self, recorder: Recorder, trainer: Any) -> None:
        """Stop where the numbers say so, as was asked for."""
        if recorder.stop is not None:
            _stop(trainer)

    def _over(self, recorder: Recorder) -> None:
        global _training
        _training = None
        try:
            self.record_losses(recorder)
        finally:
            recorder.segment_over()

    def _heed(self, recorder: Recorder, trainer: Any) -> None:
        """Wait while the training is held, and stop it where it is cancelled."""
        if trainer.world_size > 1 and not recorder.together:
            # They would read the wish at different steps, and wait for each other for ever.
            recorder.gate.decline(NOT_TOGETHER)
            return
        if not recorder.together and not recorder.gate.open and recorder.gate.paused:
            # Who pauses wants to see where it has come to.
            self.record_losses(recorder)
        began = time.perf_counter()
        wanted = recorder.gate.ask(self.step, no_release=NO_RELEASE)
        self._pace.leave_out(time.perf_counter() - began)
        if wanted is Desired.CANCELLED:
            _stop(trainer)


#: Who watches the fit that is under way.
_training: Watcher | None = None


def finish() -> None:
    """The work is over, though a fit may not have heard of it."""
    recorder = current()
    if _training is not None and recorder is not None and not recorder.ended:
        _training.record_losses(recorder)


def _steps_before(trainer: Any) -> int:
    """Steps done when a fit begins; from a checkpoint Lightning counts the last one only once it goes on."""
    counted: int = trainer.fit_loop.epoch_loop._batches_that_stepped
    return counted + 1 if trainer.global_step > counted else counted


def epoch_of(trainer: Any) -> float | None:
    """Epochs done, with the part of the present one."""
    batches = trainer.num_training_batches
    if not isinstance(batches, int) or batches <= 0:
        return None
    part: float = min(1.0, (trainer.fit_loop.batch_idx + 1) / batches)
    return part + int(trainer.current_epoch)


def _total_steps(trainer: Any) -> int | None:
    try:
        steps = trainer.estimated_stepping_batches
    except Exception:  # noqa: BLE001 - it refuses some ways to accumulate
        return None
    return int(steps) if math.isfinite(steps) and steps > 0 else None


def _total_epochs(trainer: Any, steps: int | None) -> float | None:
    most = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else None
    batches = trainer.num_training_batches
    if steps is not None and isinstance(batches, int) and batches > 0:
        by_steps = steps / math.ceil(batches / int(trainer.accumulate_grad_batches))
        return by_steps if most is None else min(float(most), by_steps)
    return None if most is None else float(most)


def _samples(trainer: Any) -> float | None:
    """Rows of a step, where there is one loader that knows."""
    size = getattr(trainer.train_dataloader, "batch_size", None)
    if type(size) is not int:
        return None
    return float(size * trainer.accumulate_grad_batches * trainer.world_size)


def _logs_loss(trainer: Any) -> bool:
    """Whether the module logs a ``loss`` of its own."""
    results = getattr(trainer, "_results", None) or {}
    metas = [getattr(result, "meta", None) for result in results.values()]
    return any(getattr(meta, "name", None) == "loss" and not getattr(meta, "forked", False) for meta in metas)


def _loss(trainer: Any, module: Any, outputs: Any) -> Any:
    """A copy of the loss that the training step has returned, on its device; None where it has not."""
    loss = outputs.get("loss") if hasattr(outputs, "get") else outputs
    if not hasattr(loss, "detach") or loss.numel() != 1:
        return None
    # Lightning has divided it by the number of batches of a step.
    share = trainer.accumulate_grad_batches if module.automatic_optimization else 1
    return losses.kept(loss) * share


def _stop(trainer: Any) -> None:
    """End behind this step. It may still evaluate and save, as it does whenever it stops early."""
    trainer.should_stop = True
    # Else it would go on until these are reached.
    trainer.fit_loop.min_epochs = 0
    trainer.fit_loop.epoch_loop.min_steps = None
