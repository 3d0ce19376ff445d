"""Failures that many meet are explained: one line of what happened, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jupyter_trainlive.training import disk
from jupyter_trainlive.training.errors import End, end_of


class OutOfMemoryError(RuntimeError):
    """Torch's, by its name."""


CUDA = OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.10 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.53 GiB is "
    "free. Including non-PyTorch memory, this process has 77.5 GiB memory in use."
)
HIDDEN = "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"


def ended(error: BaseException, folders: list[Path] | None = None) -> End:
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 - what is tested
        return end_of(raised, cancelled=False, folders=folders or [])


@pytest.mark.parametrize(
    ("error", "reason", "hint"),
    [
        (
            CUDA,
            "The GPU is out of memory: 2.10 GiB more were asked for, and 1.53 GiB of its 79.10 GiB are free.",
            "smaller per_device_train_batch_size, with gradient_accumulation_steps",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "The GPU is out of memory.", "bf16"),
        (RuntimeError("CUDA error: out of memory"), "The GPU is out of memory.", "gradient_checkpointing"),
        (MemoryError(), "The process ran out of memory (RAM, not the GPU's).", "smaller batches"),
        (
            MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"),
            "The process ran out of memory (RAM, not the GPU's): 7.45 GiB were asked for.",
            "fewer DataLoader workers",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000 bytes."),
            "The process ran out of memory (RAM, not the GPU's): 8000000000 bytes were asked for.",
            "container more memory",
        ),
        (
            ModuleNotFoundError("No module named 'peft.tuners'", name="peft.tuners"),
            "ModuleNotFoundError: No module named 'peft.tuners'",
            "the package that brings peft into the environment of this kernel",
        ),
        (
            ImportError("cannot import name 'Trainer' from 'transformers'", name="transformers"),
            "ImportError: cannot import name 'Trainer' from 'transformers'",
            "The installed version of transformers does not fit",
        ),
        (
            EOFError("EOF when reading a line"),
            "EOFError: EOF when reading a line",
            "no keyboard; take values from args, parameters or variables",
        ),
        (
            RuntimeError("DataLoader worker (pid 17) is killed by signal: Bus error. It is possible that …"),
            "A DataLoader worker found no room in shared memory (/dev/shm).",
            "--shm-size",
        ),
        (
            RuntimeError("DataLoader worker (pid 17) is killed by signal: Killed. "),
            "A DataLoader worker was killed by the system, most likely because the memory (RAM) was used up.",
            "fewer DataLoader workers",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 17, 18) exited unexpectedly"),
            "A DataLoader worker ended without a word.",
            "With 0 DataLoader workers",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "Nothing more could be written: the disk quota is used up.",
            "save_total_limit",
        ),
        (
            RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "Nothing more could be written: the disk is full.",
            'save_strategy "no"',
        ),
    ],
)
def test_what_is_known_is_explained(error: BaseException, reason: str, hint: str) -> None:
    end = ended(error)
    assert (end.status, end.error) == ("failed", reason)
    assert hint in (end.hint or "")
    assert (end.traceback or "").startswith("Traceback"), "what it really said is still there"
    assert str(error)[:40] in (end.traceback or "")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "rows.jsonl"),
        PermissionError(13, "Permission denied"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError(HIDDEN),
        ValueError("out of memory banks"),
    ],
)
def test_what_is_not_known_speaks_for_itself(error: BaseException, tmp_path: Path) -> None:
    end = ended(error, [tmp_path])
    assert end.error is not None
    assert end.error.startswith(type(error).__name__)
    assert end.hint is None


class Room(NamedTuple):
    """What `os.statvfs` tells of a disk."""

    f_blocks: int
    f_bavail: int
    f_frsize: int = 4096


def disk_with(patch: pytest.MonkeyPatch, full: Path, room: Room) -> None:
    plenty = Room(10**9, 10**8)
    patch.setattr(os, "statvfs", lambda path: room if Path(path) == full else plenty)


@pytest.mark.parametrize("room", [Room(10**9, 10**6), Room(10**6, 16_000), Room(1000, 0)])
@pytest.mark.parametrize("text", [HIDDEN, "PytorchStreamWriter failed writing file data/3: file write failed"])
def test_a_full_disk_is_found_behind_what_torch_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, room: Room
) -> None:
    disk_with(monkeypatch, tmp_path, room)
    end = ended(RuntimeError(text), [Path("/"), tmp_path])
    assert (end.error or "").startswith(f"Nothing more could be written: the disk is full at {tmp_path} (")
    assert "free)" in (end.error or "")


def test_the_file_that_found_no_room_is_named(tmp_path: Path) -> None:
    end = ended(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "model.bin")))
    assert f"the disk is full at {tmp_path / 'model.bin'} (" in (end.error or "")


def test_a_full_disk_is_found_in_what_an_error_was_raised_from() -> None:
    def save() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("could not save") from error

    with pytest.raises(RuntimeError) as raised:
        save()
    assert end_of(raised.value, cancelled=False).error == "Nothing more could be written: the disk is full."


def test_a_real_full_device_is_recognised() -> None:
    with pytest.raises(OSError, match="No space left") as raised:
        Path("/dev/full").write_bytes(b"x" * 100_000)
    assert "the disk is full" in (end_of(raised.value, cancelled=False).error or "")


def test_the_real_torch_error_is_recognised() -> None:
    import torch

    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert "ran out of memory" in (end_of(raised.value, cancelled=False).error or "")
    assert any(kind.__name__ == "OutOfMemoryError" for kind in torch.OutOfMemoryError.__mro__)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0.0 MB"), (35 * 2**20, "35.0 MB"), (2**30, "1.0 GB"), (2**41, "2048.0 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert disk.in_words(size) == words


def test_a_disk_that_does_not_tell_is_not_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "statvfs", broken)
    assert disk.free_bytes(Path("/")) is None
    assert not disk.is_full(Path("/"))
