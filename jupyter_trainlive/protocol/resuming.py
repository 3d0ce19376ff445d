"""Whether a training can go on from a checkpoint, as far as small files tell without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checks import ParameterError
from .json_file import object_in
from .model_tasks import read_config
from .values import whole

_FIELD = "resume_from_checkpoint"
#: What must be the same in two models whose weights are to fit, in the order in which it is told.
_SHAPES = ("model_type", "hidden_size", "d_model", "n_embd", "num_hidden_layers", "intermediate_size", "vocab_size")


def check_fits(folder: Path, values: Mapping[str, Any]) -> None:
    """Raise ParameterError where the checkpoint in `folder` is not one of a training with these checked parameters."""
    adapter = _read(folder / "adapter_config.json")
    if adapter is None and values["use_peft"]:
        raise ParameterError(_FIELD, f"{folder} holds a whole model and no adapter; leave out use_peft")
    if adapter is not None:
        _check_adapter(folder, adapter, values)
    else:
        _check_model(folder, values)
    done = whole((_read(folder / "trainer_state.json") or {}).get("global_step"))
    if done is not None and 0 < values["max_steps"] <= done:
        raise ParameterError(
            _FIELD,
            f"has {done} steps behind it, and this training has only {values['max_steps']}; raise max_steps, which "
            "counts from the beginning, the checkpoint's steps included",
        )


def _check_adapter(folder: Path, adapter: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if not values["use_peft"]:
        raise ParameterError(_FIELD, f"{folder} holds an adapter; set use_peft=True")
    rank = adapter.get("r")
    if isinstance(rank, int) and rank != values["lora_r"]:
        raise ParameterError(
            _FIELD, f"{folder} holds an adapter of lora_r {rank}, not {values['lora_r']}; set lora_r={rank}"
        )
    modules, wanted = adapter.get("target_modules"), values["lora_target_modules"]
    if isinstance(modules, list) and isinstance(wanted, list) and set(modules) != set(wanted):
        named = ", ".join(sorted(map(str, modules)))
        raise ParameterError(
            _FIELD, f"{folder} holds an adapter of the modules {named}; set lora_target_modules to these"
        )


def _check_model(folder: Path, values: Mapping[str, Any]) -> None:
    there, wanted = read_config(folder), read_config(Path(values["model_name"]))
    for name in _SHAPES:
        one, other = there.get(name), wanted.get(name)
        if one is not None and other is not None and one != other:
            raise ParameterError(
                _FIELD,
                f"{folder} is of another model than model_name: its {name} is {one}, not {other}; give the model_name "
                "that it was trained from",
            )


def _read(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file, empty where it can't be read; None where there is no such file."""
    return object_in(file) or {} if file.is_file() else None
