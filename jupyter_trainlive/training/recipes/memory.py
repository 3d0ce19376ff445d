"""How much memory a training takes on a GPU, estimated without one.

Weights, gradients and the optimizer's numbers are counted. What the forward pass keeps for the backward pass is
measured on tensors without content (torch's meta device), for the longest batch there can be. Activations in
front of attention's softmax are left out: no kernel in use today keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Bytes that an optimizer keeps for each number that is trained; a name that is not here takes as much as AdamW.
_OPTIMIZER_BYTES = {
    "adamw_8bit": 2.0,
    "adamw_bnb_8bit": 2.0,
    "paged_adamw_8bit": 2.0,
    "lion_32bit": 4.0,
    "paged_lion_32bit": 4.0,
    "lion_8bit": 1.0,
    "paged_lion_8bit": 1.0,
    "ademamix": 12.0,
    "ademamix_8bit": 3.0,
    "rmsprop": 4.0,
    "adagrad": 4.0,
    "adafactor": 0.1,
    "galore_adafactor": 0.1,
    "galore_adamw": 2.0,
    "apollo_adamw": 2.0,
    "sgd": 0.0,
}
_ADAMW_BYTES = 8.0
#: 4 bits, for each 64 of them a constant of 8 bits, and for each 256 of those one of 32: QLoRA's double quantization.
_BYTES_IN_FOUR_BITS = 0.5 + 1 / 64 + 4 / (64 * 256)
_GB = 2**30
#: Bytes and shape of a tensor.
Kept = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Memory:
    """Bytes by what they are for."""

    model: float
    gradients: float
    optimizer: float
    activations: float

    def in_gb(self) -> dict[str, float]:
        """GB (2**30 bytes) by name, with the ``total``."""
        parts = {
            "model": self.model / _GB,
            "gradients": self.gradients / _GB,
            "optimizer": self.optimizer / _GB,
            "activations": self.activations / _GB,
        }
        return {**parts, "total": sum(parts.values())}


def optimizer_bytes(optimizer: str, trained: int) -> float:
    """What an optimizer keeps of `trained` numbers."""
    return _OPTIMIZER_BYTES.get(optimizer, _ADAMW_BYTES) * trained


def count(model: Any, *, trained_only: bool = False) -> int:
    """How many numbers a model has; what several of its layers share counts once."""
    return sum(part.numel() for part in model.parameters() if part.requires_grad or not trained_only)


def estimate(model: Any, values: Mapping[str, Any], length: int, vocabulary: int) -> Memory:
    """The memory of a training of `model`, which is empty, with rows of up to `length` tokens.

    `vocabulary` is how many outputs it has for each of them, 0 where it has none.
    """
    trained = count(model, trained_only=True)
    weights = _weights(model, values)
    # Changes the type of the weights.
    activations = _activations(model, values, length, vocabulary)
    if (values["bf16"] or values["fp16"]) and not values["use_peft"]:
        # Mixed precision keeps a copy of the weights in 16 bits for the backward pass.
        activations += 2 * trained
    # Gradients and what the optimizer computes with are there at the same time, but activations no more.
    step = 4 * trained if values["optim"] not in ("adamw_torch_fused", "sgd") else 0
    return Memory(
        model=weights,
        gradients=4 * trained,
        optimizer=optimizer_bytes(values["optim"], trained),
        activations=max(activations, step),
    )


def _weights(model: Any, values: Mapping[str, Any]) -> float:
    in_four_bits = _quantized(model) if values["load_in_4bit"] else frozenset()
    size = 0.0
    buffers: int = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    for name, part in model.named_parameters():
        if name in in_four_bits:
            size += _BYTES_IN_FOUR_BITS * part.numel()
        else:
            # What isn't quantized is kept in 32 bits then.
            size += (4 if values["load_in_4bit"] else part.element_size()) * part.numel()
    return size + buffers


def _quantized(model: Any) -> frozenset[str]:
    """Names of the weights that bitsandbytes quantizes: of linear layers, but not of the output."""
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    frozen = {id(part.weight) for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head}
    return frozenset(name for name, part in model.named_parameters() if id(part) in frozen and not part.requires_grad)


def _activations(model: Any, values: Mapping[str, Any], length: int, vocabulary: int) -> float:
    """Bytes that a step has in use besides weights, gradients and optimizer, at their most."""
    import torch

    batch = values["per_device_train_batch_size"]
    # Odd, so that it is no size of the model's.
    length |= 1
    half = torch.bfloat16 if values["bf16"] or values["fp16"] else torch.float32
    layers, hidden = max(1, _layers(model.config)), _hidden(model.config)
    try:
        sizes = _kept(model.to(half).train(), values["task"], batch, length)
    except Exception:  # noqa: BLE001 - what it computes depends on values, as with experts that are chosen by them
        sizes = _usual(batch * length, layers, hidden, vocabulary, half.itemsize)
    outputs = [size for size, shape in sizes if vocabulary and shape and shape[-1] == vocabulary]
    inner = sum(size for size, _ in sizes) - sum(outputs)
    if values["gradient_checkpointing"]:
        # Of each layer its input is kept; one at a time is computed once more.
        inner = inner / layers + layers * batch * length * hidden * half.itemsize
    largest = max((size for size, _ in sizes), default=0)
    # The logits of all tokens in 32 bits, their softmax and its gradient are there at the same time.
    return sum(outputs) + inner + 2 * largest


def _usual(tokens: int, layers: int, hidden: int, vocabulary: int, itemsize: int) -> list[Kept]:
    """What transformers keep in general: 17 numbers a token and hidden unit (Korthikanti et al., 2022), and logits."""
    kept: list[Kept] = [(17 * tokens * hidden * itemsize, (tokens, hidden))] * layers
    return kept + [(4 * tokens * vocabulary, (tokens, vocabulary))] * 2 if vocabulary else kept


def _hidden(config: Any) -> int:
    return int(getattr(config, "hidden_size", None) or getattr(config, "d_model", None) or 0)


def _layers(config: Any) -> int:
    """Layers of a model, those of a decoder besides an encoder's included."""

    def most(*names: str) -> int:
        return max(int(getattr(config, name, None) or 0) for name in names)

    decoder = most("decoder_layers", "num_decoder_layers") if getattr(config, "is_encoder_decoder", False) else 0
    return most("num_hidden_layers", "num_layers", "encoder_layers") + decoder


def _kept(model: Any, task: str, batch: int, length: int) -> list[Kept]:
    """Bytes and shape of all tensors that the forward pass of a training keeps, the weights left out."""
    import torch

    weights = {part.untyped_storage()._cdata for part in [*model.parameters(), *model.buffers()]}
    kept: dict[int, tuple[Any, tuple[int, ...]]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        shape = tuple(tensor.shape)
        # Attention weights: kernels in use today compute them twice instead of keeping them.
        scores = len(shape) >= 3 and shape[-1] == shape[-2] == length
        if storage._cdata not in weights and not scores and tensor.device.type == "meta":
            kept.setdefault(storage._cdata, (storage, shape))
        return tensor

    ids = torch.zeros((batch, length), dtype=torch.long, device="meta")
    labels = torch.zeros(
        batch if task == "sequence-classification" else (batch, length), dtype=torch.long, device="meta"
    )
    with _yes(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
    return [(storage.nbytes(), shape) for storage, shape in kept.values()]


def _yes() -> Any:
    """While it lasts, what is asked of the content of an empty tensor is true: that a mask hides nothing, mostly."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Yes(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default and args[0].dtype is torch.bool:
                return True
            return func(*args, **(kwargs or {}))

    return Yes()  # type: ignore[no-untyped-call,unused-ignore]
