"""Checkpoints on disk: which of a job's are complete, so that a training can go on from them.

A checkpoint is a folder ``checkpoint-<step>`` whose manifest, written last, names all its files with their
sizes. Nothing here unpickles anything, or follows a symbolic link.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from .json_file import object_in

#: The file of a checkpoint that says what belongs to it.
MANIFEST = "trainlive.json"
_NAME = re.compile(r"checkpoint-(0|[1-9][0-9]{0,14})")
_MANIFEST_LIMIT_BYTES = 16 << 20
#: What the safetensors format allows.
_HEADER_LIMIT_BYTES = 100_000_000


def checkpoint_name(step: int) -> str:
    """The name of the checkpoint that holds what was learned in `step` steps."""
    return f"checkpoint-{step}"


def step_of(folder: Path) -> int | None:
    """The step that a checkpoint's name tells, or None where it is no checkpoint's name."""
    match = _NAME.fullmatch(folder.name)
    return int(match[1]) if match else None


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the manifest of a checkpoint says; None where there is none that can be used."""
    path = folder / MANIFEST
    size = _regular_size(path)
    if size is None or size > _MANIFEST_LIMIT_BYTES:
        return None
    manifest = object_in(path) or {}
    files = manifest.get("files")
    if not isinstance(files, dict) or not files or not all(type(size) is int for size in files.values()):
        return None
    return manifest if manifest.get("step") == step_of(folder) else None


def is_complete(folder: Path) -> bool:
    """Whether everything that was written into a checkpoint is there, as far as sizes and file heads tell."""
    if not _is_real_folder(folder):
        return False
    manifest = read_manifest(folder)
    return manifest is not None and all(_is_whole(folder, name, size) for name, size in manifest["files"].items())


def checkpoints_in(folder: Path) -> list[Path]:
    """All checkpoints of a job, complete or not, by their steps."""
    try:
        found = [path for path in folder.iterdir() if step_of(path) is not None and _is_real_folder(path)]
    except OSError:
        return []
    return sorted(found, key=lambda path: step_of(path) or 0)


def newest_complete(folder: Path) -> Path | None:
    """The complete checkpoint with the most steps, or None where there is none."""
    return next((path for path in reversed(checkpoints_in(folder)) if is_complete(path)), None)


def _is_whole(folder: Path, name: str, size: int) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        return False
    if not all(_is_real_folder(folder.joinpath(*parts[:depth])) for depth in range(1, len(parts))):
        return False
    path = folder.joinpath(*parts)
    if _regular_size(path) != size:
        return False
    check = _CHECKS.get(path.suffix)
    try:
        return check is None or check(path, size)
    except (OSError, ValueError, RecursionError):
        return False


def _is_safetensors(path: Path, size: int) -> bool:
    """Whether the header can be read, and the last tensor it names ends where the file does."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT_BYTES):
            return False
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        return False
    tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
    try:
        end = max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    except (KeyError, IndexError, TypeError):
        return False
    return bool(8 + length + end == size)


def _is_archive(path: Path, size: int) -> bool:
    """Whether the directory at the end of what `torch.save` wrote can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError):
        return False


_CHECKS: dict[str, Callable[[Path, int], bool]] = {
    ".safetensors": _is_safetensors,
    ".pt": _is_archive,
    ".pth": _is_archive,
    ".bin": _is_archive,
}


def _is_real_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _regular_size(path: Path) -> int | None:
    """Bytes of a regular file; None where there is none, or a link in its place."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
