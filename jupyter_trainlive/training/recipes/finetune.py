"""The fine-tune of a language model with transformers' Trainer: all of its weights, or an adapter beside them.

Weights that are trained have 32 bits; `bf16` and `fp16` are mixed precision, as the Trainer means them. Code
that comes with a model is never run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...protocol.control import Desired
from ...protocol.jobdir import JobDir
from ...protocol.parameters import check_model, validate
from ..control import Cancelled, Released
from ..recorder import Recorder
from .adapters import attach, load_adapter
from .arguments import make_arguments, missing_package, steps_of
from .checkpointing import (
    CheckpointStore,
    does_not_fit,
    fingerprint_of,
    given_checkpoint,
    is_finished,
    require_room,
    require_steps_left,
    steps_done,
    to_go_on_from,
)
from .data import Prepared, prepare
from .memory import count, optimizer_bytes
from .models import check_vocabulary, length_limit, load_config, load_model, load_tokenizer, require_packages
from .rows import collator
from .saving import best_checkpoint, save

_NEARLY_DONE = "All steps are done, and only the result is still evaluated and saved; the GPU is free right after that."
_CHANGED = (
    "The data, or how it becomes tokens, is not what it was when the checkpoint was written: some rows may be learned "
    "twice, others not at all."
)


def run(parameters: object, job_dir: JobDir, recorder: Recorder, namespace: dict[str, Any] | None = None) -> None:
    """Fine-tune, and leave model and tokenizer in `artifacts/model`, or of an adapter in `artifacts/adapter`.

    From the second attempt on it goes on from the newest complete checkpoint. `namespace` gets ``tokenizer``,
    ``model`` and ``trainer`` as soon as each is there. Raises ParameterError, DatasetError, RecipeError or
    NonFiniteLoss with a reason to read, Cancelled or Released when that was wished, and whatever torch raises while
    it trains. Whatever it raises, artifacts/ holds nothing half-saved.
    """
    shown: dict[str, Any] = {} if namespace is None else namespace
    values = validate(parameters)
    values["model_name"] = check_model(values["model_name"])

    def pause() -> None:
        wanted = recorder.gate.ask(None)
        if wanted is Desired.CANCELLED:
            raise Cancelled
        if wanted is Desired.RELEASED:
            # Nothing was learned yet in this attempt that a checkpoint would have to keep.
            raise Released

    recorder.phase("loading data")
    require_packages(values)
    given = given_checkpoint(values)
    tokenizer = shown["tokenizer"] = load_tokenizer(values["model_name"])
    config = load_config(values["model_name"], values["task"])
    limit = length_limit(values, config, tokenizer)
    data = prepare(values, tokenizer, limit, pause)
    for line in (*data.summary(limit), *data.warnings):
        print(line)

    pause()
    start = _start(values, job_dir, recorder, given, data)
    recorder.phase("loading model")
    model = shown["model"] = _model(values, tokenizer, data, start)
    use_cache = getattr(model.config, "use_cache", None)
    trainer = shown["trainer"] = _trainer(values, job_dir, recorder, model, tokenizer, data)

    pause()
    try:
        trainer.train_from(start.checkpoint, finished=start.finished)
    except (ImportError, ValueError, RuntimeError) as error:
        explained = does_not_fit(error) if given is not None and start.checkpoint == given else None
        if trainer.optimizer is None and not isinstance(error, RuntimeError):
            # The optimizer is made as the training begins.
            explained = missing_package(values, error)
        raise explained or error from error
    steps: int = trainer.state.global_step

    def pause_before_the_end() -> None:
        # The Trainer stops when it is told to, and then returns as if all were done.
        if recorder.gate.ask(steps, no_release=_NEARLY_DONE) is Desired.CANCELLED:
            raise Cancelled

    pause_before_the_end()
    _tell_how_it_ended(values, trainer)
    if len(data.evaluation):
        last = trainer.state.log_history[-2:]
        if not any("eval_loss" in entry and entry["step"] == steps for entry in last):
            trainer.evaluate()
            pause_before_the_end()
    recorder.phase("saving")
    if use_cache is not None:
        # The Trainer turns it off, and whoever generates with the result wants it.
        model.config.use_cache = use_cache
    names = save(model, tokenizer, values, job_dir, recorder, data.labels or None)
    what = "adapter" if values["use_peft"] else "model"
    print(f"Trained {steps} steps; the {what} lies in {job_dir.artifacts / names[0]}")
    if len(names) > 1:
        print(f"Merged into the model it lies in {job_dir.artifacts / names[1]}")


@dataclass(frozen=True)
class _Start:
    """Where the training begins: at a checkpoint, or at its end (`finished`), or at the model's own weights."""

    checkpoint: Path | None = None
    finished: bool = False

    def weights(self, values: dict[str, Any]) -> Path | None:
        """The folder of the weights that a finished training ends with; None where it still learns them."""
        if not self.finished or self.checkpoint is None:
            return None
        best = best_checkpoint(self.checkpoint) if values["load_best_model_at_end"] else None
        return best or self.checkpoint


