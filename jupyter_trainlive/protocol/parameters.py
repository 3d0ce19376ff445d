"""The recipe's parameters: one table of their names, defaults and limits, and the check against it.

Names are transformers' `TrainingArguments`' own. Others: `max_length`, `packing`, `completion_only_loss`,
`assistant_only_loss`, `dataset_train_split` and `dataset_test_split` are TRL's, as are `use_peft`, `load_in_4bit`
and `lora_…` (PEFT calls the latter without `lora_`); `model_name` and `dataset_path` are the contract's; `eval_split`
has no settled name anywhere (`run_clm.py` says `validation_split_percentage`, scikit-learn `test_size`), here
it is a fraction of the rows. `parameter_schema.py` makes JSON Schema of the table.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .checks import Check, ParameterError, choice, flag, kind_of, names, number, short, steps, text, whole
from .model_names import check_model
from .parameter_rules import COLUMNS, TASKS, check_together
from .training_arguments import FURTHER, INSTEAD, RENAMED, RESERVED

__all__ = ["OWN", "PARAMETERS", "ParameterError", "check_model", "training_arguments", "validate"]

#: transformers' schedules. The last ones don't go without `lr_scheduler_kwargs`, or an evaluation.
SCHEDULERS = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "warmup_stable_decay",
    "reduce_lr_on_plateau",
)
#: Those of transformers that need nothing but torch, then those of bitsandbytes, then of packages of their own.
OPTIMIZERS = (
    *("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"),
    *("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_32bit", "paged_adamw_8bit"),
    *("lion_32bit", "lion_8bit", "paged_lion_32bit", "paged_lion_8bit", "ademamix", "ademamix_8bit"),
    *("galore_adamw", "galore_adafactor", "apollo_adamw", "stable_adamw"),
)
STRATEGIES = ("no", "steps", "epoch")
METRICS = ("loss", "eval_loss", "accuracy", "eval_accuracy")
_SEED_LIMIT = 2**32 - 1
_ROWS_LIMIT = 2**53


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` returns the usable value, or raises ValueError saying what it must be.

    With `needs`, a name and what has to be said of it, it has no use otherwise, and is None then.
    """

    default: Any
    check: Check
    description: str
    group: str
    required: bool = False
    needs: tuple[str, str] | None = None


def _columns(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f'must be an object like {{"text": "your column"}}, not {kind_of(value)}')
    for ours, theirs in value.items():
        if ours not in _COLUMN_NAMES:
            raise ValueError(f"has {short(ours)}, but the columns are {', '.join(_COLUMN_NAMES)}")
        try:
            text(theirs)
        except ValueError as error:
            raise ValueError(f"of {short(ours)} {error}") from None
    return dict(value)


def _max_steps(value: object) -> int:
    count: int = whole(-1)(value)
    if count == 0:
        raise ValueError("must be at least 1, or -1 to train for num_train_epochs")
    return count


_COLUMN_NAMES = sorted({column for columns in COLUMNS.values() for column in columns})
_mapping = Check(
    _columns,
    {"type": "object", "propertyNames": {"enum": _COLUMN_NAMES}, "additionalProperties": text.schema},
)
_CAUSAL = ("task", "causal-lm")
_PEFT = ("use_peft", "true")
_STOPPING = ("early_stopping_patience", "the evaluations to wait for")

#: The groups of a form, in order.
MODEL, DATA, EVALUATION, TRAINING, RATE = "Model", "Data", "Evaluation", "Training", "Learning rate and optimizer"
MEMORY, ADAPTER, CHECKPOINTS, MORE = "Precision and memory", "LoRA", "Checkpoints and logging", "More"
GROUPS = (MODEL, DATA, EVALUATION, TRAINING, RATE, MEMORY, ADAPTER, CHECKPOINTS, MORE)

