"""What a fine-tune leaves behind: the model, or its adapter, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...protocol.jobdir import JobDir
from ..errors import RecipeError
from ..recorder import Recorder
from .adapters import merged

_REASON_LIMIT = 300


def save(
    model: Any,
    tokenizer: Any,
    values: Mapping[str, Any],
    job_dir: JobDir,
    recorder: Recorder,
    labels: Sequence[str] | None,
) -> list[str]:
    """Save into artifacts/, each part recorded when it is complete; returns their paths there.

    ``model`` for `from_pretrained`; of an adapter ``adapter``, and with `merge_adapter` the model with it in it.
    Raises RecipeError where that can't be merged; the adapter is saved by then.
    """
    if not values["use_peft"]:
        _save(model, tokenizer, job_dir, recorder, "model")
        return ["model"]
    _save(model, tokenizer, job_dir, recorder, "adapter")
    if not values["merge_adapter"]:
        return ["adapter"]
    adapter = job_dir.artifacts / "adapter"
    try:
        whole = merged(adapter, values, labels)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise RecipeError(
            f"The adapter lies in {adapter}, but it could not be merged: {type(error).__name__}: "
            f"{lines[0][:_REASON_LIMIT]}",
            "Nothing of the training is lost. Merging takes the memory (RAM) of the whole model; do it where there is "
            "enough: peft.PeftModel.from_pretrained(model, adapter).merge_and_unload().",
            field="merge_adapter",
        ) from error
    _save(whole, tokenizer, job_dir, recorder, "model")
    return ["adapter", "model"]


def _save(model: Any, tokenizer: Any, job_dir: JobDir, recorder: Recorder, name: str) -> None:
    with _whole(job_dir, name) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    recorder.artifact(f"artifacts/{name}")


@contextlib.contextmanager
def _whole(job_dir: JobDir, name: str) -> Iterator[Path]:
    """A folder that becomes `artifacts/<name>` once all of it is written, and else is gone."""
    partial, final = job_dir.path / f".saving-{name}", job_dir.artifacts / name
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        yield partial
        # Only an earlier attempt of this job can have left one.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def best_checkpoint(checkpoint: Path) -> Path | None:
    """The best checkpoint of a training, as its last one knows; None where that is none that is there."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return None
    best = state.get("best_model_checkpoint") if isinstance(state, dict) else None
    return Path(best) if isinstance(best, str) and Path(best).is_dir() else None
