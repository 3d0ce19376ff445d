"""Trainers that were made before anybody watched them: they get their callback when they begin to train."""

from __future__ import annotations

import functools
import sys
from typing import Any

from ..hooks.guard import complain, guarded
from ..recorder import current

_LIGHTNINGS = ("lightning.pytorch", "pytorch_lightning")
_done: set[str] = set()


def watch_those_already_made() -> None:
    """Have the trainers of frameworks that are imported by now looked at when they begin. Never raises."""
    for name, watch in (
        ("transformers.trainer_callback", _transformers),
        *((name, _lightning) for name in _LIGHTNINGS),
    ):
        module = sys.modules.get(name)
        if module is not None and name not in _done:
            _done.add(name)
            try:
                watch(module, name)
            except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
                complain(f"trainers of {name} that were made before", error)


def _transformers(module: Any, _: str) -> None:
    original = module.CallbackHandler.on_train_begin

    @functools.wraps(original)
    def on_train_begin(handler: Any, *args: Any, **kwargs: Any) -> Any:
        _add_to(handler)
        return original(handler, *args, **kwargs)

    module.CallbackHandler.on_train_begin = on_train_begin


@guarded("a Trainer that was made before")
def _add_to(handler: Any) -> None:
    from ..transformers_callback import AutomaticCallback, TrainLiveCallback

    if current() is not None and not any(isinstance(callback, TrainLiveCallback) for callback in handler.callbacks):
        handler.add_callback(AutomaticCallback())


def _lightning(module: Any, root: str) -> None:
    original = module.Trainer.fit

    @functools.wraps(original)
    def fit(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        _add_to_lightning(trainer, root)
        return original(trainer, *args, **kwargs)

    module.Trainer.fit = fit


@guarded("a Trainer of Lightning's that was made before")
def _add_to_lightning(trainer: Any, root: str) -> None:
    from ..hooks import lightning

    if current() is not None:
        lightning._add(trainer, root)
