"""LoRA and QLoRA: a small adapter is trained beside weights that stay as they are (PEFT does it)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RecipeError

_REASON_LIMIT = 300
_TASKS = {"causal-lm": "CAUSAL_LM", "sequence-classification": "SEQ_CLS", "seq2seq": "SEQ_2_SEQ_LM"}
#: Names under which models have their embeddings, besides what PEFT knows.
_EMBEDDINGS = frozenset(("embed_tokens", "lm_head", "wte", "embed_in", "embed_out", "shared", "word_embeddings"))


def attach(model: Any, values: Mapping[str, Any]) -> Any:
    """The model with a new adapter, which alone is trained, in 32 bits. Raises RecipeError where it takes none."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if values["load_in_4bit"]:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call]
        _keep_from_repacking(model)
    targets = values["lora_target_modules"]
    config = LoraConfig(
        r=values["lora_r"],
        lora_alpha=values["lora_alpha"],
        lora_dropout=values["lora_dropout"],
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type=_TASKS[values["task"]],
    )
    try:
        adapted: Any = get_peft_model(model, config)
    except ValueError as error:
        raise _does_not_fit(model, str(error).strip().splitlines()[0][:_REASON_LIMIT]) from error
    for parameter in adapted.parameters():
        # A head that is trained besides has the type of the weights, and 16 bits are too few for small steps.
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    if values["gradient_checkpointing"]:
        # Else nothing that is recomputed would have a gradient: its inputs need none.
        adapted.enable_input_require_grads()
    # Left to itself it asks the hub at every checkpoint whether the embeddings were changed.
    embeddings = not isinstance(targets, str) and not _EMBEDDINGS.isdisjoint(targets)
    adapted.save_pretrained = functools.partial(adapted.save_pretrained, save_embedding_layers=embeddings)
    return adapted


def _does_not_fit(model: Any, reason: str) -> RecipeError:
    if "lora_dropout" in reason:
        # Experts of a mixture, for one, take none.
        return RecipeError(f"the model takes no lora_dropout: {reason}", "Set it to 0.", field="lora_dropout")
    return RecipeError(
        f"lora_target_modules does not fit the model: {reason}",
        f'Leave it out: then it is "all-linear". Known modules are, for example, {", ".join(linear_modules(model))}.',
        field="lora_target_modules",
    )


def _keep_from_repacking(model: Any) -> None:
    """Have bitsandbytes leave its weights as they are when a model is evaluated on a CPU.

    It would lay them out anew for a kernel that computes no gradients, and go on to train with that: from the first
    evaluation on the adapter would learn next to nothing, without a word.
    """
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False


def linear_modules(model: Any) -> list[str]:
    """Short names of the linear layers of a model."""
    import torch

    return sorted(
        {name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    )


def load_adapter(model: Any, folder: Path) -> None:
    """Give the adapter of a model the weights in a folder."""
    model.load_adapter(str(folder), model.active_adapters[0], is_trainable=True)


def merged(adapter: Path, values: Mapping[str, Any], labels: Sequence[str] | None) -> Any:
    """The model with the adapter worked into its weights, which have the type they were saved with.

    From the model as it was, not as it was trained: that one may be in 4 bits, and it stays with its adapter.
    """
    from peft import PeftModel

    from .models import load_config, model_class

    config = load_config(values["model_name"], values["task"], labels)
    options: dict[str, Any] = {"dtype": "auto"}
    if values["task"] == "sequence-classification":
        options["ignore_mismatched_sizes"] = True
    base = model_class(values["task"]).from_pretrained(values["model_name"], config=config, **options)
    whole: Any = PeftModel.from_pretrained(base, str(adapter), is_trainable=False)
    return whole.merge_and_unload()
