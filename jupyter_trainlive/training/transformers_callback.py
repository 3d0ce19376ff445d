"""The hook for transformers' `Trainer`, and for whatever else calls its callbacks (TRL's trainers do).

This module imports transformers; nothing in the package imports it before it is asked for.
"""

from __future__ import annotations

import functools
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers.trainer_callback import TrainerCallback
from transformers.trainer_callback import TrainerControl as Control
from transformers.trainer_callback import TrainerState as State
from transformers.training_args import TrainingArguments as Args

from ..protocol.control import Desired
from .control import NO_RELEASE, NOT_TOGETHER
from .numbers import number_in
from .own.recording import Recording
from .own.run import record_trainer
from .pace import Pace
from .recorder import Recorder, current, warn

Logs = dict[str, Any] | None


def _guarded(hook: Callable[..., None]) -> Callable[..., None]:
    """Call `hook` with this process's recorder, where it records, and never let it raise into the training."""

    @functools.wraps(hook)
    def guarded(self: TrainLiveCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        try:
            if not self._is_chosen(hook.__name__, state):
                return
            if hook.__name__ == "on_train_begin":
                self._begin_to_record(args, state)
            recorder = current()
            if recorder is not None and not recorder.ended and (state.is_world_process_zero or recorder.together):
                if self._begins:
                    self._begins = False
                    self._begin(recorder, args, state, control)
                hook(self, recorder, args, state, control, **kwargs)
        except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
            self._complain(error)
        finally:
            if hook.__name__ == "on_train_end" and self._recording is not None:
                self._recording.finish()
                self._recording = None

    return guarded


#: Who records what the trainers tell, by the identities of their states, of which each training has its own.
_chosen: dict[int, tuple[weakref.ReferenceType[State], TrainLiveCallback]] = {}


class TrainLiveCallback(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Records what a Trainer does with the job it runs in, and holds or stops it between two steps when asked to.

    ``Trainer(..., callbacks=[TrainLiveCallback()])``. Recorded are what the Trainer logs (``loss``,
    ``eval_loss``, ``learning_rate``, ``grad_norm``, …) and, at most every 0.25 s, ``step_time_seconds`` (the mean
    of the steps since the last record, data loading included, evaluation and saving not),
    ``samples_per_second`` and ``gpu_memory_allocated_gb`` (GiB that torch has allocated on all devices). Never
    raises. Of several in one trainer the first records. Outside of a job and of ``track`` each call of `train` is a
    job of its own, recorded as ``track`` does it.
    """

    #: Whether the trainer can leave after a checkpoint, and somebody starts it again from there.
    can_be_released = False
    #: Whether it makes a job of a training that is none.
    opens_a_job = True
    #: Whether nobody has asked for it: then it leaves the work to any other one in its trainer.
    automatic = False

    def __init__(self) -> None:
        self._complained = False
        #: Whether a training has begun of which nothing is recorded yet.
        self._begins = False
        #: The training of this process that it has made a job.
        self._recording: Recording | None = None
        self._pace = Pace()

    @_guarded
    def on_init_end(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        """Nothing yet; but from here on it is known who records."""

    @_guarded
    def on_train_begin(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        self._begin(recorder, args, state, control)

    def _begin(self, recorder: Recorder, args: Args, state: State, control: Control) -> None:
        recorder.segment(
            step=state.global_step,
            total_steps=_positive(state.max_steps),
            total_epochs=_epochs(args, state),
            checkpoints=self.can_be_released and args.world_size == 1,
        )
        recorder.note_seeds(training_arguments=args.seed)
        if args.fp16:
            # While the scaler seeks its scale, gradients overflow and their steps are left out.
            recorder.watch.non_finite.gradients = False
        recorder.phase("training")
        self._pace.begin()
        self._heed(recorder, args, state, control)

    @_guarded
    def on_step_begin(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        recorder.phase("training")

    @_guarded
    def on_step_end(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        self._pace.step()
        recorder.at_step(state.global_step)
        if self._pace.due or state.global_step >= state.max_steps > 0:
            batch = (state.train_batch_size or args.train_batch_size) * args.gradient_accumulation_steps
            measured = self._pace.tell(batch * args.world_size)
            recorder.metrics(measured, step=state.global_step, epoch=state.epoch)
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
        self._pace.go_on()

    @_guarded
    def on_save(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        # The name is the Trainer's; it tells nobody where it saved.
        path = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        if self._is_saved(path):
            recorder.checkpoint_at(state.global_step, path)
        recorder.phase("training")
        self._pace.go_on()

    @_guarded
    def on_log(
        self, recorder: Recorder, args: Args, state: State, control: Control, logs: Logs = None, **_: Any
    ) -> None:
        values = {name: number for name, value in (logs or {}).items() if (number := number_in(value)) is not None}
        epoch = values.pop("epoch", state.epoch)
        values.pop("step", None)
        if values:
            recorder.metrics(values, step=state.global_step, epoch=epoch)
        if recorder.stop is not None:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False

    def _is_saved(self, checkpoint: Path) -> bool:
        return checkpoint.is_dir()

    def _heed(self, recorder: Recorder, args: Args, state: State, control: Control) -> Desired:
        """Wait while the training is held; returns what is wanted then.

        A cancelled training is stopped, without evaluating or saving once more.
        """
        # Several processes would read the wish at different steps, and those that go on would wait for ever
        # for those that stopped: there it takes the interrupt that follows.
        if args.world_size > 1 and not recorder.together:
            recorder.gate.decline(NOT_TOGETHER)
            return Desired.RUNNING
        began = time.perf_counter()
        wanted = recorder.gate.ask(state.global_step, no_release=None if self.can_be_released else NO_RELEASE)
        # The time it was held is no step's.
        self._pace.leave_out(time.perf_counter() - began)
        if wanted is Desired.CANCELLED:
            control.should_training_stop = True
            control.should_evaluate = control.should_save = False
        return wanted

    def _is_chosen(self, event: str, state: State) -> bool:
        """Whether this one records what `state` tells of: the first that comes and was asked for, else an automatic."""
        chosen = _chosen.get(id(state))
        if chosen is None:
            if self.automatic and event == "on_init_end":
                return False
            key = id(state)
            chosen = _chosen[key] = weakref.ref(state, lambda _: _chosen.pop(key, None) and None), self
        return chosen[1] is self

    def _begin_to_record(self, args: Args, state: State) -> None:
        if self.opens_a_job and state.is_world_process_zero:
            name = args.run_name if args.run_name != args.output_dir else None
            # With smaller batches it begins again without having ended.
            again = self._recording is not None and args.auto_find_batch_size
            self._recording = record_trainer(state, name, again=again) or self._recording

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            warn(f"the training goes on, but watching it failed: {type(error).__name__}: {error}")


class AutomaticCallback(TrainLiveCallback):
    """The one that every trainer of a job has by itself. It comes before those that were asked for."""

    opens_a_job = False
    automatic = True

    def on_train_begin(self, args: Args, state: State, control: Control, **_: Any) -> None:
        # Whether there is another one is known only when all have been told.
        self._begins = True

    @_guarded
    def on_epoch_begin(self, recorder: Recorder, args: Args, state: State, control: Control, **_: Any) -> None:
        """Nothing more than what was put off at the begin."""


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
