"""How many steps a plain torch loop will do, where its learning rate schedule knows."""

from __future__ import annotations

import os
import weakref
from types import ModuleType
from typing import Any

from .guard import after, guarded

_schedulers: weakref.WeakKeyDictionary[Any, weakref.ReferenceType[Any]] = weakref.WeakKeyDictionary()


def hook(module: ModuleType) -> None:
    """Called with ``torch.optim.lr_scheduler``."""
    after(module.LRScheduler, "__init__", _made)


@guarded("learning rate schedules")
def _made(scheduler: Any, _: None, optimizer: Any, *args: Any, **kwargs: Any) -> None:
    # accelerate's optimizer has the one that steps inside.
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    _schedulers[optimizer] = weakref.ref(scheduler)


def total_steps(optimizer: Any) -> int | None:
    """For how many steps the learning rate of an optimizer is planned; None where that is not known.

    ``transformers.get_scheduler`` binds the number to the function of a LambdaLR, and OneCycleLR has it.
    """
    scheduler = _schedulers.get(optimizer, lambda: None)()
    if scheduler is None or os.environ.get("WORLD_SIZE", "1") != "1":
        # accelerate lets a schedule do as many steps for one of the training as there are processes.
        return None
    lambdas = getattr(scheduler, "lr_lambdas", None) or [None]
    bound = getattr(lambdas[0], "keywords", None) or {}
    steps = bound.get("num_training_steps", getattr(scheduler, "total_steps", None))
    return steps if type(steps) is int and steps > 0 else None
