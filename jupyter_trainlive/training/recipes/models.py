"""The model of a task and its tokenizer, loaded with what the recipe needs of them."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...protocol.model_tasks import misfit
from ..errors import RecipeError

#: transformers' class for each task, and what such a model is called.
_CLASSES = {
    "causal-lm": ("AutoModelForCausalLM", "a causal language model"),
    "sequence-classification": ("AutoModelForSequenceClassification", "a model that can classify text"),
    "seq2seq": ("AutoModelForSeq2SeqLM", "an encoder-decoder model"),
}
_REASON_LIMIT = 300


def require_packages(values: Mapping[str, Any], *, computing: bool = True) -> None:
    """Raise RecipeError where a package, or the GPU that a parameter needs, is missing in this environment.

    Without `computing` nothing is trained here, and no GPU is needed.
    """
    if not values["load_in_4bit"]:
        # It is imported wherever it is installed, and then tells of kernels that nobody asked for.
        logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(_is_no_news_of_kernels)
    _require("torch", "transformers", "accelerate", remedy='pip install "jupyter_trainlive[train]"')
    import torch
    import transformers

    # Bars are for terminals; under a kernel they would be widgets that nobody sees.
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if values["use_peft"]:
        _require("peft", remedy='pip install "peft>=0.17"', field="use_peft")
    if values["load_in_4bit"]:
        _require("bitsandbytes", remedy='pip install "bitsandbytes>=0.46"', field="load_in_4bit")
    if computing:
        check_devices(values, torch.cuda.device_count())
    if computing and values["fp16"] and not torch.cuda.is_available():
        raise RecipeError("fp16 needs a GPU, and this process has none", "Leave fp16 out, or take bf16.", field="fp16")


def _is_no_news_of_kernels(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Failed to load CPU gemm_4bit_forward")


def check_devices(values: Mapping[str, Any], devices: int) -> None:
    """Raise RecipeError where the parameters don't go with so many GPUs."""
    if devices > 1 and values["load_in_4bit"]:
        raise RecipeError(
            f"load_in_4bit trains on one GPU, and this job has {devices}",
            "Ask for one with gpus=1.",
            field="load_in_4bit",
        )


def _require(*modules: str, remedy: str, field: str | None = None) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise RecipeError(
                f"{error.name or module} is missing in the environment of the training kernel"
                + (f", and {field} needs it" if field else ""),
                f"Run {remedy} in that environment.",
                field=field,
            ) from None


def load_tokenizer(name: str) -> Any:
    """The tokenizer, with a token to pad with where there is any that can serve."""
    from transformers import AutoTokenizer

    with loading(f"the tokenizer of {name}"):
        tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(name: str, task: str, labels: Sequence[str] | None = None) -> Any:
    """The model's configuration; for classification with the names of the labels, by their ids.

    Raises RecipeError where there is none, or it is that of a model for another task.
    """
    from transformers import AutoConfig

    with loading(f"the configuration of {name}", task):
        config = AutoConfig.from_pretrained(name)
    _check_task(name, config, task)
    if labels is not None and not _are_those_of(config, labels):
        # Together, or the first would make up names for the second.
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    if labels is not None:
        config.problem_type = "single_label_classification"
    return config


def _check_task(name: str, config: Any, task: str) -> None:
    """Raise RecipeError where a model is not one for the task, as its kind or transformers' own tables say."""
    found = misfit(config.to_dict(), task)
    if found is not None:
        what, fitting = found[0], [found[1]]
    elif type(config) not in model_class(task)._model_mapping:
        what = f"a {config.model_type} model"
        fitting = [other for other in _CLASSES if type(config) in model_class(other)._model_mapping]
    else:
        return
    choices = " or ".join(f'task="{other}"' for other in fitting)
    remedy = f"Set {choices}, or g" if fitting else "G"
    raise RecipeError(
        f"task {task} is not what model_name {name} is for, {what}",
        f"{remedy}ive {_CLASSES[task][1]}.",
        field="task",
    )


