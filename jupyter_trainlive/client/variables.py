"""Variables of a notebook for a job: pickled one by one, and refused before anything starts where that can't be."""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..protocol.variables import PICKLE_PROTOCOL, inbox, is_name, new_file_name, write_header
from .errors import NoServerError, VariableError

_OF_MAIN = (
    "{kind} {name} is defined in this notebook, where the training kernel can't find it; define it in the code of the "
    "job too, or put it into a module (a .py file) and import it from there"
)


@contextlib.contextmanager
def stored(variables: Mapping[str, Any], jobs_dir: str) -> Iterator[str]:
    """Write the variables for the server of `jobs_dir`, and give the name of the file that the request is to name.

    What the server has not taken when the block is left is deleted. Raises VariableError, which names the variable
    and the remedy, and NoServerError where the server does not tell where to put them.
    """
    if not jobs_dir:
        raise NoServerError("This server takes no variables; restart it with the installed jupyter_trainlive")
    for name in variables:
        if not is_name(name):
            raise VariableError(str(name), "is no name that a variable may have")
    folder = inbox(Path(jobs_dir))
    file = folder / new_file_name()
    try:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as opened:
                write_header(opened, list(variables), platform.python_version())
                for name, value in variables.items():
                    _pickle(name, value, opened)
        except OSError as error:
            problem = f"Variables can't be written into {folder}: {error.strerror or error}"
            raise NoServerError(problem) from error
        yield file.name
    finally:
        with contextlib.suppress(OSError):
            file.unlink()


def _pickle(name: str, value: Any, file: BinaryIO) -> None:
    if isinstance(value, types.ModuleType):
        raise VariableError(name, f"is a module; write `import {value.__name__}` into the code of the job instead")
    try:
        _Pickler(file, PICKLE_PROTOCOL).dump(value)
    except _DefinedHere as error:
        raise VariableError(name, f"can't be taken along: {error}") from None
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise
        raise VariableError(name, _unpicklable(error)) from error
    except Exception as error:
        raise VariableError(name, _unpicklable(error)) from error


def _unpicklable(error: Exception) -> str:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return f"can't be taken along, as it can't be pickled ({reason}); make it in the code of the job instead"


class _DefinedHere(Exception):
    """Something refers to what this process's ``__main__`` defines."""


class _Pickler(pickle.Pickler):
    """Refuses references into ``__main__``, which is another one in the training kernel."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)) and obj.__module__ in ("__main__", "__mp_main__"):
            kind = "the class" if isinstance(obj, type) else "the function"
            raise _DefinedHere(_OF_MAIN.format(kind=kind, name=obj.__qualname__))
        return NotImplemented
