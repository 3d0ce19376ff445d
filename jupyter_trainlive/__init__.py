"""Launch a fine-tune from a notebook cell and watch it live.

Every public name is loaded when it is first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Job, finetune, get, jobs, launch
    from .notebook.compare import compare
    from .training.example import example
    from .training.log import log
    from .training.own import track
    from .training.transformers_callback import TrainLiveCallback

__version__ = "0.1.0"

__all__ = [
    "Job",
    "TrainLiveCallback",
    "__version__",
    "compare",
    "example",
    "finetune",
    "get",
    "jobs",
    "launch",
    "log",
    "track",
]

_HOMES = {
    "Job": "client",
    "compare": "notebook.compare",
    "example": "training.example",
    "finetune": "client",
    "get": "client",
    "jobs": "client",
    "launch": "client",
    "log": "training.log",
    "track": "training.own",
    "TrainLiveCallback": "training.transformers_callback",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    if home == "client" and (ipython := sys.modules.get("IPython")) and (shell := ipython.get_ipython()):
        importlib.import_module(".notebook.display", __name__).register(shell)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext jupyter_trainlive``: cells that begin with ``%%trainlive`` run in training kernels."""
    importlib.import_module(".notebook.magic", __name__).register(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .server.app import TrainLive

    return [{"module": "jupyter_trainlive", "app": TrainLive}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-trainlive"}]