def _start(values: dict[str, Any], job_dir: JobDir, recorder: Recorder, given: Path | None, data: Prepared) -> _Start:
    """Where this attempt begins. Raises RecipeError where it was given a checkpoint that leaves nothing to do."""
    import torch

    checkpoint = to_go_on_from(job_dir.checkpoints, recorder.attempt, given)
    if checkpoint is None:
        return _Start()
    fingerprint = fingerprint_of(checkpoint)
    if fingerprint is not None and fingerprint != data.fingerprint:
        recorder.alert("data_changed", _CHANGED, steps_done(checkpoint))
        print(_CHANGED)
    if checkpoint != given:
        return _Start(checkpoint, is_finished(checkpoint))
    steps, _ = steps_of(values, len(data.train), torch.cuda.device_count())
    require_steps_left(checkpoint, steps)
    return _Start(checkpoint)


def _model(values: dict[str, Any], tokenizer: Any, data: Prepared, start: _Start) -> Any:
    """The model to train, with its adapter where one is trained."""
    from transformers import set_seed

    # A new head and a new adapter begin with random numbers.
    set_seed(values["seed"])
    config = load_config(values["model_name"], values["task"], data.labels or None)
    weights = start.weights(values)
    model = load_model(values, config, tokenizer, None if values["use_peft"] else weights)
    check_vocabulary(model, max(rows.largest_token() for rows in (data.train, data.evaluation) if len(rows)))
    if values["use_peft"]:
        model = attach(model, values)
        if weights is not None:
            load_adapter(model, weights)
        trained, total = model.get_nb_trainable_parameters()
        print(f"{trained:,} parameters are trained, of {total:,} ({100 * trained / total:.2g} %)")
    return model


def _trainer(
    values: dict[str, Any], job_dir: JobDir, recorder: Recorder, model: Any, tokenizer: Any, data: Prepared
) -> Any:
    from transformers import EarlyStoppingCallback
    from transformers.trainer_callback import PrinterCallback

    from .trainer import RecipeTrainer

    checkpoint_bytes = _require_room(values, job_dir, model)
    patience = values["early_stopping_patience"]
    evaluating: dict[str, Any] = {}
    if data.labels:
        # Of each row its class only, or an evaluation would keep the numbers of all classes.
        evaluating = {"compute_metrics": _accuracy, "preprocess_logits_for_metrics": _choices}
    trainer = RecipeTrainer(
        store=CheckpointStore(job_dir.checkpoints, keep=values["save_total_limit"], expected_bytes=checkpoint_bytes),
        recorder=recorder,
        facts={"data": data.fingerprint},
        early_stopping=patience and EarlyStoppingCallback(patience, values["early_stopping_threshold"] or 0.0),
        model=model,
        args=make_arguments(values, job_dir.checkpoints),
        train_dataset=data.train,
        eval_dataset=data.evaluation if len(data.evaluation) else None,
        data_collator=collator(values["task"], tokenizer, model if values.get("label_smoothing_factor") else None),
        processing_class=tokenizer,
        **evaluating,
    )
    # It prints every point of every curve into the log.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _require_room(values: dict[str, Any], job_dir: JobDir, model: Any) -> int:
    """Look whether what the training leaves finds room; bytes of one checkpoint. Raises RecipeError."""
    trained = count(model, trained_only=True)
    result_bytes, what = 4 * trained, "the adapter" if values["use_peft"] else "the trained model"
    if values["merge_adapter"]:
        # Saved in the type that the model was saved in.
        size = getattr(getattr(model.config, "dtype", None), "itemsize", 4)
        result_bytes += size * int(model.get_nb_trainable_parameters()[1])
        what = "the adapter and the model that it is merged into"
    checkpoint_bytes = 4 * trained + int(optimizer_bytes(values["optim"], trained))
    require_room(job_dir.path, result_bytes, checkpoint_bytes if values["save_strategy"] != "no" else 0, what)
    return checkpoint_bytes


def _accuracy(evaluated: Any) -> dict[str, float]:
    return {"accuracy": float((evaluated.predictions == evaluated.label_ids).mean())}


def _choices(logits: Any, labels: Any) -> Any:
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(dim=-1)


def _evaluations(values: dict[str, Any]) -> str:
    patience: int = values["early_stopping_patience"]
    return "1 evaluation" if patience == 1 else f"{patience} evaluations"


def _tell_how_it_ended(values: dict[str, Any], trainer: Any) -> None:
    """What the log should say of early stopping and the best model."""
    state = trainer.state
    if trainer.stopped_early:
        print(f"Stopped early at step {state.global_step}: no better in {_evaluations(values)}")
    if values["load_best_model_at_end"]:
        if state.best_model_checkpoint is None:
            print("No checkpoint of the best model is there, so the last one is kept")
        else:
            name = Path(state.best_model_checkpoint).name.replace("checkpoint-", "step ")
            print(f"The best model is kept: {name}, {values['metric_for_best_model']} {state.best_metric:.6g}")
