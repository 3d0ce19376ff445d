"""What a job runs that is not the recipe's: code, a script or a notebook, checked before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..protocol import notebooks, variables
from .errors import InvalidRequest, Unprocessable
from .fields import flag, whole

_CODE_LIMIT_BYTES = 1 << 20
_SCRIPT_LIMIT_BYTES = 8 << 20
_NOTEBOOK_LIMIT_BYTES = 128 << 20
_MOST_ARGS, _ARGS_LIMIT_BYTES = 10_000, 1 << 20
_PARAMETERS_LIMIT = 1 << 20
_MOST_PROCESSES = 64
#: The fields of each kind, for who gives another one.
_FIELDS = {
    "code": ("code", "variables", "loss_from_backward"),
    "script": ("path", "args", "processes", "loss_from_backward"),
    "notebook": ("path", "parameters", "loss_from_backward"),
}
KINDS = tuple(_FIELDS)


def source_of(kind: str, own: dict[str, Any], cwd: Path) -> dict[str, Any]:
    """The fields of a spec that are its kind's own, from those of the request. Relative paths begin at `cwd`.

    Those of a notebook have the kernel that it was written for as `kernel_name`, where it says.
    """
    fields = _FIELDS[kind]
    for name in own:
        if name not in fields:
            known = ", ".join(fields[:-1]) + " and " + fields[-1]
            raise InvalidRequest(name, f"is not a field of a {kind} job; it has {known}, and the common fields")
    own_fields = {"code": _code, "script": _script, "notebook": _notebook}[kind](own, cwd)
    return {**own_fields, "loss_from_backward": flag(own, "loss_from_backward")}


def _code(own: dict[str, Any], cwd: Path) -> dict[str, Any]:
    code = own.get("code")
    if not isinstance(code, str) or not code.strip():
        raise InvalidRequest("code", "must be a string of Python code")
    if len(code.encode(errors="surrogatepass")) > _CODE_LIMIT_BYTES:
        raise InvalidRequest("code", "is longer than 1 MiB; put it into a module and import that")
    try:
        code.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("code", "holds characters that are no valid Unicode") from None
    file = own.get("variables")
    if file is None:
        return {"code": code}
    if not isinstance(file, str) or not variables.is_file_name(file):
        raise InvalidRequest("variables", "must name a file of the inbox, as jupyter_trainlive.launch puts it there")
    return {"code": code, "variables": file}


def _script(own: dict[str, Any], cwd: Path) -> dict[str, Any]:
    path = _file(own, cwd, ".py", "script")
    data = _read(path, _SCRIPT_LIMIT_BYTES)
    if b"\0" in data:
        raise Unprocessable("path", f"{path} is no Python script: it holds zero bytes")
    args = own.get("args")
    args = [] if args is None else args
    if not isinstance(args, list) or not all(isinstance(arg, str) and "\0" not in arg for arg in args):
        raise InvalidRequest("args", 'must be a list of strings, as ["--lr", "1e-4"]')
    if len(args) > _MOST_ARGS or sum(len(arg) for arg in args) > _ARGS_LIMIT_BYTES:
        raise InvalidRequest("args", f"may be {_MOST_ARGS} strings of 1 MiB in all; put them into a file")
    return {"path": str(path), "args": args, "processes": whole(own, "processes", 1, 1, _MOST_PROCESSES)}


def _notebook(own: dict[str, Any], cwd: Path) -> dict[str, Any]:
    path = _file(own, cwd, ".ipynb", "notebook")
    try:
        notebook = notebooks.parse(_read(path, _NOTEBOOK_LIMIT_BYTES))
    except notebooks.NotebookError as error:
        raise Unprocessable("path", f"{path} is no notebook that can be run: {error}") from None
    parameters = own.get("parameters")
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, dict):
        raise InvalidRequest("parameters", 'must be an object of names and JSON values, as {"learning_rate": 1e-4}')
    for name, value in parameters.items():
        if not variables.is_name(name):
            raise InvalidRequest("parameters", f"{name[:80]!r} is not a variable's name")
        if (problem := notebooks.value_problem(value)) is not None:
            raise InvalidRequest("parameters", f"the value of {name[:80]} {problem}")
    if len(repr(parameters)) > _PARAMETERS_LIMIT:
        raise InvalidRequest("parameters", "are longer than 1 MiB; put them into a file and give its path")
    written_for = notebooks.kernel_name_of(notebook)
    named = {} if written_for is None else {"kernel_name": written_for}
    return {"path": str(path), "parameters": parameters, **named}


def _file(own: dict[str, Any], cwd: Path, suffix: str, kind: str) -> Path:
    given = own.get("path")
    if not isinstance(given, str) or not given or "\0" in given:
        raise InvalidRequest("path", f"must be the path of a {kind} (*{suffix})")
    path = _absolute(given, cwd)
    if path.suffix.lower() != suffix:
        raise InvalidRequest("path", f"{given[:200]!r} is no {kind}: its name must end with {suffix}")
    try:
        if path.is_file():
            return path
        there = path.exists()
    except (OSError, ValueError) as error:
        raise InvalidRequest("path", f"{given[:200]!r} can't be looked at: {error}"[:400]) from None
    raise Unprocessable("path", f"{str(path)[:300]} is no file" if there else f"there is no file {str(path)[:300]}")


def _absolute(path: str, cwd: Path) -> Path:
    try:
        return cwd / Path(path).expanduser()
    except (RuntimeError, ValueError) as error:
        raise InvalidRequest("path", f"{path[:200]!r} can't be looked at: {error}"[:400]) from None


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Unprocessable("path", f"{path} can't be read: {error.strerror}") from None
    if len(data) > limit:
        raise Unprocessable("path", f"{path} is larger than {limit >> 20} MiB")
    return data
