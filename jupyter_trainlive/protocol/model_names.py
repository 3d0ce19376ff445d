"""What can be meant by the name of a model: a folder that is there, or a hub id."""

from __future__ import annotations

import re
from pathlib import Path

from .checks import ParameterError, short

#: A hub id: an optional owner and a name, of letters, digits, `-`, `_` and `.`.
_HUB_ID = re.compile(r"(?:[\w][\w.-]{0,95}/)?[\w](?:[\w.-]{0,94}[\w])?", re.ASCII)


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form of a model's or dataset's id on the hub."""
    return bool(_HUB_ID.fullmatch(name)) and "--" not in name and ".." not in name and not name.endswith(".git")


def check_model(name: str, base: Path | None = None) -> str:
    """The model `name` as `from_pretrained` takes it: an existing folder's absolute path, or a hub id.

    Relative paths begin at `base` (default: the current folder). Whether the hub has the model isn't asked.
    Raises ParameterError where neither can be meant.
    """
    try:
        path = (base or Path.cwd()) / Path(name).expanduser()
        looks_local = name.startswith(("/", "~", "./", "../", "\\")) or name in (".", "..")
        if path.is_dir():
            if (path / "config.json").is_file():
                return str(path.resolve())
            if looks_local or not _HUB_ID.fullmatch(name):
                raise ParameterError(
                    "model_name", f"{short(name)} is a folder without config.json; give a saved model's"
                )
        elif looks_local:
            problem = "is a file" if path.exists() else f"does not exist ({path})"
            raise _no_model(name, f"{problem}; give the folder of a saved model, or a hub id like owner/name")
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _no_model(name, f"can't be looked at: {reason}") from None
    if not is_hub_id(name):
        raise _no_model(name, "is neither a folder here nor a hub id like owner/name")
    return name


def _no_model(name: str, problem: str) -> ParameterError:
    return ParameterError("model_name", f"{short(name)} {problem}")
