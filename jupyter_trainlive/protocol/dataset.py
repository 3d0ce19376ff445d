"""The recipe's data: JSON Lines, read and checked row by row.

A row is an object of one of three forms: ``{"text": …}``, ``{"prompt": …, "completion": …}`` or
``{"messages": [{"role": …, "content": …}, …]}``. Other keys are left alone, blank lines are skipped.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

LINE_LIMIT_BYTES = 64 << 20
CHECK_LIMIT_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
_QUOTE_LIMIT = 80
_FORMS = '{"text": "…"}, {"prompt": "…", "completion": "…"} or {"messages": [{"role": "…", "content": "…"}]}'


@dataclass(frozen=True)
class Text:
    """Learn all of it."""

    text: str


@dataclass(frozen=True)
class Completion:
    """Learn to continue `prompt`, which may be empty, with `completion`."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Conversation:
    """Learn a conversation; each message is a role and what it says."""

    messages: tuple[tuple[str, str], ...]


Row = Text | Completion | Conversation


class DatasetError(ValueError):
    """What is wrong with a data file, in one line, with its remedy.

    `line` counts from 1; it is None where the whole file is meant.
    """

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {message}")
        self.path = path
        self.line = line


def check(path: str | Path, limit_bytes: int = CHECK_LIMIT_BYTES) -> int:
    """Check a file's rows within about its first `limit_bytes`; returns how many that were.

    Raises DatasetError at the first thing wrong.
    """
    return sum(1 for _ in read_rows(path, limit_bytes))


def read_rows(path: str | Path, limit_bytes: int | None = None) -> Iterator[Row]:
    """The rows of a file one after the other, at most about `limit_bytes` of it, never all in memory.

    Raises DatasetError where the file can't be read, holds no row, or a row is none.
    """
    path = Path(path)
    rows = 0
    for number, line in _lines(path, limit_bytes):
        rows += 1
        try:
            yield _row(line)
        except _Bad as bad:
            raise DatasetError(path, number, str(bad)) from None
    if rows == 0:
        raise DatasetError(path, None, f"is empty; write one row a line, each {_FORMS}")


def _lines(path: Path, limit_bytes: int | None) -> Iterator[tuple[int, bytes]]:
    """Number and content of the lines that are not blank."""
    try:
        path = path.expanduser()
        # Before opening: a named pipe would block, and a folder only says "Is a directory".
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DatasetError(path, None, "is a folder; name the JSON Lines file in it")
        if not stat.S_ISREG(mode):
            raise DatasetError(path, None, "is not a regular file; copy the rows into one")
        with path.open("rb") as file:
            number = read = 0
            while limit_bytes is None or read < limit_bytes:
                line = file.readline(LINE_LIMIT_BYTES + 1)
                if not line:
                    return
                number += 1
                read += len(line)
                if len(line) > LINE_LIMIT_BYTES:
                    limit = f"is longer than {LINE_LIMIT_BYTES >> 20} MiB"
                    raise DatasetError(path, number, f"{limit}; write one row a line")
                if number == 1:
                    line = line.removeprefix(_BOM)
                if not line.isspace() and line:
                    yield number, line
    except FileNotFoundError:
        raise DatasetError(path, None, "does not exist; give a JSON Lines file on the server") from None
    except PermissionError:
        raise DatasetError(path, None, "must not be read; change its permissions or copy it") from None
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(path, None, f"can't be read: {reason}") from None


class _Bad(Exception):
    """What is wrong with one row."""


def _row(line: bytes) -> Row:
    row = _object(line)
    forms = [form for form in ("text", "prompt", "completion", "messages") if form in row]
    if forms == ["text"]:
        return Text(_string(row, "text"))
    if forms == ["prompt", "completion"]:
        return Completion(_string(row, "prompt", empty=True), _string(row, "completion"))
    if forms == ["messages"]:
        return Conversation(_messages(row["messages"]))
    if forms in (["prompt"], ["completion"]):
        other = "completion" if forms == ["prompt"] else "prompt"
        raise _Bad(f'has "{forms[0]}" but no "{other}"; give both')
    if forms:
        names = " and ".join(f'"{form}"' for form in forms)
        raise _Bad(f"has {names}, so it isn't clear what to learn; keep one of {_FORMS}")
    keys = ", ".join(f'"{_quote(key)}"' for key in list(row)[:5])
    raise _Bad(f"has {f'only {keys}' if keys else 'no keys'}; a row must be {_FORMS}")


def _object(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8").rstrip()
    except UnicodeDecodeError as error:
        raise _Bad(f"is not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8") from None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.strip() in ("[", "{"):
            _bad_layout("begins JSON that goes over several lines")
        where = ""
        if isinstance(error, json.JSONDecodeError):
            where = f" ({error.msg.removesuffix(' at')} at character {error.pos + 1})"
        raise _Bad(f"is not JSON{where}: {_quote(text)}; in JSON Lines each line is {_FORMS}") from None
    if isinstance(row, list):
        _bad_layout("holds a JSON list")
    if not isinstance(row, dict):
        raise _Bad(f"is not an object but {_quote(text)}; a row must be {_FORMS}")
    return row


def _bad_layout(what: str) -> NoReturn:
    raise _Bad(f"{what}; write JSON Lines, one object a line without a list around them")


def _string(row: dict[str, Any], key: str, *, empty: bool = False) -> str:
    return _checked(row[key], f'"{key}"', empty=empty)


def _checked(value: object, name: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        raise _Bad(f"{name} must be a string, not {kind}; write it in quotes")
    if not empty and not value.strip():
        raise _Bad(f"{name} is empty; fill it or remove the row")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise _Bad(f"{name} holds half of a surrogate pair; write the whole character") from None
    return value


def _messages(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise _Bad('"messages" must be a list of {"role": "…", "content": "…"}')
    if not value:
        raise _Bad('"messages" is empty; fill it or remove the row')
    messages = []
    for index, message in enumerate(value):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _Bad(f'{where} must be {{"role": "…", "content": "…"}}')
        for key in ("role", "content"):
            if key not in message:
                raise _Bad(f'{where} has no "{key}"; each message needs "role" and "content"')
        role = _checked(message["role"], f'{where} "role"')
        messages.append((role, _checked(message["content"], f'{where} "content"', empty=True)))
    return tuple(messages)


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTE_LIMIT else line[: _QUOTE_LIMIT - 1] + "…"