def _are_those_of(config: Any, labels: Sequence[str]) -> bool:
    """Whether labels that are mere numbers mean the classes that the model has names for already."""
    names: dict[Any, str] = getattr(config, "id2label", None) or {}
    made_up = all(name == f"LABEL_{index}" for index, name in names.items())
    numbers = all(label == str(index) for index, label in enumerate(labels))
    return len(names) == len(labels) and numbers and not made_up


def length_limit(values: Mapping[str, Any], config: Any, tokenizer: Any) -> int:
    """Tokens of a row: as asked for, but never more than tokenizer and model take."""
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    known = [limit for limit in limits if isinstance(limit, int) and limit > 1]
    return min([int(values["max_length"]), *known])


def weights_type(values: Mapping[str, Any]) -> Any:
    """The type of the weights while they are trained.

    32 bits whatever they were saved in: AdamW's small steps vanish in 16, and fp16's scaler refuses them.
    Weights that stay as they are under an adapter have that of the mixed precision, which takes half the memory.
    """
    import torch

    if values["use_peft"] and values["bf16"]:
        return torch.bfloat16
    return torch.float16 if values["use_peft"] and values["fp16"] else torch.float32


def load_model(values: Mapping[str, Any], config: Any, tokenizer: Any, weights: Path | None = None) -> Any:
    """The model to train, not yet with its adapter; `weights` is a folder to take them from instead of its own.

    Raises RecipeError where it can't be loaded.
    """
    task: str = values["task"]
    name = str(weights or values["model_name"])
    options: dict[str, Any] = {"dtype": weights_type(values)}
    if task == "sequence-classification":
        # The head of another number of classes is begun anew.
        options["ignore_mismatched_sizes"] = True
    if values["load_in_4bit"]:
        options |= _in_four_bits(options["dtype"])
    with loading(f"the model {name}", task):
        model = model_class(task).from_pretrained(name, config=config, **options)
    fit(model, tokenizer)
    return model


def empty_model(values: Mapping[str, Any], config: Any, tokenizer: Any) -> Any:
    """The model as `load_model` has it, but without its weights: it takes no memory, and can't compute."""
    import torch

    with loading(f"the model {values['model_name']}", values["task"]), torch.device("meta"):
        model = model_class(values["task"]).from_config(config, dtype=weights_type(values))
    fit(model, tokenizer)
    return model


def model_class(task: str) -> Any:
    """transformers' class that loads models for a task."""
    return getattr(importlib.import_module("transformers"), _CLASSES[task][0])


def fit(model: Any, tokenizer: Any) -> None:
    """Tell the model which token is none: a classifier finds the last of a text by it."""
    if tokenizer.pad_token_id is not None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _in_four_bits(compute_type: Any) -> dict[str, Any]:
    """How QLoRA loads: NF4 with constants that are quantized too (Dettmers et al., 2023)."""
    import torch
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_type,
    )
    # What is quantized can't be moved later on.
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": quantization, "device_map": {"": device}}


def check_vocabulary(model: Any, largest: int) -> None:
    """A token the model has no embedding for would crash deep inside torch, on a GPU past repair."""
    size = model.get_input_embeddings().weight.shape[0]
    if largest >= size:
        raise RecipeError(
            f"the tokenizer of model_name gives token {largest}, but the model knows only {size}",
            "Give a model whose tokenizer belongs to it.",
            field="model_name",
        )


@contextlib.contextmanager
def loading(what: str, task: str | None = None) -> Iterator[None]:
    """Say what could not be loaded, whatever the reason: raises RecipeError."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = lines[0] if len(lines[0]) < _REASON_LIMIT else lines[0][: _REASON_LIMIT - 1] + "…"
        kind = f" It must be {_CLASSES[task][1]} that needs no code of its own (task is {task})." if task else ""
        raise RecipeError(
            f"{what[0].upper()}{what[1:]} can't be loaded: {type(error).__name__}: {reason}",
            "Check model_name for typing errors. A model from the hub needs the network, or its files in the cache, "
            "and a token (HF_TOKEN) where its owner grants access; a folder must be one that save_pretrained "
            f"wrote.{kind}",
            field="model_name",
        ) from error
