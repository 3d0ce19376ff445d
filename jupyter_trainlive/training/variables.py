"""Variables of the notebook that started a job, put into the namespace of its code."""

from __future__ import annotations

import pickle
import platform
import sys
from typing import BinaryIO

from ..protocol.jobdir import JobDir
from ..protocol.variables import FILE, read_header
from .errors import RecipeError


def load(job_dir: JobDir) -> None:
    """Put the variables of the job into ``__main__``; raises RecipeError, which names the one that can't be loaded."""
    try:
        with (job_dir.inputs / FILE).open("rb") as file:
            names, python = read_header(file)
            for name in names:
                vars(sys.modules["__main__"])[name] = _loaded(name, python, file)
    except (OSError, ValueError) as error:
        raise RecipeError(f"The job's variables can't be read: {error}") from error


def _loaded(name: str, python: str, file: BinaryIO) -> object:
    try:
        return pickle.load(file)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecipeError(f"The variable {name} can't be loaded: {reason}", _hint(error, python)) from error


def _hint(error: Exception, python: str) -> str:
    if isinstance(error, (ImportError, AttributeError)):
        return (
            "The training kernel's environment, or the folder that it works in, lacks what the variable is made of; "
            "install it there, or make the variable in the code of the job."
        )
    here = platform.python_version()
    if here.split(".")[:2] != python.split(".")[:2]:
        return f"It was pickled by Python {python}, and this is {here}; make it in the code of the job."
    return "Make it in the code of the job instead."
