"""Notebooks as files (nbformat 4), as far as running one needs it: read, checked, parameters put in."""

from __future__ import annotations

import ast
import json
import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any

#: A notebook is JSON: {"cells": [...], "metadata": {...}, "nbformat": 4, "nbformat_minor": n}.
Notebook = dict[str, Any]
Cell = dict[str, Any]

PARAMETERS_TAG, INJECTED_TAG = "parameters", "injected-parameters"
#: Cells have ids since nbformat 4.5.
_MINOR_WITH_IDS = 5
_CELL_TYPES = ("code", "markdown", "raw")


class NotebookError(ValueError):
    """Why a file is no notebook of Python that can be run, in words that follow its name."""


def parse(data: bytes) -> Notebook:
    """The notebook in `data`; raises NotebookError."""
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"it is not JSON ({error})") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells", []), list):
        raise NotebookError("it is not a JSON object with cells")
    if notebook.get("nbformat") != 4:
        raise NotebookError("it is not of nbformat 4; open it in JupyterLab and save it again")
    if not isinstance(notebook.get("cells"), list):
        raise NotebookError("it has no cells")
    language = _language(notebook)
    if language.lower() not in ("", "python", "ipython", "python3"):
        raise NotebookError(f"it is written in {language[:80]}; a training kernel speaks Python")
    for place, cell in enumerate(notebook["cells"], 1):
        _check(cell, f"cell {place}")
    return notebook


def source_of(cell: Cell) -> str:
    """The text of a cell, which may be kept as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def tags_of(cell: Cell) -> list[str]:
    """The tags of a cell."""
    tags = cell.get("metadata", {}).get("tags")
    return tags if isinstance(tags, list) else []


def kernel_name_of(notebook: Notebook) -> str | None:
    """The kernel that it was written for, where it says."""
    kernelspec = _object(notebook.get("metadata")).get("kernelspec")
    name = _object(kernelspec).get("name")
    return name if isinstance(name, str) and name else None


def with_parameters(notebook: Notebook, parameters: Mapping[str, Any]) -> Notebook:
    """The notebook with a cell that sets the parameters, as papermill puts it there.

    It comes behind the cell with the tag ``parameters`` (else to the top), in place of one from an earlier run.
    """
    if not parameters:
        return notebook
    cells = [cell for cell in notebook["cells"] if INJECTED_TAG not in tags_of(cell)]
    lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())]
    injected: Cell = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [INJECTED_TAG]},
        "outputs": [],
        "source": "\n".join(lines),
    }
    minor = notebook.get("nbformat_minor")
    if isinstance(minor, int) and minor >= _MINOR_WITH_IDS:
        injected["id"] = secrets.token_hex(4)
    at = next((place for place, cell in enumerate(cells, 1) if PARAMETERS_TAG in tags_of(cell)), 0)
    return {**notebook, "cells": [*cells[:at], injected, *cells[at:]]}


def unassigned(notebook: Notebook, parameters: Mapping[str, Any], as_python: Callable[[str], str] = str) -> list[str]:
    """The parameters that the cell with the tag ``parameters`` does not assign: misspelled, most likely.

    None of them where there is no such cell, or nobody can tell. `as_python` makes Python of IPython's own syntax.
    """
    cell = next((cell for cell in notebook["cells"] if PARAMETERS_TAG in tags_of(cell)), None)
    if cell is None:
        return []
    try:
        tree = ast.parse(as_python(source_of(cell)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return [name for name in parameters if name not in names]


def value_problem(value: object, depth: int = 0) -> str | None:
    """What is wrong with a parameter's value, in words that follow its name; None where it is a JSON value."""
    if value is None or isinstance(value, (bool, int, str)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is no finite number, and JSON knows no other; pass a string"
    if depth > 100:
        return "is nested too deeply"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return "has keys that are no strings, and JSON knows no other"
        return next(filter(None, (value_problem(item, depth + 1) for item in value.values())), None)
    if isinstance(value, (list, tuple)):
        return next(filter(None, (value_problem(item, depth + 1) for item in value)), None)
    kind = type(value).__name__
    return f"holds a {kind}, which is no JSON value; pass numbers, strings, booleans, None, lists and dicts of them"


def _language(notebook: Notebook) -> str:
    metadata = _object(notebook.get("metadata"))
    language = _object(metadata.get("kernelspec")).get("language") or _object(metadata.get("language_info")).get("name")
    return language if isinstance(language, str) else ""


def _check(cell: object, place: str) -> None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in _CELL_TYPES:
        raise NotebookError(f"{place} has no cell_type code, markdown or raw")
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise NotebookError(f"{place} has no source that is a string or a list of strings")
    if not isinstance(cell.get("metadata", {}), dict):
        raise NotebookError(f"{place} has metadata that are no object")


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
