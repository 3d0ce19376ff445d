"""What may be logged: names and numbers, checked one by one."""

from __future__ import annotations

import operator
from typing import Any

NAME_LIMIT = 200
#: Beyond it a chart, whose numbers are floats, can't tell one step from the next.
MOST_COUNT = 2**53


def kind_of(value: object) -> str:
    """What a value is, in words."""
    return "None" if value is None else f"a {type(value).__name__}"


def checked_name(key: object) -> str:
    """A name that may be logged; raises TypeError or ValueError for another."""
    if type(key) is str and 0 < len(key) <= NAME_LIMIT:
        return key
    if not isinstance(key, str):
        raise TypeError(f"the name {key!r} must be a string, not {kind_of(key)}")
    if not key:
        raise ValueError("a name must not be empty")
    if len(key) > NAME_LIMIT:
        raise ValueError(f"the name {key[:40]!r}… has {len(key)} characters; {NAME_LIMIT} are allowed")
    return str(key)


def checked_number(key: object, value: object) -> float | int:
    """A number as Python's own; raises TypeError, naming `key`, for what is none or several."""
    if type(value) is float or type(value) is int:
        return value
    if hasattr(value, "item") and not isinstance(value, (str, bool)):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            raise TypeError(f"{key!r} must be one number, but this {type(value).__name__} holds several") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{key!r} must be a number, not {kind_of(value)}")
    return int(value) if isinstance(value, int) else float(value)


def checked_count(key: str, value: Any) -> int:
    """A whole number from 0 on; raises TypeError or ValueError, naming `key`, for another."""
    if isinstance(value, bool):
        raise TypeError(f"{key} must be a whole number, not a bool")
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{key} must be a whole number, not {kind_of(value)}") from None
    if count < 0:
        raise ValueError(f"{key} must not be negative, but is {count}")
    if count > MOST_COUNT:
        raise ValueError(f"{key} must be at most 2**53, but is {count}")
    return count


def number_in(value: object) -> float | None:
    """A number out of what trainers log, which may also be text or a whole report; None where it is none."""
    if hasattr(value, "item") and not isinstance(value, str):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
