"""Every Trainer of Lightning's gets a callback of ours, and what it gives its loggers is recorded too.

Both packages are known, ``lightning.pytorch`` and ``pytorch_lightning``; they share no class.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..numbers import number_in
from ..owner import job_dir_of_this_process
from ..recorder import current
from .guard import after, complain, guarded
from .lightning_watcher import Watcher, epoch_of

#: Under these names people log what the contract calls ``eval_loss``.
_EVAL_LOSSES = ("val_loss", "val/loss", "valid_loss", "valid/loss", "validation_loss", "validation/loss", "dev_loss")


def hook(module: ModuleType) -> None:
    """Called with the module that defines Trainer."""
    root = module.__name__.removesuffix(".trainer.trainer")

    def each(name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - each stands for itself
            complain(f"Lightning's {name}", error)

    @guarded("Lightning")
    def add(connector: Any, *_: Any, **__: Any) -> None:
        _add(connector.trainer, root)

    @guarded("Lightning")
    def add_to(trainer: Any, *_: Any, **__: Any) -> None:
        _add(trainer, root)

    def callbacks() -> None:
        connector = getattr(module, "_CallbackConnector", None)
        if connector is not None:
            after(connector, "on_trainer_init", add)
        else:
            after(module.Trainer, "__init__", add_to)

    each("trainers", callbacks)
    each("logs", lambda: after(module._LoggerConnector, "log_metrics", _logged))
    each("checkpoints", lambda: after(module.Trainer, "save_checkpoint", _saved))
    if job_dir_of_this_process() is not None:
        connectors = sys.modules.get(f"{root}.trainer.connectors.callback_connector")
        if hasattr(connectors, "_RICH_AVAILABLE"):
            # Its own bars and tables are for terminals.
            connectors._RICH_AVAILABLE = False  # type: ignore[union-attr]


def _add(trainer: Any, root: str) -> None:
    if not any(isinstance(callback, Watcher) for callback in trainer.callbacks):
        trainer.callbacks.append(watcher(root))


_classes: dict[str, Any] = {}


def watcher(root: str) -> Any:
    """A callback of the package of that name; it may travel to another process, where it does nothing."""
    if root not in _classes:
        base = importlib.import_module(f"{root}.callbacks").Callback
        _classes[root] = type("TrainLive", (Watcher, base), {"__reduce__": lambda _: (watcher, (root,))})
    return _classes[root]()


@guarded("Lightning's logs")
def _logged(connector: Any, _: None, metrics: Any, step: int | None = None) -> None:
    trainer = connector.trainer
    recorder, ours = current(), _ours(trainer)
    if recorder is None or recorder.ended or ours is None or not (trainer.is_global_zero or recorder.together):
        return
    values = {name: number for name, value in metrics.items() if (number := number_in(value)) is not None}
    values.pop("epoch", None)
    named = values.pop("step", None) if step is None else step
    if "eval_loss" not in values:
        found = [values[name] for name in _EVAL_LOSSES if name in values]
        if found:
            values["eval_loss"] = found[0]
    if values:
        # Lightning counts batches of an evaluation here, or the step is of the user's own.
        aside = named is not None
        recorder.metrics(values, step=ours.step if named is None else int(named), epoch=epoch_of(trainer), aside=aside)
    ours.stop_if_needed(recorder, trainer)


@guarded("Lightning's checkpoints")
def _saved(trainer: Any, _: None, filepath: Any, *args: Any, **kwargs: Any) -> None:
    recorder, ours = current(), _ours(trainer)
    if recorder is None or recorder.ended or ours is None or not (trainer.is_global_zero or recorder.together):
        return
    # One that is written in the background, or on another machine, is not there yet.
    if Path(filepath).exists():
        recorder.checkpoint_at(ours.step, Path(filepath))
    ours.go_on()


def _ours(trainer: Any) -> Watcher | None:
    return next((callback for callback in trainer.callbacks if isinstance(callback, Watcher)), None)
