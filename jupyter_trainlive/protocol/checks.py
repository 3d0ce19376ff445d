"""Checks of one value: each turns what was given into what is used, and is JSON Schema at the same time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

_INT_LIMIT = 2**31 - 1
_OBJECT_LIMIT_BYTES = 64 * 1024
_LIST_LIMIT = 1000
#: Characters of a job's name.
JOB_NAME_LIMIT = 200
#: Logs in a row without a finite loss that a job may be patient for.
MOST_PATIENCE = 1_000_000


class ParameterError(ValueError):
    """What is wrong with one parameter, `field`: `message` goes on after its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Check:
    """`use` returns the usable value, or raises ValueError saying what it must be; `schema` says the same."""

    use: Callable[[object], Any]
    schema: dict[str, Any]

    def __call__(self, value: object) -> Any:
        return self.use(value)


def is_job_name(value: object) -> TypeGuard[str]:
    """Whether a job may be called so: 1 to `JOB_NAME_LIMIT` printable characters, not all of them blank."""
    return isinstance(value, str) and bool(value.strip()) and len(value) <= JOB_NAME_LIMIT and value.isprintable()


def kind_of(value: object) -> str:
    """What `value` is, in JSON's words."""
    names = {type(None): "null", dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), f"a {type(value).__name__}")


def short(value: object) -> str:
    """`value` as it is quoted in an error."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {kind_of(value)}")
    if not value.strip():
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not contain a zero character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds characters that are no valid Unicode") from None
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {kind_of(value)}")
    return value


#: A string with something in it.
text = Check(_text, {"type": "string", "minLength": 1, "pattern": r"\S"})
flag = Check(_flag, {"type": "boolean"})


def _real(value: object) -> float:
    if value in ("nan", "inf", "-inf"):
        # As they travel: JSON has none.
        raise ValueError(f"must be a finite number, but is {value}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        given = f" {short(value)}" if isinstance(value, str) else ""
        raise ValueError(f"must be a number, not {kind_of(value)}{given}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def number(least: float, most: float = math.inf, *, above: bool = False, below: bool = False) -> Check:
    """Numbers from `least` to `most`; `above` and `below` leave out the bound itself."""
    text = f"must be {'above' if above else 'at least'} {least:g}"
    schema: dict[str, Any] = {"type": "number", "exclusiveMinimum" if above else "minimum": least}
    if most < math.inf:
        text += f" and {'below' if below else 'at most'} {most:g}"
        schema["exclusiveMaximum" if below else "maximum"] = most

    def use(value: object) -> float:
        number = _real(value)
        if number < least or number > most or (above and number == least) or (below and number == most):
            raise ValueError(f"{text}, but is {number:g}")
        return number

    return Check(use, schema)


def whole(least: int, most: int = _INT_LIMIT) -> Check:
    """Whole numbers; JSON does not tell 3.0 from 3."""

    def use(value: object) -> int:
        number = _real(value)
        if number != int(number):
            raise ValueError(f"must be a whole number, but is {number:g}")
        if number < least:
            raise ValueError(f"must be at least {least}, but is {number:.15g}")
        if number > most:
            raise ValueError(f"must be at most {most}, but is {number:.15g}")
        return int(number)

    return Check(use, {"type": "integer", "minimum": least, "maximum": most})


def steps(least: int) -> Check:
    """A number of steps, or as a fraction below 1 a share of all of them."""

    def use(value: object) -> int | float:
        number = _real(value)
        if 0 < number < 1:
            return number
        if number < least or number != int(number) or number > _INT_LIMIT:
            share = "a share of them between 0 and 1"
            raise ValueError(f"must be a whole number of steps from {least} on, or {share}, but is {number:g}")
        return int(number)

    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return Check(use, {"anyOf": [{"type": "integer", "minimum": least, "maximum": _INT_LIMIT}, share]})


def choice(*choices: str) -> Check:
    """One of some words."""

    def use(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, but is {short(value)}")
        return value

    return Check(use, {"type": "string", "enum": list(choices)})


def names(*words: str) -> Check:
    """A list of names, or one of `words` in its place."""

    def use(value: object) -> str | list[str]:
        if isinstance(value, str) and value in words:
            return value
        if not isinstance(value, list) or not value:
            instead = "".join(f' or "{word}"' for word in words)
            raise ValueError(f"must be a list of names{instead}, but is {short(value)}")
        if len(value) > _LIST_LIMIT:
            raise ValueError(f"has {len(value)} names; the most is {_LIST_LIMIT}")
        for index, name in enumerate(value):
            try:
                _text(name)
            except ValueError as error:
                raise ValueError(f"[{index}] {error}") from None
        return list(value)

    listed = {"type": "array", "items": text.schema, "minItems": 1, "maxItems": _LIST_LIMIT}
    return Check(use, {"anyOf": [{"const": word} for word in words] + [listed]} if words else listed)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object of names and values, not {kind_of(value)}")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must hold what JSON can carry: no NaN, no infinity, nothing but its own types") from None
    if size > _OBJECT_LIMIT_BYTES:
        raise ValueError("is larger than 64 KiB")
    return dict(value)


#: An object of anything that JSON carries.
any_object = Check(_object, {"type": "object"})
