"""The recipe's parameters: one table of their names, defaults and limits, and the check against it.

Names are transformers' `TrainingArguments`' own. Others: `max_length` is TRL's; `model_name` and
`dataset_path` are the contract's; `eval_split` has no settled name anywhere (`run_clm.py` says
`validation_split_percentage`, scikit-learn `test_size`), here it is a fraction of the rows.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_INT_LIMIT = 2**31 - 1
_SEED_LIMIT = 2**32 - 1
#: A hub id: an optional owner and a name, of letters, digits, `-`, `_` and `.`.
_HUB_ID = re.compile(r"(?:[\w][\w.-]{0,95}/)?[\w](?:[\w.-]{0,94}[\w])?", re.ASCII)

#: transformers' schedules, without those that need arguments of their own or an evaluation to work.
SCHEDULERS = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
)
OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd")
STRATEGIES = ("no", "steps", "epoch")


class ParameterError(ValueError):
    """What is wrong with one parameter, `field`: `message` goes on after its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` returns the usable value, or raises ValueError saying what it must be."""

    default: Any
    check: Callable[[object], Any]
    description: str
    required: bool = False


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {_kind(value)}")
    if not value.strip():
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not contain a zero character")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_kind(value)}")
    return value


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        given = f" {_short(value)}" if isinstance(value, str) else ""
        raise ValueError(f"must be a number, not {_kind(value)}{given}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _number(
    least: float, most: float = math.inf, *, above: bool = False, below: bool = False
) -> Callable[[object], float]:
    """Numbers from `least` to `most`; `above` and `below` leave out the bound itself."""
    text = f"must be {'above' if above else 'at least'} {least:g}"
    if most < math.inf:
        text += f" and {'below' if below else 'at most'} {most:g}"

    def check(value: object) -> float:
        number = _real(value)
        if number < least or number > most or (above and number == least) or (below and number == most):
            raise ValueError(f"{text}, but is {number:g}")
        return number

    return check


def _whole(least: int, most: int = _INT_LIMIT) -> Callable[[object], int]:
    """Whole numbers; JSON does not tell 3.0 from 3."""

    def check(value: object) -> int:
        number = _real(value)
        if number != int(number):
            raise ValueError(f"must be a whole number, but is {number:g}")
        if number < least:
            raise ValueError(f"must be at least {least}, but is {number:.15g}")
        if number > most:
            raise ValueError(f"must be at most {most}, but is {number:.15g}")
        return int(number)

    return check


def _steps(least: int) -> Callable[[object], int | float]:
    """A number of steps, or as a fraction below 1 a share of all of them."""

    def check(value: object) -> int | float:
        number = _real(value)
        if 0 < number < 1:
            return number
        if number < least or number != int(number) or number > _INT_LIMIT:
            share = "a share of them between 0 and 1"
            raise ValueError(f"must be a whole number of steps from {least} on, or {share}, but is {number:g}")
        return int(number)

    return check


def _choice(choices: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, but is {_short(value)}")
        return value

    return check


def _max_steps(value: object) -> int:
    steps = _whole(-1)(value)
    if steps == 0:
        raise ValueError("must be at least 1, or -1 to train for num_train_epochs")
    return steps


PARAMETERS: dict[str, Parameter] = {
    "model_name": Parameter(None, _text, "hub id or folder of a causal language model", required=True),
    "dataset_path": Parameter(None, _text, "JSON Lines file of the rows to learn", required=True),
    "num_train_epochs": Parameter(3.0, _number(0, 1e6, above=True), "passes over the rows"),
    "max_steps": Parameter(-1, _max_steps, "optimizer steps instead of num_train_epochs; -1: by epochs"),
    "per_device_train_batch_size": Parameter(8, _whole(1), "rows a device takes at once in training"),
    "per_device_eval_batch_size": Parameter(8, _whole(1), "rows a device takes at once in evaluation"),
    "gradient_accumulation_steps": Parameter(1, _whole(1), "batches whose gradients make one step"),
    "learning_rate": Parameter(5e-5, _number(0, 1e3, above=True), "highest learning rate"),
    "lr_scheduler_type": Parameter("linear", _choice(SCHEDULERS), "how the learning rate goes on"),
    # transformers 5 took the ratio that was `warmup_ratio` into this one.
    "warmup_steps": Parameter(0, _steps(0), "steps, or fraction of the steps, in which the rate rises"),
    "weight_decay": Parameter(0.0, _number(0, 1e3), "decay of the weights"),
    "max_grad_norm": Parameter(1.0, _number(0, 1e9), "gradients are clipped to this norm; 0: never"),
    "optim": Parameter("adamw_torch", _choice(OPTIMIZERS), "optimizer"),
    "bf16": Parameter(False, _flag, "mixed precision with bfloat16"),
    "fp16": Parameter(False, _flag, "mixed precision with float16; needs a GPU"),
    "gradient_checkpointing": Parameter(False, _flag, "less memory, slower steps"),
    "max_length": Parameter(1024, _whole(2), "tokens of a row; never more than the model takes"),
    "eval_split": Parameter(0.0, _number(0, 1, below=True), "fraction of the rows kept for evaluation"),
    # Every step, since the curve is what one watches: a step of a fine-tune takes longer than the 10 µs of a
    # record, and a run of 30 steps would have three points at 10. transformers' default is 500.
    "logging_steps": Parameter(1, _whole(1), "steps between two points of the loss"),
    "eval_strategy": Parameter(None, _choice(STRATEGIES), "when to evaluate; epoch with an eval_split"),
    "eval_steps": Parameter(None, _steps(1), "steps between two evaluations"),
    "save_strategy": Parameter("steps", _choice(STRATEGIES), "when to save a checkpoint"),
    "save_steps": Parameter(None, _steps(1), "steps between two checkpoints; 500 with save_strategy steps"),
    # transformers keeps all of them; a few of a large model fill a disk.
    "save_total_limit": Parameter(2, _whole(1), "checkpoints kept, the latest ones"),
    "seed": Parameter(42, _whole(0, _SEED_LIMIT), "seed of everything random"),
}


def validate(parameters: object) -> dict[str, Any]:
    """All parameters, what was not given (or is null) at its default. Touches no disk.

    What it returns is valid again and comes out the same.

    Raises ParameterError at the first that is unknown, missing, of the wrong type or out of range, or goes
    against another.
    """
    if not isinstance(parameters, dict):
        raise ParameterError("parameters", f"must be an object of names and values, not {_kind(parameters)}")
    for name in parameters:
        if name not in PARAMETERS:
            near = difflib.get_close_matches(str(name), PARAMETERS, n=1, cutoff=0.5)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(PARAMETERS)}"
            raise ParameterError(_short(name).strip("'\""), f"is not a parameter of the fine-tune; {remedy}")
    given = {name: value for name, value in parameters.items() if value is not None}
    values: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        if name in given:
            try:
                values[name] = parameter.check(given[name])
            except ValueError as error:
                raise ParameterError(name, str(error)) from None
        elif parameter.required:
            raise ParameterError(name, f"is missing; give the {parameter.description}")
        else:
            values[name] = parameter.default
    _check_together(values, given)
    return values


def _check_together(values: dict[str, Any], given: dict[str, Any]) -> None:
    """What only shows between parameters; fills in what follows from the others."""
    if values["bf16"] and values["fp16"]:
        raise ParameterError("fp16", "and bf16 can't both be true; choose one")
    strategy, steps = values["eval_strategy"], values["eval_steps"]
    if not values["eval_split"]:
        for name in ("eval_strategy", "eval_steps"):
            if given.get(name, "no") != "no":
                raise ParameterError(name, "needs rows to evaluate on; set eval_split, such as 0.1")
    if strategy is None:
        strategy = "steps" if steps is not None else "epoch" if values["eval_split"] else "no"
    if strategy == "steps" and steps is None:
        raise ParameterError("eval_steps", 'is missing; give the steps between evaluations, or eval_strategy "epoch"')
    if strategy != "steps" and steps is not None:
        raise ParameterError("eval_steps", f'has no use with eval_strategy "{strategy}"; remove one, or set "steps"')
    saving = values["save_strategy"]
    if saving == "steps":
        values["save_steps"] = values["save_steps"] or 500
    elif values["save_steps"] is not None:
        raise ParameterError("save_steps", f'has no use with save_strategy "{saving}"; remove one of the two')
    values["eval_strategy"] = strategy


def check_model(name: str, base: Path | None = None) -> str:
    """The model `name` as `from_pretrained` takes it: an existing folder's absolute path, or a hub id.

    Relative paths begin at `base` (default: the current folder). Whether the hub has the model isn't asked.
    Raises ParameterError where neither can be meant.
    """
    try:
        path = (base or Path.cwd()) / Path(name).expanduser()
        looks_local = name.startswith(("/", "~", "./", "../", "\\")) or name in (".", "..")
        if path.is_dir():
            if (path / "config.json").is_file():
                return str(path.resolve())
            if looks_local or not _HUB_ID.fullmatch(name):
                raise ParameterError(
                    "model_name", f"{_short(name)} is a folder without config.json; give a saved model's"
                )
        elif looks_local:
            problem = "is a file" if path.exists() else f"does not exist ({path})"
            raise _no_model(name, f"{problem}; give the folder of a saved model, or a hub id like owner/name")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _no_model(name, f"can't be looked at: {reason}") from None
    if not _HUB_ID.fullmatch(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise _no_model(name, "is neither a folder here nor a hub id like owner/name")
    return name


def _no_model(name: str, problem: str) -> ParameterError:
    return ParameterError("model_name", f"{_short(name)} {problem}")


def _kind(value: object) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), f"a {type(value).__name__}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
