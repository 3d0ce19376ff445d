"""Standing in somebody's training without ever hurting it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..recorder import warn

_told: set[str] = set()


def complain(what: str, error: BaseException) -> None:
    """Say, once for each `what`, that it can't be watched."""
    if what not in _told:
        _told.add(what)
        warn(f"the training goes on, but watching {what} failed: {type(error).__name__}: {error}")


def guarded(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a function that does what it can and never raises; `what` it watches is named where it can't."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def safe(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
                complain(what, error)

        return safe

    return decorate


def after(owner: Any, name: str, then: Callable[..., None]) -> None:
    """Have ``then(object, result, *args, **kwargs)`` called after each call of a method; it must not raise.

    Raises AttributeError where `owner` has no such method.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        then(self, result, *args, **kwargs)
        return result

    setattr(owner, name, method)
