"""The rows that the recipe learns from: what a row of a file has to look like, by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .parameter_rules import CAUSAL, CLASSIFICATION, SEQ2SEQ

_QUOTE_LIMIT = 80
FORMS = '{"text": "…"}, {"prompt": "…", "completion": "…"} or {"messages": [{"role": "…", "content": "…"}]}'
_TASK_FORMS = {
    CAUSAL: FORMS,
    CLASSIFICATION: '{"text": "…", "label": "…"}',
    SEQ2SEQ: '{"prompt": "…", "completion": "…"}',
}


@dataclass(frozen=True)
class Text:
    """Learn all of it. A long document comes in pieces, of which only one `begins` it and one `ends` it."""

    text: str
    begins: bool = True
    ends: bool = True


@dataclass(frozen=True)
class Completion:
    """Learn to continue `prompt`, which may be empty, with `completion`."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Conversation:
    """Learn a conversation; each message is a role and what it says."""

    messages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Labelled:
    """Learn that `text`, or it together with `pair`, has `label`."""

    text: str
    label: str | int
    pair: str | None = None


Row = Text | Completion | Conversation | Labelled


class BadRow(Exception):
    """What is wrong with one row."""


def forms(task: str) -> str:
    """What a row may look like."""
    return _TASK_FORMS[task]


def reader(task: str = CAUSAL, column_mapping: Mapping[str, str] | None = None) -> Callable[[dict[str, Any]], Row]:
    """What makes a Row of a row's columns, or raises BadRow; `column_mapping` says which of them is which."""
    mapping = dict(column_mapping or {})
    if task == CLASSIFICATION:
        return lambda row: _labelled(row, mapping)
    if task == SEQ2SEQ:
        return lambda row: _completion(row, mapping, SEQ2SEQ)
    if "text" in mapping:
        return lambda row: Text(_string(row, mapping["text"], task))
    if "messages" in mapping:
        return lambda row: Conversation(_messages(_column(row, mapping["messages"], task), mapping["messages"]))
    if mapping:
        return lambda row: _completion(row, mapping, task)
    return _by_its_columns


def _by_its_columns(row: dict[str, Any]) -> Row:
    found = [column for column in ("text", "prompt", "completion", "messages") if column in row]
    if found == ["text"]:
        return Text(_string(row, "text", CAUSAL))
    if found == ["prompt", "completion"]:
        return _completion(row, {}, CAUSAL)
    if found == ["messages"]:
        return Conversation(_messages(row["messages"], "messages"))
    if found in (["prompt"], ["completion"]):
        other = "completion" if found == ["prompt"] else "prompt"
        raise BadRow(f'has "{found[0]}" but no "{other}"; give both')
    if found:
        names = " and ".join(f'"{column}"' for column in found)
        raise BadRow(f"has {names}, so it isn't clear what to learn; keep one of {FORMS}")
    raise BadRow(f"has {_columns_of(row)}; a row must be {FORMS}, or column_mapping says which of its columns is which")


def _columns_of(row: dict[str, Any]) -> str:
    shown = ", ".join(f'"{quote(str(key))}"' for key in list(row)[:5])
    return f"only {shown}{' …' if len(row) > 5 else ''}" if shown else "no keys"


def _completion(row: dict[str, Any], mapping: Mapping[str, str], task: str) -> Completion:
    prompt, completion = mapping.get("prompt", "prompt"), mapping.get("completion", "completion")
    # What a model of two halves reads must not be empty; one that goes on may begin from nothing.
    empty = task == CAUSAL
    return Completion(_string(row, prompt, task, empty=empty), _string(row, completion, task))


def _labelled(row: dict[str, Any], mapping: Mapping[str, str]) -> Labelled:
    text = _string(row, mapping.get("text", "text"), CLASSIFICATION)
    pair = None
    if "text_pair" in mapping or row.get("text_pair") is not None:
        pair = _string(row, mapping.get("text_pair", "text_pair"), CLASSIFICATION)
    column = mapping.get("label", "label")
    return Labelled(text, _label(_column(row, column, CLASSIFICATION), f'"{column}"'), pair)


def _label(value: object, name: str) -> str | int:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return _checked(value, name).strip()
    if value is None:
        raise BadRow(f"{name} is null; fill it or remove the row")
    kind = "a number with a fraction" if isinstance(value, float) else f"a {type(value).__name__}"
    raise BadRow(f"{name} must be a string or a whole number, not {kind}; each row has one class")


def _column(row: dict[str, Any], name: str, task: str) -> object:
    if name not in row:
        remedy = f"a row must be {_TASK_FORMS[task]}, or column_mapping says which of its columns is which"
        raise BadRow(f'has no "{quote(name)}", but {_columns_of(row)}; {remedy}')
    return row[name]


def _string(row: dict[str, Any], name: str, task: str, *, empty: bool = False) -> str:
    return _checked(_column(row, name, task), f'"{name}"', empty=empty)


def _checked(value: object, name: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        raise BadRow(f"{name} must be a string, not {kind}; write it in quotes")
    if not empty and not value.strip():
        raise BadRow(f"{name} is empty; fill it or remove the row")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRow(f"{name} holds half of a surrogate pair; write the whole character") from None
    return value


def _messages(value: object, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise BadRow(f'"{name}" must be a list of {{"role": "…", "content": "…"}}')
    if not value:
        raise BadRow(f'"{name}" is empty; fill it or remove the row')
    messages = []
    for index, message in enumerate(value):
        where = f"{name}[{index}]"
        if not isinstance(message, dict):
            raise BadRow(f'{where} must be {{"role": "…", "content": "…"}}')
        for key in ("role", "content"):
            if key not in message:
                raise BadRow(f'{where} has no "{key}"; each message needs "role" and "content"')
        role = _checked(message["role"], f'{where} "role"')
        messages.append((role, _checked(message["content"], f'{where} "content"', empty=True)))
    return tuple(messages)


def quote(text: str) -> str:
    """A text as an error shows it: on one line, and not all of a long one."""
    line = " ".join(text.split())
    return line if len(line) <= _QUOTE_LIMIT else line[: _QUOTE_LIMIT - 1] + "…"
