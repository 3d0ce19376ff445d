"""What a fine-tune would do: its rows, tokens and steps, and the memory it would take. Nothing is trained.

The data is read and made into tokens as it would be; the model is there without its weights, so it needs no GPU,
next to no memory, and of a model from the hub only its configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...protocol.parameters import check_model, validate
from .adapters import attach
from .arguments import make_arguments, steps_of
from .checkpointing import given_checkpoint, require_steps_left, steps_done
from .data import Prepared, prepare
from .memory import count, estimate
from .models import (
    check_devices,
    check_vocabulary,
    empty_model,
    length_limit,
    load_config,
    load_tokenizer,
    require_packages,
)


def describe(parameters: object, *, devices: int, seconds: float) -> dict[str, Any]:
    """The answer to a dry run on so many GPUs (1 without any), ``gpu_memory_gb`` and ``fits`` not yet in it.

    Rows are made into tokens for `seconds` at most; of more the numbers are estimated, and ``estimated`` is true.
    Raises ParameterError, DatasetError or RecipeError, as `finetune.run` does.
    """
    values = validate(parameters)
    values["model_name"] = check_model(values["model_name"])
    require_packages(values, computing=False)
    check_devices(values, devices)
    checkpoint = given_checkpoint(values)
    # Refused names are found here; fp16 and bf16 would want the GPU that this process is not shown.
    make_arguments({**values, **_FOR_A_GPU}, Path(os.devnull))
    tokenizer = load_tokenizer(values["model_name"])
    config = load_config(values["model_name"], values["task"])
    limit = length_limit(values, config, tokenizer)
    data = prepare(values, tokenizer, limit, seconds=seconds)
    train_rows = max(1, round(len(data.train) * data.scale))

    config = load_config(values["model_name"], values["task"], data.labels or None)
    model = empty_model(values, config, tokenizer)
    check_vocabulary(model, max(rows.largest_token() for rows in (data.train, data.evaluation) if len(rows)))
    if values["use_peft"]:
        model = attach(model, values)
    steps, per_epoch = steps_of(values, train_rows, devices)
    counts = {"trainable_parameters": count(model, trained_only=True), "all_parameters": count(model)}
    longest = max(data.train.lengths)
    memory = estimate(model, values, longest, _vocabulary(config, values))
    done = 0
    if checkpoint is not None:
        require_steps_left(checkpoint, steps)
        done = steps_done(checkpoint) or 0
    return {
        "rows": data.rows,
        "eval_rows": data.eval_rows,
        "tokens": round(data.train.tokens * data.scale) + round(data.evaluation.tokens * data.eval_scale),
        "truncated_rows": data.truncated,
        "unusable_rows": data.unusable,
        "steps": steps,
        "steps_per_epoch": per_epoch,
        **counts,
        "memory_gb": memory.in_gb(),
        "estimated": data.estimated,
        "warnings": [*data.warnings, *_warnings(values, data, limit, train_rows, steps, devices, done)],
    }


#: What is refused without a GPU, whose absence says nothing here.
_FOR_A_GPU = {"bf16": False, "fp16": False, "bf16_full_eval": None, "fp16_full_eval": None, "tf32": None}


def _vocabulary(config: Any, values: Mapping[str, Any]) -> int:
    return 0 if values["task"] == "sequence-classification" else int(getattr(config, "vocab_size", 0) or 0)


def _warnings(
    values: Mapping[str, Any],
    data: Prepared,
    limit: int,
    train_rows: int,
    steps: int,
    devices: int,
    done: int,
) -> list[str]:
    """What one may want to know before it begins, in plain sentences."""
    told = []
    if data.packed:
        told.append(
            f"Packed, the {data.rows:,} rows to learn are {train_rows:,} blocks of at most {limit:,} tokens; a step "
            "takes blocks, not rows."
        )
    if done:
        told.append(
            f"{steps - done:,} of the {steps:,} steps are to go: resume_from_checkpoint has {done:,} behind it."
        )
    if data.estimated:
        told.append("There are too many rows to count their tokens here: rows, tokens and steps are estimates.")
    if data.truncated and not data.many_cut:
        told.append(
            f"{data.truncated:,} of {data.rows + data.eval_rows:,} rows are cut at {limit:,} tokens (max_length)."
        )
        if limit < values["max_length"]:
            told.append(f"The model takes {limit:,} tokens at most, less than max_length {values['max_length']:,}.")
    if data.unusable and not data.many_unusable:
        told.append(f"{data.unusable:,} rows are left out: nothing is to be learned in their first {limit:,} tokens.")
    batch = values["per_device_train_batch_size"] * devices * values["gradient_accumulation_steps"]
    if train_rows < batch:
        what = "blocks" if data.packed else "rows"
        told.append(
            f"One step takes {batch:,} {what} (per_device_train_batch_size, gradient_accumulation_steps"
            f"{', GPUs' if devices > 1 else ''}), and there are only {train_rows:,}: each epoch is a single step."
        )
    for name in ("warmup_steps", "eval_steps"):
        value = values[name]
        if value is not None and value > 1 and value > steps:
            told.append(f"{name} {value:,} is more than the {steps:,} steps of the training.")
    return told
