"""Checkpoints as the recipe writes them: under another name until all is on the disk, and only where there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...protocol.checkpoints import (
    MANIFEST,
    checkpoint_name,
    checkpoints_in,
    is_complete,
    newest_complete,
    read_manifest,
    step_of,
)
from ...protocol.values import dumps
from ..disk import disk_full, free_bytes, in_words
from ..errors import RecipeError

_PARTIAL = ".saving-"


class CheckpointError(Exception):
    """Why a checkpoint could not be written, in a sentence; the training can go on without it."""


class CheckpointStore:
    """The checkpoints in one folder, of which the newest `keep` are kept.

    `expected_bytes` is about what the first one takes; the others are taken to be as large as the last.
    """

    def __init__(self, folder: Path, *, keep: int, expected_bytes: int) -> None:
        self._folder = folder
        self._keep = keep
        self._expected_bytes = expected_bytes
        # What a process that was killed had not finished.
        for left in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)

    def write(self, step: int, save: Callable[[Path], None], facts: dict[str, Any]) -> Path:
        """Have `save` write a checkpoint into a folder that it is given, and make it ours; returns its path.

        `save` makes the folder ``checkpoint-<step>`` in there; `facts` go into its manifest. It has its name
        only once all of it is on the disk, and is read again after that.

        Raises CheckpointError where there is no room or what was written can't be read back, and whatever
        `save` raises for another reason; then nothing of it is left.
        """
        self._check_room(step)
        final = self._folder / checkpoint_name(step)
        partial = self._folder / f"{_PARTIAL}{final.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        try:
            try:
                save(partial)
                size = _seal(partial / final.name, {**facts, "step": step})
            except Exception as error:
                # Looked at before the rest of it is removed, which makes room again.
                full = disk_full(error, [self._folder])
                if full is None:
                    raise
                raise CheckpointError(f"The checkpoint of step {step} could not be written: {full}.") from error
            if final.exists():
                # An earlier attempt's, of the same step.
                final.rename(partial / "replaced")
            (partial / final.name).rename(final)
            _sync(self._folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        if not is_complete(final):
            shutil.rmtree(final, ignore_errors=True)
            raise CheckpointError(f"The checkpoint of step {step} could not be read back as it was written.")
        self._expected_bytes = size
        self._rotate(final)
        return final

    def _check_room(self, step: int) -> None:
        free = free_bytes(self._folder)
        if free is not None and free < self._expected_bytes:
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written: it takes about "
                f"{in_words(self._expected_bytes)}, and {in_words(free)} are free at {self._folder}."
            )

    def _rotate(self, newest: Path) -> None:
        """Delete what is too much, the incomplete first and then the oldest."""
        others = [path for path in checkpoints_in(self._folder) if path != newest]
        others.sort(key=is_complete)
        for path in others[: max(0, len(others) + 1 - self._keep)]:
            shutil.rmtree(path, ignore_errors=True)


def to_go_on_from(folder: Path, attempt: int) -> Path | None:
    """The checkpoint from which an attempt at a job goes on, which the log is told; None where it begins."""
    if attempt == 1:
        return None
    checkpoint = newest_complete(folder)
    if checkpoint is None:
        print("There is no complete checkpoint to go on from, so the training begins again")
    else:
        print(f"Goes on from the checkpoint of step {step_of(checkpoint)}")
    return checkpoint


def is_finished(checkpoint: Path) -> bool:
    """Whether a checkpoint was written behind the last step, so that nothing is left to train."""
    manifest = read_manifest(checkpoint)
    return manifest is not None and manifest.get("finished") is True


def require_room(folder: Path, model_bytes: int, checkpoint_bytes: int) -> None:
    """Raise RecipeError where the trained model and one checkpoint (0: none is asked for) would find no room.

    Better to know it now than when the training is over.
    """
    needed, free = model_bytes + checkpoint_bytes, free_bytes(folder)
    if free is None or free >= needed:
        return
    checkpoint = f" and one checkpoint ({in_words(checkpoint_bytes)})" if checkpoint_bytes else ""
    none = ', have no checkpoints (save_strategy "no")' if checkpoint_bytes else ""
    raise RecipeError(
        f"there is not enough room at {folder}: the trained model ({in_words(model_bytes)}){checkpoint} need "
        f"{in_words(needed)}, and {in_words(free)} are free",
        f"Free some there{none}, or take a smaller model; save_total_limit bounds how many checkpoints are kept.",
    )


def _seal(folder: Path, manifest: dict[str, Any]) -> int:
    """Put everything in a checkpoint on the disk, its manifest last; returns the bytes of all files."""
    sizes: dict[str, int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
            _sync(path)
        _sync(Path(root))
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(dumps({**manifest, "files": sizes}))
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)
    return sum(sizes.values())


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
