"""The recipe's parameters as the `TrainingArguments` of the transformers that is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...protocol.parameters import training_arguments
from ...protocol.training_arguments import RENAMED
from ..errors import RecipeError
from .argument_checks import check_arguments

#: Packages that optimizers and parameters need, and what pip calls them.
_PACKAGES = {
    "adamw_8bit": "bitsandbytes",
    "adamw_bnb_8bit": "bitsandbytes",
    "paged": "bitsandbytes",
    "lion": "bitsandbytes",
    "ademamix": "bitsandbytes",
    "galore": "galore-torch",
    "apollo": "apollo-torch",
    "stable_adamw": "torch-optimi",
}


def make_arguments(values: Mapping[str, Any], folder: Path) -> Any:
    """The arguments of a training whose checkpoints lie in `folder`. Raises RecipeError where they are refused."""
    import torch
    import transformers
    from transformers import TrainingArguments

    given = training_arguments(values)
    # The store of the recipe does it, and keeps the best one besides.
    given.pop("save_total_limit", None)
    known = TrainingArguments.__dataclass_fields__
    for new, old in RENAMED.items():
        # Later releases of transformers 5 warn about the old name.
        if old in given and new in known:
            given[new] = given.pop(old)
    if strange := sorted(name for name in given if name not in known):
        raise RecipeError(
            f"{strange[0]} is no argument of transformers {transformers.__version__}, which is in this environment",
            "Leave it out, or install another release of transformers there.",
            field=strange[0],
        )
    check_arguments(values)
    if values["early_stopping_patience"] is not None:
        # How long it has been waiting goes with a checkpoint.
        given["restore_callback_states_from_checkpoint"] = True
    # A GPU takes them sooner from memory that is not moved.
    given.setdefault("dataloader_pin_memory", torch.cuda.is_available())
    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    try:
        return TrainingArguments(
            output_dir=str(folder),
            # Said outright, or bf16 is refused without a GPU.
            use_cpu=not accelerated,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
            logging_first_step=True,
            # Else a run whose loss is NaN throughout shows a loss of zero.
            logging_nan_inf_filter=False,
            **given,
        )
    except (ValueError, ImportError, TypeError) as error:
        field = next((name for name in ("tf32", "bf16", "fp16") if values.get(name) and name in str(error)), None)
        if field is None:
            raise RecipeError(f"transformers refuses these parameters: {error}") from error
        raise RecipeError(f"{field} can't be used: {error}", f"Leave {field} out.", field=field) from error


def missing_package(values: Mapping[str, Any], error: ImportError | ValueError) -> RecipeError | None:
    """What to say of an optimizer that could not be made, where that is for want of its package."""
    optimizer: str = values["optim"]
    package = next((package for name, package in _PACKAGES.items() if optimizer.startswith(name)), None)
    if package is None:
        return None
    return RecipeError(
        f"optim {optimizer} can't be used: {str(error).strip().splitlines()[0][:300]}",
        f"Run pip install {package} in the environment of the training kernel, or take adamw_torch.",
        field="optim",
    )


def steps_of(values: Mapping[str, Any], rows: int, devices: int) -> tuple[int, int]:
    """Optimizer steps in all, and of one epoch, as the Trainer counts them.

    Several `devices` of one process share each batch: it has as many times as many rows.
    """
    batch = values["per_device_train_batch_size"] * max(1, devices)
    batches = rows // batch if values.get("dataloader_drop_last") else math.ceil(rows / batch)
    per_epoch = max(1, math.ceil(batches / values["gradient_accumulation_steps"]))
    if values["max_steps"] > 0:
        return values["max_steps"], per_epoch
    return math.ceil(values["num_train_epochs"] * per_epoch), per_epoch
