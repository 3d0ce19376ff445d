"""The fields that a request of any kind may have, checked one by one; each error names the field and the remedy."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocol.checks import JOB_NAME_LIMIT, MOST_PATIENCE, is_job_name
from ..protocol.values import number
from ..protocol.watching import checked_thresholds
from .errors import InvalidRequest

#: What a request of any kind may have.
COMMON = frozenset(
    (
        *("kind", "name", "gpus", "priority", "nan_patience", "stop_on_nan", "kernel_name", "env", "cwd"),
        *("keep_kernel", "alerts"),
    )
)
#: Priorities go from minus this to this; higher ones start first.
_MOST_PRIORITY = 100
_MOST_GPUS = 1024
#: `true` keeps a kernel for an hour; nobody keeps one for longer than a week.
_KEEP_SECONDS, _MOST_KEEP_SECONDS = 3600.0, 604_800.0
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Defaults:
    """What a job gets that says nothing else, and how a kernel's name is checked."""

    cwd: Path
    kernel_name: str
    check_kernel: Callable[[str], None]


def common(request: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """Those of a spec's fields that jobs of all kinds have, but for the name."""
    return {
        "cwd": str(folder(request.get("cwd"), defaults.cwd)),
        "kernel_name": _kernel_name(request.get("kernel_name"), defaults),
        "gpus": whole(request, "gpus", None, 0, _MOST_GPUS),
        "priority": whole(request, "priority", 0, -_MOST_PRIORITY, _MOST_PRIORITY),
        "nan_patience": whole(request, "nan_patience", 3, 1, MOST_PATIENCE),
        "stop_on_nan": flag(request, "stop_on_nan"),
        "keep_kernel": _keep_kernel(request.get("keep_kernel")),
        "alerts": _alerts(request.get("alerts")),
        "env": _env(request.get("env")),
    }


def name_of(request: dict[str, Any], default: str) -> str:
    """The job's name, or `default` where none is given."""
    name = request.get("name")
    if name is None:
        return "".join(character if character.isprintable() else "?" for character in default[:JOB_NAME_LIMIT])
    if not is_job_name(name):
        raise InvalidRequest("name", f"must be 1 to {JOB_NAME_LIMIT} printable characters")
    return name


def folder(cwd: object, default: Path) -> Path:
    """The folder that a job works in."""
    if cwd is None:
        return default
    if not isinstance(cwd, str) or not cwd or "\0" in cwd:
        raise InvalidRequest("cwd", "must be the path of a folder")
    try:
        folder = default / Path(cwd).expanduser()
        found = folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        # A name that is too long, a `~user` that nobody knows, characters that no path has.
        raise InvalidRequest("cwd", f"{cwd[:200]!r} can't be looked at: {error}"[:400]) from None
    if not found:
        raise InvalidRequest("cwd", f"there is no folder {str(folder)[:200]!r}")
    if not os.access(folder, os.X_OK):
        raise InvalidRequest("cwd", f"the folder {str(folder)[:200]!r} may not be entered")
    return folder


def whole(request: dict[str, Any], name: str, default: int | None, least: int, most: int) -> int | None:
    """A whole number within bounds, or `default` where none is given."""
    value = request.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise InvalidRequest(name, f"must be a whole number from {least} to {most}")
    return value


def flag(request: dict[str, Any], name: str) -> bool:
    """True or false; false where nothing is given."""
    value = request.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(name, "must be true or false")
    return bool(value)


def _kernel_name(kernel_name: object, defaults: Defaults) -> str:
    if kernel_name is None:
        kernel_name = defaults.kernel_name
    if not isinstance(kernel_name, str):
        raise InvalidRequest("kernel_name", "must be the name of an installed kernel")
    try:
        defaults.check_kernel(kernel_name)
    except LookupError as error:
        raise InvalidRequest("kernel_name", str(error.args[0])) from error
    return kernel_name


def _keep_kernel(value: object) -> float:
    if value is None or isinstance(value, bool):
        return _KEEP_SECONDS if value else 0.0
    seconds = number(value)
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds <= _MOST_KEEP_SECONDS:
        raise InvalidRequest("keep_kernel", f"must be seconds, 0 to {_MOST_KEEP_SECONDS:.0f}, or true for an hour")
    return float(seconds)


def _alerts(value: object) -> dict[str, Any]:
    try:
        return checked_thresholds(value)
    except ValueError as error:
        raise InvalidRequest("alerts", str(error)) from error


def _env(env: object) -> dict[str, str]:
    if env is None:
        return {}
    if not isinstance(env, dict):
        raise InvalidRequest("env", "must be an object of variable names and string values")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidRequest("env", f"{name[:80]!r} is not a variable's name")
        if name.startswith("TRAINLIVE_"):
            raise InvalidRequest("env", f"{name[:80]} is set by the server; choose another name")
        if not isinstance(value, str) or "\0" in value:
            raise InvalidRequest("env", f"the value of {name[:80]} must be a string")
    return dict(env)
