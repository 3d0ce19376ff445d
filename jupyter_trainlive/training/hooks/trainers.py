"""Every Trainer of transformers', and of what builds on it (TRL, PEFT), gets a callback of ours."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from ..owner import job_dir_of_this_process
from .guard import complain


def hook(module: ModuleType) -> None:
    """Called with ``transformers.trainer``."""
    from ..transformers_callback import AutomaticCallback, TrainLiveCallback

    defaults: list[Any] = module.DEFAULT_CALLBACKS
    if AutomaticCallback not in defaults:
        defaults.append(AutomaticCallback)
    try:
        integrations = importlib.import_module("transformers.integrations.integration_utils")
        integrations.INTEGRATION_TO_CALLBACK["trainlive"] = TrainLiveCallback
    except (ImportError, AttributeError) as error:
        complain('report_to="trainlive"', error)
    notebook = getattr(module, "DEFAULT_PROGRESS_CALLBACK", None)
    if job_dir_of_this_process() is not None and getattr(notebook, "__name__", "") == "NotebookProgressCallback":
        # Nobody sees its table, and each of its rows would be one more display in the log.
        from transformers.trainer_callback import ProgressCallback

        module.DEFAULT_PROGRESS_CALLBACK = ProgressCallback  # type: ignore[attr-defined]
