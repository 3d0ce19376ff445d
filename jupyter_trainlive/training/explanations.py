"""Failures that many meet: what happened in one line, and what can be done about it, in plain words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .disk import disk_full


@dataclass(frozen=True)
class Explanation:
    """A failure in one line, and a hint; `reason` is None where the error's own words say it well."""

    hint: str
    reason: str | None = None


@dataclass(frozen=True)
class Failure:
    """What is known of a failure: the error, its text and the folders that the work writes to."""

    error: BaseException
    text: str
    folders: Sequence[Path]

    def is_a(self, name: str) -> bool:
        """Whether the error is of the class of that name; so torch needs no import."""
        return any(kind.__name__ == name for kind in type(self.error).__mro__)


def explain(error: BaseException, folders: Sequence[Path] = ()) -> Explanation | None:
    """What `error` means, or None where its own text is all there is to say.

    `folders` are those that the work writes to, looked at where a full disk may be what it hides.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody's __str__
        text = ""
    failure = Failure(error, text, folders)
    return next((found for explanation in _TABLE if (found := explanation(failure)) is not None), None)


_NO_GPU_MEMORY = re.compile(r"(CUDA|HIP|MPS|XPU)( backend| error:)? out of memory|CUBLAS_STATUS_ALLOC_FAILED")
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ [KMGT]i?B)")
_CAPACITY = re.compile(r"total capacity of ([\d.]+ [KMGT]i?B) of which ([\d.]+ [KMGT]?i?(?:B|bytes)) is free")


def _gpu_memory(failure: Failure) -> Explanation | None:
    if not (failure.is_a("OutOfMemoryError") or _NO_GPU_MEMORY.search(failure.text)):
        return None
    reason = "The GPU is out of memory"
    if asked := _ASKED.search(failure.text):
        reason += f": {asked[1]} more were asked for"
        if capacity := _CAPACITY.search(failure.text):
            reason += f", and {capacity[2]} of its {capacity[1]} are free"
    return Explanation(
        "Use a smaller per_device_train_batch_size, with gradient_accumulation_steps raised to match; "
        "gradient_checkpointing, a smaller max_length or bf16 save memory too. Other processes may also hold some "
        "of the GPU's.",
        reason + ".",
    )


_ALLOCATION = re.compile(r"(?:tried to allocate|[Uu]nable to allocate) ([\d.]+ [KMGTP]?i?(?:B|bytes))")


def _memory(failure: Failure) -> Explanation | None:
    if not (isinstance(failure.error, MemoryError) or "DefaultCPUAllocator: " in failure.text):
        return None
    asked = _ALLOCATION.search(failure.text)
    return Explanation(
        "Use smaller batches or fewer DataLoader workers, load less of the data at once, or give the machine or its "
        "container more memory.",
        "The process ran out of memory (RAM, not the GPU's)" + (f": {asked[1]} were asked for." if asked else "."),
    )


def _disk(failure: Failure) -> Explanation | None:
    full = disk_full(failure.error, failure.folders)
    if full is None:
        return None
    return Explanation(
        "Free some room there (df -h shows how much there is, df -i whether too many files are the reason). Fewer "
        'checkpoints need less: save_total_limit, or save_strategy "no".',
        f"Nothing more could be written: {full}.",
    )


def _missing_module(failure: Failure) -> Explanation | None:
    if not isinstance(failure.error, ImportError):
        return None
    module = (failure.error.name or "").partition(".")[0]
    if not isinstance(failure.error, ModuleNotFoundError):
        of = f" of {module}" if module else ""
        return Explanation(f"The installed version{of} does not fit this code, or its installation is damaged.")
    return Explanation(
        f"Install the package that brings {module or 'it'} into the environment of this kernel: "
        f"{sys.executable} -m pip install … If it is a file of your own, start the job in that file's folder (cwd)."
    )


_WORKER = re.compile(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) (?:is killed by signal: ([\w ]+)|exited unexpectedly)")


def _worker(failure: Failure) -> Explanation | None:
    match = _WORKER.search(failure.text)
    if match is None:
        return None
    signal = match[1] or ""
    if signal == "Bus error":
        return Explanation(
            "Give the container more shared memory (docker run --shm-size 8g, or an emptyDir of medium Memory at "
            "/dev/shm), or use fewer DataLoader workers; 0 needs none.",
            "A DataLoader worker found no room in shared memory (/dev/shm).",
        )
    if signal == "Killed":
        return Explanation(
            "Use fewer DataLoader workers or smaller batches, or give the machine or its container more memory.",
            "A DataLoader worker was killed by the system, most likely because the memory (RAM) was used up.",
        )
    how = f"was killed ({signal})" if signal else "ended without a word"
    return Explanation(
        "With 0 DataLoader workers the same code runs in the training process, where its error can be seen.",
        f"A DataLoader worker {how}.",
    )


def _keyboard(failure: Failure) -> Explanation | None:
    reads = isinstance(failure.error, EOFError) and failure.text == "EOF when reading a line"
    if not (reads or failure.is_a("StdinNotImplementedError")):
        return None
    return Explanation("A job has no keyboard; take values from args, parameters or variables.")


#: Asked in this order; the first that knows the failure explains it.
_TABLE: tuple[Callable[[Failure], Explanation | None], ...] = (
    _worker,
    _gpu_memory,
    _memory,
    _disk,
    _missing_module,
    _keyboard,
)
