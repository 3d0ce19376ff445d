"""What jobs of all kinds may be told, in one place for every function that submits one."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Common(TypedDict, total=False):
    """Of jobs of all kinds:

    `name`: as lists and views show it. `kernel_name`: the training kernel's; by default that of this notebook, so that
    the job has the same environment. `cwd`: the folder that it works in. `env`: further environment variables.

    `gpus`: it waits in the queue until so many are free; by default one where the machine has any. 0 hides them from
    it. `priority`: those of a higher one begin first (-100 to 100; 0).

    `nan_patience`: a loss that is NaN or infinite so many times in a row (3) raises an alert; with `stop_on_nan` it
    also ends the training. `alerts`: thresholds of the other alerts by name, None or False to turn one off; False
    turns all off but those of failures, and True means the defaults.

    `keep_kernel`: for so many seconds after the end (True: an hour) the kernel stays, with everything that the work
    left in it, for `job.console()`. It holds its memory and its GPU meanwhile.
    """

    name: str | None
    kernel_name: str | None
    gpus: int | None
    priority: int | None
    nan_patience: int | None
    stop_on_nan: bool | None
    keep_kernel: float | bool | None
    alerts: Mapping[str, float | bool | None] | bool | None
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None


def split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keyword arguments as the common fields of a request, those that say something, and all others."""
    fields = {name: value for name, value in given.items() if name in Common.__annotations__ and value is not None}
    others = {name: value for name, value in given.items() if name not in Common.__annotations__}
    for name in ("env", "alerts"):
        if isinstance(fields.get(name), Mapping):
            fields[name] = dict(fields[name])
    if "cwd" in fields:
        fields["cwd"] = str(Path(fields["cwd"]).expanduser().absolute())
    return fields, others


def takes_common(function: Callable[P, R]) -> Callable[P, R]:
    """Show the common fields in a function's signature and its documentation, where its last ``**`` takes them."""
    signature = inspect.signature(function)
    *own, rest = signature.parameters.values()
    shown = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_text(annotation))
        for name, annotation in Common.__annotations__.items()
    ]
    # What else goes there, as a recipe's parameters do, keeps its name.
    tail = [rest] if rest.name != "common" else []

    @functools.wraps(function)
    def taking(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    taking.__signature__ = signature.replace(parameters=[*own, *shown, *tail])  # type: ignore[attr-defined]
    taking.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{inspect.cleandoc(Common.__doc__ or '')}\n"
    return taking


def _text(annotation: Any) -> Any:
    return getattr(annotation, "__forward_arg__", annotation)
