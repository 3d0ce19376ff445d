"""Hooks: whatever trains in this process is seen without a line of it changed.

Each hook is loaded when its framework is imported, and not before. None of them ever raises into a training: one that
does not fit the version it finds says so once in the log. Where this process records for no job they do nothing.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

from ..owner import job_dir_of_this_process
from .guard import complain, guarded
from .imports import PostImport
from .losses import want

#: The module that is waited for, and the one of ours that hooks it.
_ALWAYS = {
    "torch.optim.optimizer": "optimizers",
    "torch.optim.lr_scheduler": "schedulers",
    "torch._tensor": "losses",
    "torch.amp.grad_scaler": "losses",
    "transformers.trainer": "trainers",
    "accelerate.accelerator": "accelerators",
    "lightning.pytorch.trainer.trainer": "lightning",
    "pytorch_lightning.trainer.trainer": "lightning",
}
#: Where the output of this process is the log of a job.
_IN_JOBS = {"tqdm.std": "bars", "tqdm.notebook": "bars", "rich.console": "bars"}

_finder = PostImport()
_installed: set[str] = set()


def install(*, loss_from_backward: bool = False) -> None:
    """Watch whatever trains in this process from now on; a second call changes `loss_from_backward` alone.

    `loss_from_backward` has every scalar whose gradients are computed in a loop without a trainer recorded as ``loss``.
    """
    want(loss_from_backward)
    for name, ours in {**_ALWAYS, **(_IN_JOBS if job_dir_of_this_process() is not None else {})}.items():
        if name not in _installed:
            _installed.add(name)
            try:
                _finder.watch(name, functools.partial(_hook, ours))
            except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
                complain(name, error)


@guarded("the last steps")
def finish() -> None:
    """Record what is not yet recorded: the work is over."""
    for name in ("optimizers", "lightning_watcher"):
        module = sys.modules.get(f"{__name__}.{name}")
        if module is not None:
            module.finish()


def _hook(ours: str, module: ModuleType) -> None:
    try:
        importlib.import_module(f".{ours}", __name__).hook(module)
    except Exception as error:  # noqa: BLE001 - an import of somebody's must not fail because of us
        complain(module.__name__, error)