PARAMETERS: dict[str, Parameter] = {
    "model_name": Parameter(None, text, "hub id or folder of a model", MODEL, required=True),
    "dataset_path": Parameter(
        None,
        text,
        "rows to learn: a file (.jsonl, .json, .csv, .tsv or .parquet), a folder of .txt and .md, or a hub id",
        DATA,
        required=True,
    ),
    "task": Parameter("causal-lm", choice(*TASKS), "what the model learns to do", MODEL),
    "dataset_config": Parameter(None, text, "configuration of a hub's dataset", DATA),
    "dataset_train_split": Parameter(None, text, "split of a hub's dataset to learn; train by default", DATA),
    "dataset_test_split": Parameter(None, text, "split of a hub's dataset to evaluate on", EVALUATION),
    "eval_dataset_path": Parameter(None, text, "rows to evaluate on: a file, a folder or a hub id", EVALUATION),
    "eval_split": Parameter(0.0, number(0, 1, below=True), "fraction of the rows kept for evaluation", EVALUATION),
    "column_mapping": Parameter(
        None,
        _mapping,
        'which column is what, {"text": "your column"}: text, prompt, completion, messages, label, text_pair',
        DATA,
    ),
    "max_train_samples": Parameter(None, whole(1, _ROWS_LIMIT), "learn the first so many rows only", DATA),
    "max_eval_samples": Parameter(None, whole(1, _ROWS_LIMIT), "evaluate on the first so many rows only", EVALUATION),
    "max_length": Parameter(1024, whole(2), "tokens of a row; never more than the model takes", DATA),
    "packing": Parameter(
        None,
        flag,
        "rows one behind the other in blocks of max_length; by default for a folder of text only",
        DATA,
        needs=_CAUSAL,
    ),
    "completion_only_loss": Parameter(True, flag, "of prompt and completion learn the completion", DATA, needs=_CAUSAL),
    "assistant_only_loss": Parameter(True, flag, "of messages learn the assistant's", DATA, needs=_CAUSAL),
    "num_train_epochs": Parameter(3.0, number(0, 1e6, above=True), "passes over the rows", TRAINING),
    "max_steps": Parameter(
        -1,
        Check(_max_steps, {"type": "integer", "minimum": -1, "maximum": 2**31 - 1, "not": {"const": 0}}),
        "optimizer steps instead of num_train_epochs; -1: by epochs",
        TRAINING,
    ),
    "per_device_train_batch_size": Parameter(8, whole(1), "rows a device takes at once in training", TRAINING),
    "per_device_eval_batch_size": Parameter(8, whole(1), "rows a device takes at once in evaluation", EVALUATION),
    "gradient_accumulation_steps": Parameter(1, whole(1), "batches whose gradients make one step", TRAINING),
    "learning_rate": Parameter(5e-5, number(0, 1e3, above=True), "highest learning rate", RATE),
    "lr_scheduler_type": Parameter("linear", choice(*SCHEDULERS), "how the learning rate goes on", RATE),
    # transformers 5 took the ratio that was `warmup_ratio` into this one.
    "warmup_steps": Parameter(0, steps(0), "steps, or fraction of the steps, in which the rate rises", RATE),
    "weight_decay": Parameter(0.0, number(0, 1e3), "decay of the weights", RATE),
    "max_grad_norm": Parameter(1.0, number(0, 1e9), "gradients are clipped to this norm; 0: never", RATE),
    "optim": Parameter("adamw_torch", choice(*OPTIMIZERS), "optimizer", RATE),
    "bf16": Parameter(False, flag, "mixed precision with bfloat16", MEMORY),
    "fp16": Parameter(False, flag, "mixed precision with float16; needs a GPU", MEMORY),
    "gradient_checkpointing": Parameter(False, flag, "less memory, slower steps", MEMORY),
    "use_peft": Parameter(False, flag, "LoRA: train an adapter, not the model itself", ADAPTER),
    "lora_r": Parameter(16, whole(1, 1 << 16), "rank of the adapter", ADAPTER, needs=_PEFT),
    "lora_alpha": Parameter(32, whole(1, 1 << 20), "scale of the adapter, divided by its rank", ADAPTER, needs=_PEFT),
    "lora_dropout": Parameter(0.05, number(0, 1, below=True), "dropout in the adapter", ADAPTER, needs=_PEFT),
    "lora_target_modules": Parameter(
        "all-linear", names("all-linear"), "names of the modules it is added to", ADAPTER, needs=_PEFT
    ),
    "load_in_4bit": Parameter(
        False, flag, "QLoRA: the model itself in 4 bits; needs bitsandbytes", ADAPTER, needs=_PEFT
    ),
    "merge_adapter": Parameter(
        False, flag, "also leave the model with the adapter merged into it", ADAPTER, needs=_PEFT
    ),
    # Every step, since the curve is what one watches: a step of a fine-tune takes longer than the 10 µs of a
    # record, and a run of 30 steps would have three points at 10. transformers' default is 500.
    "logging_steps": Parameter(1, whole(1), "steps between two points of the loss", CHECKPOINTS),
    "eval_strategy": Parameter(None, choice(*STRATEGIES), "when to evaluate; epoch with rows for it", EVALUATION),
    "eval_steps": Parameter(None, steps(1), "steps between two evaluations", EVALUATION),
    "early_stopping_patience": Parameter(
        None, whole(1), "end after so many evaluations in a row that were not better", EVALUATION
    ),
    "early_stopping_threshold": Parameter(
        0.0, number(0, 1e9), "how much better counts as better", EVALUATION, needs=_STOPPING
    ),
    "load_best_model_at_end": Parameter(False, flag, "leave the best model, not the last one", EVALUATION),
    "metric_for_best_model": Parameter(
        None, choice(*METRICS), "what tells the best model: loss, or the accuracy of a classification", EVALUATION
    ),
    "greater_is_better": Parameter(None, flag, "whether more of that is better; follows from it", EVALUATION),
    "save_strategy": Parameter(None, choice(*STRATEGIES), "when to save a checkpoint; steps by default", CHECKPOINTS),
    "save_steps": Parameter(None, steps(1), "steps between two checkpoints; 500 with save_strategy steps", CHECKPOINTS),
    # transformers keeps all of them; a few of a large model fill a disk.
    "save_total_limit": Parameter(2, whole(1), "checkpoints kept, the latest ones", CHECKPOINTS),
    "resume_from_checkpoint": Parameter(None, text, "folder of a checkpoint to begin with", CHECKPOINTS),
    "seed": Parameter(42, whole(0, _SEED_LIMIT), "seed of everything random", TRAINING),
}

