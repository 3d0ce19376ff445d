"""The recipe's Trainer: it leaves and goes on from a checkpoint as if nothing had been in between.

What it logs behind a checkpoint are the same numbers as without it: the Trainer itself loses the losses that
were summed up, but not logged yet. This module imports transformers; it is imported when a recipe runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_callback import EarlyStoppingCallback, ExportableState, TrainerState

from ...protocol.checkpoints import is_complete, read_manifest
from ...protocol.values import number, whole
from ..control import Released
from ..recorder import Recorder
from ..transformers_callback import TrainLiveCallback
from .checkpointing import CheckpointError, CheckpointStore

_STATE = "trainer_state.json"


class RecipeCallback(TrainLiveCallback):
    """The callback of a trainer that can leave, because it is started again from its checkpoint."""

    can_be_released = True

    def _is_saved(self, checkpoint: Path) -> bool:
        return is_complete(checkpoint)


class RecipeTrainer(Trainer):  # type: ignore[misc,unused-ignore]
    """A Trainer whose checkpoints are complete or not there, and which outlives a lack of room for them."""

    def __init__(
        self,
        *,
        store: CheckpointStore,
        recorder: Recorder,
        facts: Mapping[str, Any] | None = None,
        early_stopping: EarlyStoppingCallback | None = None,
        **options: Any,
    ) -> None:
        super().__init__(callbacks=[RecipeCallback(), *filter(None, [early_stopping])], **options)
        self._store = store
        #: What every manifest says besides.
        self._facts = dict(facts or {})
        self._recorder = recorder
        #: The losses since the last log, summed up by the Trainer; None before the first step.
        self._summed: torch.Tensor | None = None
        #: What the manifest of the checkpoint to go on from says of them, until the next step takes it up.
        self._carried: dict[str, Any] | None = None
        self._resumed = False

    def train_from(self, checkpoint: Path | None, *, finished: bool = False) -> None:
        """Train to the end, from `checkpoint` where one is given; `finished`: there is nothing left to train.

        Raises Released where it left after a checkpoint because that was wished, NonFiniteLoss where it was to
        stop for its loss, and what `train` raises. Returns as well when the job is cancelled.
        """
        if checkpoint is None:
            self.train()
        elif finished:
            # `train` would do one step more.
            self.state = TrainerState.load_from_json(str(checkpoint / _STATE))
            step, epochs = self.state.global_step, float(self.state.num_train_epochs)
            self._recorder.segment(step=step, total_steps=step, total_epochs=epochs)
            self._recorder.segment_over()
        else:
            manifest = read_manifest(checkpoint) or {}
            carried = manifest.get("loss")
            self._carried = carried if isinstance(carried, dict) else None
            self._resumed = True
            self.train(resume_from_checkpoint=str(checkpoint))
        if self._recorder.stop is not None:
            raise self._recorder.stop
        if self._recorder.gate.leaving:
            raise Released

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The loss of a batch; with the first one after a checkpoint come those that were not logged before it."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        carried, self._carried = self._carried, None
        summed = number((carried or {}).get("summed"))
        if carried is None or summed is None:
            return loss
        self._globalstep_last_logged = whole(carried.get("logged_step")) or 0
        self._total_loss_scalar = number(carried.get("total")) or 0.0
        # The very addition that would have been done without the checkpoint, in the same order.
        return torch.tensor(summed, device=loss.device) + loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log; what sums up the whole training only at its end, and then of all its steps."""
        if "train_loss" in logs:
            if self._recorder.gate.leaving and not self._over:
                return
            if self._resumed and hasattr(self, "_total_loss_scalar"):
                logs["train_loss"] = self._total_loss_scalar / max(self.state.global_step, 1)
        super().log(logs, *args, **kwargs)

    @property
    def stopped_early(self) -> bool:
        """Whether the evaluations have said that it gets no better."""
        watches = (watch for watch in self.callback_handler.callbacks if isinstance(watch, EarlyStoppingCallback))
        return any(watch.early_stopping_patience_counter >= watch.early_stopping_patience for watch in watches)

    @property
    def _over(self) -> bool:
        """Whether no step is left to do."""
        return bool(self.state.global_step >= self.state.max_steps) or self.stopped_early

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        self._summed = tr_loss
        super()._maybe_log_save_evaluate(tr_loss, *args, **kwargs)
        if getattr(self, "_globalstep_last_logged", None) == self.state.global_step:
            # The Trainer subtracts the sum from itself, and a NaN would stay one for good.
            tr_loss.zero_()

    def _save_checkpoint(self, *args: Any) -> None:
        step = self.state.global_step
        best, final = self.state.best_model_checkpoint, self._store.path_of(step)
        known: Any = self.state.stateful_callbacks
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ExportableState):
                # The Trainer looks for it in what a checkpoint said that was written without it.
                known.setdefault(type(callback).__name__, {})

        def save(folder: Path) -> None:
            output_dir, self.args.output_dir = self.args.output_dir, str(folder)
            try:
                super(RecipeTrainer, self)._save_checkpoint(*args)
            finally:
                self.args.output_dir = output_dir
            if self.state.best_model_checkpoint == str(folder / final.name):
                # It is to be found where it lies in the end.
                self.state.best_model_checkpoint = str(final)
                self.state.save_to_json(str(folder / final.name / _STATE))
            if self.state.best_model_checkpoint is not None:
                self._store.best = Path(self.state.best_model_checkpoint)

        try:
            self._store.write(step, save, {**self._facts, "finished": self._over, "loss": self._unlogged()})
        except CheckpointError as error:
            self.state.best_model_checkpoint = best
            self._store.best = None if best is None else Path(best)
            if self._recorder.gate.leaving:
                self._recorder.gate.stay(step, str(error))
                self.control.should_training_stop = self._over
            else:
                self._recorder.alert("checkpoint_failed", f"{error} The training goes on.", step)

    def _load_best_model(self) -> None:
        """Take the weights of the best checkpoint, unless the training goes on later, or was stopped."""
        gate = self._recorder.gate
        if self._recorder.stop is None and not gate.heeded and (self._over or not gate.leaving):
            super()._load_best_model()

    def _unlogged(self) -> dict[str, Any] | None:
        """The losses that are summed up, but not logged yet; None where this version keeps them elsewhere."""
        logged_step = getattr(self, "_globalstep_last_logged", None)
        total = getattr(self, "_total_loss_scalar", None)
        if self._summed is None or logged_step is None or total is None:
            return None
        return {"summed": self._summed.item(), "logged_step": logged_step, "total": total}
