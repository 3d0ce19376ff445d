"""The hook for transformers' `Trainer`, and for whatever else calls its callbacks (TRL's trainers do).

This module imports transformers; nothing in the package imports it before it is asked for.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers.trainer_callback import TrainerCallback
from transformers.trainer_callback import TrainerControl as Control
from transformers.trainer_callback import TrainerState as State
from transformers.training_args import TrainingArguments as Args

from ..protocol.control import Desired
from .control import NO_RELEASE
from .log import say_that_nothing_is_recorded
from .owner import job_dir_of_this_process
from .recorder import Recorder, current, warn

#: Faster steps than this share one record of their mean time.
STEP_INTERVAL_SECONDS = 0.25
_TOGETHER = "Several processes train together, and would not stop at the same step; this job can't be paused."

Logs = dict[str, Any] | None


def _guarded(hook: Callable[..., None]) -> Callable[..., None]:
    """Call `hook` with this process's recorder, where it records, and never let it raise into the training."""

    @functools.wraps(hook)
    def guarded(self: TrainLiveCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        try:
            recorder = self._of_this_process()
            if recorder is not None and state.is_world_process_zero:
                hook(self, recorder, args, state, control, **kwargs)
        except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
            self._complain(error)

    return guarded


class TrainLiveCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Records what a Trainer does with the job it runs in, and holds or stops it between two steps when asked to.

    ``Trainer(..., callbacks=[TrainLiveCallback()])``. Recorded are what the Trainer logs (``loss``,
    ``eval_loss``, ``learning_rate``, ``grad_norm``, …) and, at most every 0.25 s, ``step_time_seconds`` (the mean
    of the steps since the last record, data loading included, evaluation and saving not),
    ``samples_per_second`` and ``gpu_memory_allocated_gb`` (GiB that torch has allocated on all devices). Never
    raises. Outside of a job it only says once that nothing is recorded.
    """

    #: Whether the trainer can leave after a checkpoint, and somebody starts it again from there.
    can_be_released = False

    def __init__(self) -> None:
        self._complained = False
        #: When the step that is being measured began, and the steps measured but not yet recorded.
        self._mark = 0.0
        self._seconds = 0.0
        self._steps = 0
        self._recorded_at = -math.inf

    @_guarded
    def on_train_begin(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.segment(
            step=state.global_step,
            total_steps=_positive(state.max_steps),
            total_epochs=_epochs(args, state),
            checkpoints=self.can_be_released and args.world_size == 1,
        )
        if args.fp16:
            # While the scaler seeks its scale, gradients overflow and their steps are left out.
            recorder.watch.names = ("loss",)
        recorder.phase("training")
        self._seconds, self._steps = 0.0, 0
        self._recorded_at = -math.inf
        self._mark = time.perf_counter()
        self._heed(recorder, args, state, control)

    @_guarded
    def on_step_begin(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.phase("training")

    @_guarded
    def on_step_end(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        now = time.perf_counter()
        self._seconds += now - self._mark
        self._steps += 1
        self._mark = now
        recorder.at_step(state.global_step)
        if now - self._recorded_at >= STEP_INTERVAL_SECONDS or state.global_step >= state.max_steps > 0:
            self._recorded_at = now
            recorder.metrics(self._measured(args, state), step=state.global_step, epoch=state.epoch)
            self._seconds, self._steps = 0.0, 0
        if self._heed(recorder, args, state, control) is Desired.RELEASED:
            control.should_training_stop = True
            # At the end of an epoch what is due there comes first; `on_epoch_end` follows at once.
            control.should_save = not _at_end_of_epoch(state)
        if control.should_save and not control.should_evaluate:
            recorder.phase("saving")

    @_guarded
    def on_epoch_end(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        # After a stop in the middle the Trainer still evaluates and saves what is due at the end of an epoch.
        leaving = recorder.gate.leaving
        if recorder.stop is not None or (leaving and not _at_end_of_epoch(state)):
            control.should_evaluate = control.should_save = False
        elif leaving or self._heed(recorder, args, state, control) is Desired.RELEASED:
            control.should_training_stop = control.should_save = True

    @_guarded
    def on_train_end(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.segment_over()

    @_guarded
    def on_prediction_step(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.phase("evaluating")

    @_guarded
    def on_evaluate(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.phase("saving" if control.should_save else "training")
        self._mark = time.perf_counter()

    @_guarded
    def on_save(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        # The name is the Trainer's; it tells nobody where it saved.
        path = Path(args.output_dir or ".").absolute() / f"checkpoint-{state.global_step}"
        root = recorder.job_dir.path.absolute()
        if self._is_saved(path):
            inside = path.is_relative_to(root)
            recorder.checkpoint(state.global_step, str(path.relative_to(root) if inside else path))
        recorder.phase("training")
        self._mark = time.perf_counter()

    @_guarded
    def on_log(
        self, recorder: Recorder, args: Args, state: State, control: Control, logs: Logs = None, **_: Any
    ) -> None:
        values = {name: number for name, value in (logs or {}).items() if (number := _number(value)) is not None}
        epoch = values.pop("epoch", state.epoch)
        values.pop("step", None)
        if values:
            recorder.metrics(values, step=state.global_step, epoch=epoch)
        if recorder.stop is not None:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False

    def _is_saved(self, checkpoint: Path) -> bool:
        return checkpoint.is_dir()

    def _measured(self, args: Args, state: State) -> dict[str, float]:
        seconds = self._seconds / self._steps
        values = {"step_time_seconds": seconds}
        batch = (state.train_batch_size or args.train_batch_size) * args.gradient_accumulation_steps
        if seconds > 0:
            values["samples_per_second"] = batch * args.world_size / seconds
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            devices = range(torch.cuda.device_count())
            values["gpu_memory_allocated_gb"] = sum(map(torch.cuda.memory_allocated, devices)) / 2**30
        return values

    def _heed(self, recorder: Recorder, args: Args, state: State, control: Control) -> Desired:
        """Wait while the training is held; returns what is wanted then.

        A cancelled training is stopped, without evaluating or saving once more.
        """
        # Several processes would read the wish at different steps, and those that go on would wait for ever
        # for those that stopped: there it takes the interrupt that follows.
        if args.world_size > 1:
            recorder.gate.decline(_TOGETHER)
            return Desired.RUNNING
        began = time.perf_counter()
        wanted = recorder.gate.ask(state.global_step, no_release=None if self.can_be_released else NO_RELEASE)
        # The time it was held is no step's.
        self._mark += time.perf_counter() - began
        if wanted is Desired.CANCELLED:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False
        return wanted

    def _of_this_process(self) -> Recorder | None:
        recorder = current()
        if recorder is None and job_dir_of_this_process() is None:
            say_that_nothing_is_recorded()
        return recorder

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            warn(f"the training goes on, but watching it failed: {type(error).__name__}: {error}")


def _epochs(args: Args, state: State) -> float | None:
    """How many epochs the training takes; None where the rows have no known number."""
    if args.max_steps <= 0:
        return float(args.num_train_epochs)
    # The Trainer puts sys.maxsize for data without a length.
    return float(state.num_train_epochs) if 0 < state.num_train_epochs < sys.maxsize else None


def _at_end_of_epoch(state: State) -> bool:
    return state.epoch is not None and float(state.epoch).is_integer()


def _positive(steps: int) -> int | None:
    return steps if steps > 0 else None


def _number(value: object) -> float | None:
    """A number out of what trainers log, which may also be text or a whole report."""
    if hasattr(value, "item") and not isinstance(value, str):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
