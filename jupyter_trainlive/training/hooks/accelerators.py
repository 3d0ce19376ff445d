"""What a loop with accelerate logs, and the states that it saves; its steps are seen from the optimizer."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from ..numbers import number_in
from ..recorder import Recorder, current
from .guard import after, guarded


def hook(module: ModuleType) -> None:
    """Called with ``accelerate.accelerator``."""
    after(module.Accelerator, "log", _logged)
    after(module.Accelerator, "save_state", _saved)


def _recorder(accelerator: Any) -> Recorder | None:
    """Who records; None inside a trainer, which tells the same by itself."""
    recorder = current()
    if recorder is None or recorder.trainer_runs or recorder.ended:
        return None
    return recorder if accelerator.is_main_process or recorder.together else None


@guarded("accelerate's logs")
def _logged(accelerator: Any, _: None, values: Any, step: int | None = None, *args: Any, **kwargs: Any) -> None:
    recorder = _recorder(accelerator)
    if recorder is None:
        return
    numbers = {name: number for name, value in values.items() if (number := number_in(value)) is not None}
    if numbers:
        recorder.metrics(numbers, step=step)
        if step is not None:
            recorder.said = recorder.step


@guarded("accelerate's checkpoints")
def _saved(accelerator: Any, location: Any, *args: Any, **kwargs: Any) -> None:
    recorder = _recorder(accelerator)
    if recorder is not None and location is not None and Path(location).exists():
        recorder.checkpoint_at(recorder.step or 0, Path(location))