#: Those that are not `TrainingArguments`, or that the recipe gives them in its own way.
OWN = frozenset(
    (
        *("model_name", "dataset_path", "task", "dataset_config", "dataset_train_split", "dataset_test_split"),
        *("eval_dataset_path", "eval_split", "column_mapping", "max_train_samples", "max_eval_samples", "max_length"),
        *("packing", "completion_only_loss", "assistant_only_loss", "use_peft", "lora_r", "lora_alpha"),
        *("lora_dropout", "lora_target_modules", "load_in_4bit", "merge_adapter", "early_stopping_patience"),
        *("early_stopping_threshold", "resume_from_checkpoint"),
    )
)


def validate(parameters: object) -> dict[str, Any]:
    """All parameters, what was not given (or is null) at its default, and the further ones that were given.

    What has no use without another that is off is None. What it returns is valid again and comes out the same.
    Touches no disk.

    Raises ParameterError at the first that is unknown, missing, of the wrong type or out of range, or goes
    against another.
    """
    if not isinstance(parameters, dict):
        raise ParameterError("parameters", f"must be an object of names and values, not {kind_of(parameters)}")
    for name in parameters:
        if name not in PARAMETERS and name not in FURTHER and name not in RENAMED:
            raise _unknown(name)
    given = _renamed({name: value for name, value in parameters.items() if value is not None})
    values: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        if name in given:
            values[name] = _checked(name, parameter.check, given[name])
        elif parameter.required:
            raise ParameterError(name, f"is missing; give the {parameter.description}")
        else:
            values[name] = parameter.default
    for name, argument in FURTHER.items():
        if name in given:
            values[name] = _checked(name, argument.check, given[name])
    _check_needs(values, given)
    check_together(values, given)
    return values


def training_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of what `validate` returned, what `TrainingArguments` takes."""
    return {name: value for name, value in values.items() if name not in OWN and value is not None}


def _unknown(name: object) -> ParameterError:
    shown = short(name).strip("'\"")
    if isinstance(name, str) and name in RESERVED:
        return ParameterError(shown, RESERVED[name])
    known = [*PARAMETERS, *FURTHER]
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    remedy = INSTEAD.get(str(name)) or (f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
    return ParameterError(shown, f"is not a parameter of the fine-tune; {remedy}")


def _renamed(given: dict[str, Any]) -> dict[str, Any]:
    for new, name in RENAMED.items():
        if new in given:
            value = given.pop(new)
            if name in given and given[name] != value:
                raise ParameterError(new, f"and {name} are the same, but differ; give one of them")
            given[name] = value
    return given


def _checked(name: str, check: Check, value: object) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ParameterError(name, str(error)) from None


def _check_needs(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What has no use without another: an error if it is asked for, else None."""
    for name, parameter in PARAMETERS.items():
        if parameter.needs is None:
            continue
        needed, words = parameter.needs
        if values[needed] == "causal-lm" or values[needed] is True or type(values[needed]) is int:
            continue
        if given.get(name, False) is not False:
            state = f"with {needed} {values[needed]}" if values[needed] else f"without {needed}"
            raise ParameterError(name, f"has no use {state}; remove it, or set {needed} to {words}")
        values[name] = None
