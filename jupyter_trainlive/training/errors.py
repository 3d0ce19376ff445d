"""What went wrong in words for the person who started the job, and what it is recorded as."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..protocol.dataset import DatasetError
from ..protocol.parameters import ParameterError
from .control import Cancelled, Released
from .explanations import explain
from .watch import NonFiniteLoss

ERROR_LIMIT = 500
TRACEBACK_LIMIT_BYTES = 64 * 1024


class RecipeError(Exception):
    """A reason in one line why a recipe can't go on, and in `hint` what to do about it.

    `field` is the parameter that is the reason, where it is one.
    """

    def __init__(self, message: str, hint: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.field = field


@dataclass(frozen=True)
class End:
    """How some work ended, as the `end` record tells it."""

    status: str
    error: str | None = None
    hint: str | None = None
    traceback: str | None = None


class EndedElsewhere(Exception):
    """The work was done in other processes, and this is how it ended there."""

    def __init__(self, end: End) -> None:
        super().__init__(end.error or end.status)
        self.end = end


def end_of(
    error: BaseException | None, *, cancelled: bool, hidden: tuple[str, ...] = (), folders: Sequence[Path] = ()
) -> End:
    """The end of work that raised `error` (None: it returned), `cancelled` telling whether that was wished.

    Frames of files whose path begins with one of `hidden` are left out where they only lead to the user's.
    `folders` are those that the work writes to.
    """
    if error is None:
        return End("cancelled" if cancelled else "completed")
    if isinstance(error, EndedElsewhere):
        return error.end
    if isinstance(error, Released):
        return End("released")
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError, Cancelled)):
        return End("cancelled") if cancelled else End("failed", "Interrupted")
    if isinstance(error, SystemExit):
        # Lightning exits with 1 when it is interrupted.
        return End("cancelled") if cancelled else _end_of_exit(error)
    if isinstance(error, (RecipeError, DatasetError, ParameterError, NonFiniteLoss)):
        # Meant to be read as it is; a traceback of ours would only stand in the way.
        return End("failed", _one_line(_placed(error, str(error))), getattr(error, "hint", None))
    text = f"{type(error).__name__}: {_first_line(error)}".removesuffix(": ")
    explanation = explain(error, folders)
    hint = explanation.hint if explanation else None
    reason = (explanation.reason if explanation else None) or text
    return End("failed", _one_line(_placed(error, reason)), hint, format_traceback(error, hidden))


def _end_of_exit(error: SystemExit) -> End:
    if error.code is None or error.code == 0:
        return End("completed")
    return End("failed", _one_line(_placed(error, f"SystemExit: {error.code}")))


def place(error: BaseException, where: str) -> BaseException:
    """The same error, whose end will tell where it happened, as ``Cell [5]``."""
    # Some classes of exceptions take no attributes; then it is told without.
    with contextlib.suppress(Exception):
        error._trainlive_place = where  # type: ignore[attr-defined]
    return error


def _placed(error: BaseException, text: str) -> str:
    where = getattr(error, "_trainlive_place", None)
    return f"{where}: {text}" if isinstance(where, str) else text


def _first_line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody's __str__
        return ""
    lines = text.strip().splitlines()
    return lines[0] if lines else ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= ERROR_LIMIT else line[: ERROR_LIMIT - 1] + "…"


def format_traceback(error: BaseException, hidden: tuple[str, ...] = ()) -> str:
    """The traceback as plain text, its beginning and end kept where it is very long."""
    try:
        text = "".join(traceback.format_exception(type(error), error, shown_frames(error, hidden)))
    except Exception as failure:  # noqa: BLE001 - somebody's __str__ or __repr__
        text = f"{type(error).__name__} (whose traceback can't be shown: {type(failure).__name__})\n"
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= TRACEBACK_LIMIT_BYTES:
        return data.decode()
    half = TRACEBACK_LIMIT_BYTES // 2 - 20
    return f"{data[:half].decode(errors='ignore')}\n…\n{data[-half:].decode(errors='ignore')}"


def shown_frames(error: BaseException, hidden: tuple[str, ...]) -> TracebackType | None:
    """The traceback from its first frame that is not hidden; all of it where every frame is."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename.startswith(hidden):
        at = at.tb_next
    # A syntax error tells its place by itself; it happens in the compiler, not in the user's frames.
    return at if at is not None or isinstance(error, SyntaxError) else error.__traceback__
