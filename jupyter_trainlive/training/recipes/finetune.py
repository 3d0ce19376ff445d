"""The fine-tune of a causal language model with transformers' Trainer.

All weights are trained, in 32 bits; `bf16` and `fp16` are mixed precision, as the Trainer means them. Code
that comes with a model is never run.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...protocol.control import Desired
from ...protocol.dataset import read_rows
from ...protocol.jobdir import JobDir
from ...protocol.parameters import check_model, validate
from ..control import Cancelled, Released
from ..errors import RecipeError
from ..recorder import Recorder
from . import rows
from .checkpointing import CheckpointStore, is_finished, require_room, to_go_on_from
from .rows import Tokens

_NEARLY_DONE = "All steps are done, and only the result is still evaluated and saved; the GPU is free right after that."
#: Numbers of 32 bits that an optimizer keeps for each of the model's; others keep next to nothing.
_OPTIMIZER_STATES = {"adamw_torch": 2, "adamw_torch_fused": 2}


def run(parameters: object, job_dir: JobDir, recorder: Recorder) -> None:
    """Fine-tune, and leave model and tokenizer in `artifacts/model` for `from_pretrained`.

    From the second attempt on it goes on from the newest complete checkpoint. Raises ParameterError,
    DatasetError, RecipeError or NonFiniteLoss with a reason to read, Cancelled or Released when that was wished,
    and whatever torch raises while it trains. Whatever it raises, artifacts/ holds nothing half-saved.
    """
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
    _require_torch(values)
    tokenizer = _load_tokenizer(values["model_name"])
    limit = _length_limit(values, tokenizer)
    data = rows.encode(read_rows(values["dataset_path"]), tokenizer, limit, pause)
    train, evaluation = _split(data.rows, values)
    _report(data, train, evaluation, limit)

    pause()
    checkpoint = to_go_on_from(job_dir.checkpoints, recorder.attempt)
    recorder.phase("loading model")
    finished = checkpoint is not None and is_finished(checkpoint)
    model = _load_model(str(checkpoint) if finished else values["model_name"])
    _check_vocabulary(model, data.rows)
    trainer = _trainer(values, job_dir, recorder, model, tokenizer, train, evaluation)

    pause()
    trainer.train_from(checkpoint)
    steps: int = trainer.state.global_step

    def pause_before_the_end() -> None:
        # The Trainer stops when it is told to, and then returns as if all were done.
        if recorder.gate.ask(steps, no_release=_NEARLY_DONE) is Desired.CANCELLED:
            raise Cancelled

    pause_before_the_end()
    if evaluation:
        last = trainer.state.log_history[-2:]
        if not any("eval_loss" in entry and entry["step"] == steps for entry in last):
            trainer.evaluate()
            pause_before_the_end()
    recorder.phase("saving")
    with _saved_whole(job_dir, "model") as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    recorder.artifact("artifacts/model")
    print(f"Trained {steps} steps; the model lies in {job_dir.artifacts / 'model'}")


def _require_torch(values: dict[str, Any]) -> None:
    try:
        import torch
        import transformers

        importlib.import_module("accelerate")
    except ImportError as error:
        raise RecipeError(
            f"{error.name or 'a package'} is missing in the environment of the training kernel",
            'Run pip install "jupyter_trainlive[train]" in that environment.',
        ) from None
    # Bars are for terminals; under a kernel they would be widgets that nobody sees.
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if values["fp16"] and not torch.cuda.is_available():
        raise RecipeError("fp16 needs a GPU, and this process has none", "Leave fp16 out, or take bf16.")


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    with _loading(f"the tokenizer of {name}"):
        tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_model(name: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with _loading(f"the model {name}"):
        # 32 bits whatever it was saved in: AdamW's small steps vanish in 16, and fp16's scaler refuses them.
        return AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)


@contextlib.contextmanager
def _loading(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = lines[0] if len(lines[0]) < 300 else lines[0][:299] + "…"
        raise RecipeError(
            f"{what[0].upper()}{what[1:]} can't be loaded: {type(error).__name__}: {reason}",
            "Check model_name for typing errors. A model from the hub needs the network, or its files in the cache, "
            "and a token (HF_TOKEN) where its owner grants access; a folder must be one that save_pretrained "
            "wrote. It must be a causal language model that needs no code of its own.",
        ) from error


def _length_limit(values: dict[str, Any], tokenizer: Any) -> int:
    """Tokens of a row: as asked for, but never more than tokenizer and model take."""
    from transformers import AutoConfig

    name: str = values["model_name"]
    with _loading(f"the configuration of {name}"):
        config = AutoConfig.from_pretrained(name)
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    known = [limit for limit in limits if isinstance(limit, int) and limit > 1]
    return min([int(values["max_length"]), *known])


def _split(all_rows: list[Tokens], values: dict[str, Any]) -> tuple[list[Tokens], list[Tokens]]:
    """Rows to train on and rows to evaluate on, drawn by the seed."""
    if not all_rows:
        raise RecipeError("dataset_path has no row with a token to learn", "Give longer rows, or raise max_length.")
    count = math.ceil(len(all_rows) * values["eval_split"])
    if count and count >= len(all_rows):
        raise RecipeError(
            f"eval_split {values['eval_split']:g} leaves no row of {len(all_rows)} to train on",
            "Lower eval_split or add rows.",
        )
    chosen = set(random.Random(values["seed"]).sample(range(len(all_rows)), count))
    train = [row for index, row in enumerate(all_rows) if index not in chosen]
    return train, [all_rows[index] for index in sorted(chosen)]


def _report(data: rows.Encoded, train: list[Tokens], evaluation: list[Tokens], limit: int) -> None:
    print(f"{len(train)} rows to train on, {len(evaluation)} to evaluate on, {data.tokens} tokens in all")
    if data.truncated:
        print(f"{data.truncated} rows were cut at {limit} tokens")
    if data.unusable:
        print(f"{data.unusable} rows were left out: nothing to learn in their first {limit} tokens")


def _check_vocabulary(model: Any, all_rows: list[Tokens]) -> None:
    """A token the model has no embedding for would crash deep inside torch, on a GPU past repair."""
    size = model.get_input_embeddings().weight.shape[0]
    largest = max(max(row.ids) for row in all_rows)
    if largest >= size:
        raise RecipeError(
            f"the tokenizer of model_name gives token {largest}, but the model knows only {size}",
            "Give a model whose tokenizer belongs to it.",
        )


def _trainer(
    values: dict[str, Any],
    job_dir: JobDir,
    recorder: Recorder,
    model: Any,
    tokenizer: Any,
    train: list[Tokens],
    evaluation: list[Tokens],
) -> Any:
    import torch
    from transformers import TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    from .trainer import RecipeTrainer

    model_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    checkpoint_bytes = model_bytes * (1 + _OPTIMIZER_STATES.get(values["optim"], 0))
    require_room(job_dir.path, model_bytes, checkpoint_bytes if values["save_strategy"] != "no" else 0)
    ours = ("model_name", "dataset_path", "max_length", "eval_split")
    given = {name: value for name, value in values.items() if name not in ours and value is not None}
    if given.pop("gradient_checkpointing"):
        # Later releases of transformers 5 warn about the old name.
        known = TrainingArguments.__dataclass_fields__
        new = "activation_checkpointing"
        given[new if new in known else "gradient_checkpointing"] = True
    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    try:
        arguments = TrainingArguments(
            output_dir=str(job_dir.checkpoints),
            # Said outright, or bf16 is refused without a GPU.
            use_cpu=not accelerated,
            dataloader_pin_memory=torch.cuda.is_available(),
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
            logging_first_step=True,
            # Else a run whose loss is NaN throughout shows a loss of zero.
            logging_nan_inf_filter=False,
            **given,
        )
    except (ValueError, ImportError) as error:
        raise RecipeError(f"transformers refuses these parameters: {error}") from error
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    trainer = RecipeTrainer(
        store=CheckpointStore(job_dir.checkpoints, keep=values["save_total_limit"], expected_bytes=checkpoint_bytes),
        recorder=recorder,
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=evaluation or None,
        data_collator=functools.partial(rows.collate, pad=pad),
        processing_class=tokenizer,
    )
    # It prints every point of every curve into the log.
    trainer.remove_callback(PrinterCallback)
    return trainer


@contextlib.contextmanager
def _saved_whole(job_dir: JobDir, name: str) -> Iterator[Path]:
    """A folder that becomes `artifacts/<name>` once all of it is written, and else is gone."""
    partial, final = job_dir.path / f".saving-{name}", job_dir.artifacts / name
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        yield partial
        # Only an earlier attempt of this job can have left one.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
