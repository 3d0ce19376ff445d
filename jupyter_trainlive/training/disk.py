"""Room on the disk: how much there is, and whether the lack of it is what an error means."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
#: What libraries in Rust and C++ say where Python would raise OSError.
_SAID = ("No space left on device", "os error 28", "Disk quota exceeded", f"os error {errno.EDQUOT}")
#: What they say of any write that failed; only the disk itself tells whether it is full.
_HIDDEN = ("unexpected pos", "PytorchStreamWriter failed", "I/O error", "Input/output error")
_LITTLE_BYTES = 64 << 20
_LITTLE_SHARE = 0.01
#: An error may have been raised from another, and that from another; no deeper than this.
_CHAIN_LIMIT = 10


def in_words(size_bytes: float) -> str:
    """Bytes as people read them; a GB is 2**30 bytes, as everywhere in this package."""
    if size_bytes >= 0.1 * 2**30:
        return f"{size_bytes / 2**30:.1f} GB"
    return f"{size_bytes / 2**20:.1f} MB"


def free_bytes(folder: Path) -> int | None:
    """Bytes that may still be written there by this user; None where the system does not tell."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize


def is_full(folder: Path) -> bool:
    """Whether hardly anything can be written there any more."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems don't tell their size; then nothing is known.
    return room.f_blocks > 0 and room.f_bavail < max(_LITTLE_SHARE * room.f_blocks, _LITTLE_BYTES / room.f_frsize)


def disk_full(error: BaseException, folders: Iterable[Path]) -> str | None:
    """What is full and where, if that is what `error`, or one it was raised from, means; else None.

    `folders` are where the work writes: the error itself often does not tell. The text goes on after a colon.
    """
    full = next((folder for folder in folders if is_full(folder)), None)
    for raised in _chain(error):
        if isinstance(raised, OSError) and raised.errno in _FULL:
            place = raised.filename if isinstance(raised.filename, (str, bytes)) else full
            return _FULL[raised.errno] + _at(os.fsdecode(place) if place is not None else None)
        text = _text(raised)
        if any(sign in text for sign in _SAID) or (full is not None and any(sign in text for sign in _HIDDEN)):
            return _FULL[errno.ENOSPC] + _at(None if full is None else str(full))
    return None


def _at(place: str | None) -> str:
    if place is None:
        return ""
    free = free_bytes(Path(place)) if Path(place).is_dir() else free_bytes(Path(place).parent)
    return f" at {place}" + ("" if free is None else f" ({in_words(free)} free)")


def _chain(error: BaseException) -> Iterator[BaseException]:
    raised: BaseException | None = error
    for _ in range(_CHAIN_LIMIT):
        if raised is None:
            return
        yield raised
        raised = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody's __str__
        return ""
