"""Checkpoints as the recipe writes them: under another name until all is on the disk, and only where there is room."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
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
from ...protocol.checks import ParameterError
from ...protocol.resuming import check_fits
from ...protocol.values import dumps, whole
from ..disk import disk_full, free_bytes, in_words
from ..errors import RecipeError

_PARTIAL = ".saving-"
_STATE = "trainer_state.json"


class CheckpointError(Exception):
    """Why a checkpoint could not be written, in a sentence; the training can go on without it."""


class CheckpointStore:
    """The checkpoints in one folder, of which the newest `keep` are kept, and the `best` one where there is one.

    `expected_bytes` is about what the first one takes; the others are taken to be as large as the last.
    """

    #: The one that is not deleted, however old: what the training is to end with.
    best: Path | None = None

    def __init__(self, folder: Path, *, keep: int, expected_bytes: int) -> None:
        self._folder = folder
        self._keep = keep
        self._expected_bytes = expected_bytes
        # What a process that was killed had not finished.
        for left in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step lies, once it is written."""
        return self._folder / checkpoint_name(step)

    def write(self, step: int, save: Callable[[Path], None], facts: dict[str, Any]) -> Path:
        """Have `save` write a checkpoint into a folder that it is given, and make it ours; returns its path.

        `save` makes the folder ``checkpoint-<step>`` in there; `facts` go into its manifest. It has its name
        only once all of it is on the disk, and is read again after that.

        Raises CheckpointError where there is no room or what was written can't be read back, and whatever
        `save` raises for another reason; then nothing of it is left.
        """
        self._check_room(step)
        final = self.path_of(step)
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
        """Delete what is too much, the incomplete first and then the oldest; never the newest or the best."""
        kept = {newest, self.best}
        others = [path for path in checkpoints_in(self._folder) if path not in kept]
        others.sort(key=is_complete)
        best = self.best is not None and self.best != newest and self.best.parent == self._folder
        for path in others[: max(0, len(others) + 1 + best - self._keep)]:
            shutil.rmtree(path, ignore_errors=True)


def to_go_on_from(folder: Path, attempt: int, given: Path | None = None) -> Path | None:
    """The checkpoint from which an attempt at a job goes on, which the log is told; None where it begins.

    `given` is the one with which its first attempt begins.
    """
    checkpoint = None if attempt == 1 else newest_complete(folder)
    if checkpoint is not None:
        print(f"Goes on from the checkpoint of step {step_of(checkpoint)}")
        return checkpoint
    if given is not None:
        print(f"Goes on from {given}")
    elif attempt > 1:
        print("There is no complete checkpoint to go on from, so the training begins again")
    return given


def given_checkpoint(values: Mapping[str, Any]) -> Path | None:
    """The checkpoint that the parameters name to begin with.

    Raises RecipeError where it can't be one of theirs.
    """
    given = values["resume_from_checkpoint"]
    if given is None:
        return None
    folder = Path(given).expanduser().absolute()
    problem = None
    if not folder.is_dir():
        problem = "is no folder on this machine"
    elif not (folder / _STATE).is_file():
        problem = f"holds no {_STATE}, so it is no checkpoint of a Trainer"
    elif not (folder / "optimizer.pt").is_file():
        problem = "holds no optimizer.pt, so nothing can go on from it"
    elif (folder / MANIFEST).exists() and not is_complete(folder):
        problem = "is not complete: some of its files are missing or torn"
    if problem is None:
        try:
            check_fits(folder, values)
        except ParameterError as error:
            reason, _, remedy = str(error).rpartition("; ")
            raise RecipeError(reason, f"{remedy[:1].upper()}{remedy[1:]}.", field=error.field) from error
        return folder
    raise RecipeError(
        f"resume_from_checkpoint {folder} {problem}",
        "Give a folder checkpoint-<step>, such as those in the checkpoints folder of another job.",
        field="resume_from_checkpoint",
    )


def steps_done(checkpoint: Path) -> int | None:
    """How many steps a checkpoint has behind it; None where it doesn't say."""
    try:
        state = json.loads((checkpoint / _STATE).read_bytes())
    except (OSError, ValueError):
        return step_of(checkpoint)
    return whole(state.get("global_step")) if isinstance(state, dict) else None


def require_steps_left(checkpoint: Path, steps: int) -> None:
    """Raise RecipeError where a checkpoint to begin with has all the steps of the training behind it."""
    done = steps_done(checkpoint)
    if done is not None and done >= steps:
        raise RecipeError(
            f"resume_from_checkpoint has {done} steps behind it, and this training has only {steps}",
            "Raise num_train_epochs or max_steps; both count from the beginning, the checkpoint's steps included.",
            field="resume_from_checkpoint",
        )


_MISMATCH = re.compile(
    r"size mismatch for ([\w.]+): copying a param with shape (?:torch\.Size\()?(\[[\d, ]*\])\)? from checkpoint, "
    r"the shape in current model is (?:torch\.Size\()?(\[[\d, ]*\])"
)


def does_not_fit(error: Exception) -> RecipeError | None:
    """What to say where the weights or the optimizer of a given checkpoint have other shapes; None of other errors."""
    text = str(error)
    if found := _MISMATCH.search(text):
        reason = f"{found[1]} has the shape {found[2]} there, and {found[3]} in this training"
    elif "loaded state dict" in text and "parameter group" in text:
        reason = "its optimizer was made for other weights than this training has"
    else:
        return None
    return RecipeError(
        f"resume_from_checkpoint does not fit: {reason}",
        "Give the model_name, task and lora_… parameters that it was trained with, and data with the same labels.",
        field="resume_from_checkpoint",
    )


def fingerprint_of(checkpoint: Path) -> str | None:
    """By what the data can be told that a checkpoint was trained on; None where it doesn't say."""
    fingerprint = (read_manifest(checkpoint) or {}).get("data")
    return fingerprint if isinstance(fingerprint, str) else None


def is_finished(checkpoint: Path) -> bool:
    """Whether a checkpoint was written behind the last step, so that nothing is left to train."""
    manifest = read_manifest(checkpoint)
    return manifest is not None and manifest.get("finished") is True


def require_room(folder: Path, result_bytes: int, checkpoint_bytes: int, result: str = "the trained model") -> None:
    """Raise RecipeError where the result and one checkpoint (0: none is asked for) would find no room.

    Better to know it now than when the training is over.
    """
    needed, free = result_bytes + checkpoint_bytes, free_bytes(folder)
    if free is None or free >= needed:
        return
    checkpoint = f" and one checkpoint ({in_words(checkpoint_bytes)})" if checkpoint_bytes else ""
    none = ', have no checkpoints (save_strategy "no")' if checkpoint_bytes else ""
    raise RecipeError(
        f"there is not enough room at {folder}: {result} ({in_words(result_bytes)}){checkpoint} need "
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
