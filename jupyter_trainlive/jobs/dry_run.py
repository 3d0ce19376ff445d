"""What a fine-tune would do, and whether it would fit on the GPU that it would get; nothing of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ..kernels.launcher import Launcher
from ..kernels.question import Unanswered
from ..system import Gpu, HostReader
from .errors import InvalidRequest, Unprocessable
from .queue import Slot

#: Rows are turned into tokens for so long at most; of more than that the numbers are estimated.
_READING_SECONDS = 60.0
#: What CUDA itself and the gaps between blocks take of a GPU.
_USABLE_SHARE, _CONTEXT_GB = 0.95, 0.6
_REMEDIES = (
    "lower per_device_train_batch_size (and raise gradient_accumulation_steps to match) or max_length, or set "
    "gradient_checkpointing, bf16, use_peft or load_in_4bit."
)
_COUNTS = (
    *("rows", "eval_rows", "tokens", "truncated_rows", "unusable_rows", "steps", "steps_per_epoch"),
    *("trainable_parameters", "all_parameters"),
)
_PARTS = ("model", "gradients", "optimizer", "activations", "total")


async def describe(
    spec: dict[str, Any], launcher: Launcher, gpus: Sequence[Gpu], slots: Sequence[Slot]
) -> dict[str, Any]:
    """The answer to a request with ``dry_run``, as ``POST api/training/execute`` gives it.

    `slots` are the GPUs that the job may get, out of `gpus`. Raises Unprocessable, which names the field.
    """
    if spec["kind"] != "finetune":
        raise InvalidRequest("dry_run", "is for the fine-tune recipe only; leave it out")
    if spec["parameters"]["fp16"] and (not slots or spec["gpus"] == 0):
        raise Unprocessable("fp16", "needs a GPU, and this job would get none; leave it out, or take bf16")
    wanted = min(1, len(slots)) if spec["gpus"] is None else spec["gpus"]
    question = {
        "parameters": spec["parameters"],
        "devices": max(1, wanted),
        "seconds": min(_READING_SECONDS, launcher.dry_run_timeout / 2),
    }
    try:
        answer = await launcher.ask(spec, question)
        counts = {name: int(answer[name]) for name in _COUNTS}
        memory = {name: round(float(answer["memory_gb"][name]), 3) for name in _PARTS}
        warnings = [str(warning) for warning in answer["warnings"]]
    except Unanswered as error:
        raise Unprocessable(error.field or "dry_run", str(error)) from error
    except (KeyError, ValueError, TypeError) as error:
        raise Unprocessable("dry_run", f"the kernel's answer can't be understood: {error!r}") from error
    gpu_memory_gb = _memory_of(_would_get(slots, wanted), gpus)
    fits = None if gpu_memory_gb is None else memory["total"] + _CONTEXT_GB <= _USABLE_SHARE * gpu_memory_gb
    there = None
    if fits is False:
        there = f"the GPU has {gpu_memory_gb:.1f} GB"
    elif not wanted and memory["total"] > (machine_gb := (await asyncio.to_thread(HostReader().read)).memory_total_gb):
        there = f"this machine has {machine_gb:.1f} GB"
    if there is not None:
        warnings.insert(0, f"About {memory['total']:.1f} GB of memory are needed, and {there}: {_REMEDIES}")
    return {
        **counts,
        "estimated": bool(answer.get("estimated")),
        "memory_gb": memory,
        "gpu_memory_gb": gpu_memory_gb,
        "fits": fits,
        "warnings": warnings,
    }


def _would_get(slots: Sequence[Slot], wanted: int) -> list[Slot]:
    """The GPUs that the job would get now, or else when its turn comes."""
    return sorted(slots, key=lambda slot: (slot.holder is not None, slot.index))[:wanted]


def _memory_of(slots: Sequence[Slot], gpus: Sequence[Gpu]) -> float | None:
    """GB of the smallest of these GPUs; None where there is none, or none that tells."""
    chosen = {slot.uuid for slot in slots}
    sizes = [gpu.memory_total_gb for gpu in gpus if gpu.uuid in chosen and gpu.memory_total_gb is not None]
    return round(min(sizes), 3) if sizes else None
