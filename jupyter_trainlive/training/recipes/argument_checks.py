"""Objects among the parameters that transformers looks into only once a training begins: looked into before."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..errors import RecipeError

_FLAGS = ("use_reentrant", "preserve_rng_state", "debug", "early_stop", "offload")
_REASON_LIMIT = 300


def check_arguments(values: Mapping[str, Any]) -> None:
    """Raise RecipeError, which names the parameter and a remedy, where one can't be what a training takes."""
    if values.get("use_liger_kernel") and importlib.util.find_spec("liger_kernel") is None:
        raise RecipeError(
            "use_liger_kernel needs liger-kernel, which is missing in the environment of the training kernel",
            "Run pip install liger-kernel in that environment, or leave use_liger_kernel out.",
            field="use_liger_kernel",
        )
    if values.get("gradient_checkpointing_kwargs"):
        _check_gradient_checkpointing(values["gradient_checkpointing_kwargs"])
    if values.get("accelerator_config"):
        _check_accelerator(values["accelerator_config"])
    if values.get("lr_scheduler_kwargs"):
        _check_schedule(values)


def _check_gradient_checkpointing(given: Mapping[str, Any]) -> None:
    from torch.utils.checkpoint import checkpoint
    from transformers import PreTrainedModel

    enable = getattr(PreTrainedModel, "activation_checkpointing_enable", PreTrainedModel.gradient_checkpointing_enable)
    known = {"preserve_rng_state", *inspect.signature(checkpoint).parameters} - {"function", "args", "kwargs"}
    known |= {"every_n_layers", "offload"} & set(inspect.signature(enable).parameters)
    # A function does not travel in JSON.
    _check_names("gradient_checkpointing_kwargs", given, known - {"context_fn"})
    for name in _FLAGS:
        if name in given and not isinstance(given[name], bool):
            raise RecipeError(
                f"gradient_checkpointing_kwargs has {name} {given[name]!r}",
                f"Set {name} to true or false.",
                field="gradient_checkpointing_kwargs",
            )


def _check_accelerator(given: Mapping[str, Any]) -> None:
    from transformers.trainer_pt_utils import AcceleratorConfig

    _check_names("accelerator_config", given, {field.name for field in fields(AcceleratorConfig)})


def _check_names(field: str, given: Mapping[str, Any], known: set[str]) -> None:
    if strange := sorted(set(given) - known):
        raise RecipeError(
            f"{field} has {strange[0]}, which is not known there", f"Known are {', '.join(sorted(known))}.", field=field
        )


def _check_schedule(values: Mapping[str, Any]) -> None:
    """Make the schedule, of a weight that is nobody's."""
    import torch
    from transformers import get_scheduler

    schedule, options = values["lr_scheduler_type"], values["lr_scheduler_kwargs"]
    field = "lr_scheduler_kwargs"
    if schedule in ("constant", "constant_with_warmup"):
        raise RecipeError(f"{field} has no use with lr_scheduler_type {schedule}", "Leave it out.", field=field)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=values["learning_rate"])
    try:
        made: Any = get_scheduler(
            schedule, optimizer, num_warmup_steps=1, num_training_steps=3, scheduler_specific_kwargs=dict(options)
        )
        if schedule != "reduce_lr_on_plateau":
            with warnings.catch_warnings():
                # It wants the optimizer to step first.
                warnings.simplefilter("ignore")
                for _ in range(3):
                    made.step()
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:_REASON_LIMIT]
        raise RecipeError(
            f"{field} does not fit lr_scheduler_type {schedule}: {reason}",
            f"Give what transformers' schedule {schedule} takes, with values of the right type, or leave it out.",
            field=field,
        ) from error
