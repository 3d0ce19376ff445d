"""The recipe's parameters as JSON Schema, made of the same table that they are checked against."""

from __future__ import annotations

import functools
from typing import Any

from .checks import Check
from .parameters import GROUPS, MORE, PARAMETERS
from .training_arguments import FURTHER

#: Words that are not written as the others in a title.
_WORDS = {
    "lora": "LoRA",
    "r": "rank",
    "optim": "optimizer",
    "eval": "evaluation",
}
_TITLES = {
    "max_steps": "Steps",
    "max_length": "Tokens of a row",
    "max_grad_norm": "Largest gradient norm",
    "max_train_samples": "Rows to learn",
    "max_eval_samples": "Rows to evaluate on",
    "num_train_epochs": "Epochs",
    "per_device_train_batch_size": "Batch size",
    "per_device_eval_batch_size": "Batch size of the evaluation",
    "dataset_path": "Data",
    "dataset_config": "Configuration of the dataset",
    "dataset_train_split": "Split to learn",
    "dataset_test_split": "Split to evaluate on",
    "eval_dataset_path": "Evaluation data",
    "eval_split": "Share kept for evaluation",
    "model_name": "Model",
    "bf16": "bfloat16",
    "fp16": "float16",
    "lr_scheduler_type": "Learning rate schedule",
    "greater_is_better": "Greater is better",
    "load_in_4bit": "Model in 4 bits (QLoRA)",
    "use_peft": "LoRA",
    "lora_target_modules": "Modules with LoRA",
    "save_total_limit": "Checkpoints kept",
}


@functools.cache
def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of all parameters; not to be changed.

    For a form, `x-groups` lists the groups in order, and each property has its `x-group`. `x-needs` names a parameter
    without which it has no use. What goes against another parameter is checked at submission.
    """
    properties = {}
    for name, parameter in PARAMETERS.items():
        about: dict[str, Any] = {"title": title(name), "description": parameter.description, "x-group": parameter.group}
        if parameter.default is not None:
            about["default"] = parameter.default
        if parameter.needs is not None:
            about["x-needs"] = parameter.needs[0]
        properties[name] = {**(parameter.check.schema if parameter.required else _or_null(parameter.check)), **about}
    for name, argument in FURTHER.items():
        # Whoever wants one of these knows it by its name.
        about = {"title": name, "description": argument.description, "x-group": MORE}
        properties[name] = {**_or_null(argument.check), **about}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Parameters of a fine-tune",
        "description": "null is as good as leaving it out. The fields that jobs of all kinds have come beside.",
        "type": "object",
        "properties": properties,
        "required": [name for name, parameter in PARAMETERS.items() if parameter.required],
        "additionalProperties": False,
        "x-groups": list(GROUPS),
    }


def title(name: str) -> str:
    """A parameter's name for people."""
    if name in _TITLES:
        return _TITLES[name]
    text = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return text[0].upper() + text[1:]


def _or_null(check: Check) -> dict[str, Any]:
    schema = dict(check.schema)
    if "anyOf" in schema:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    else:
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema
