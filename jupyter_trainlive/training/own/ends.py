"""How the code around a recording ends, where no `with` block tells: a cell, an exception at the top, the exit."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

#: How often a notebook's kernel that runs no cell looks whether its training was cancelled.
_LOOK_SECONDS = 1.0


class Endable(Protocol):
    """What is told; each of these is safe to call at any time."""

    def finish(self, error: BaseException | None = None) -> None:
        """The code has ended, by that exception where it is one."""

    def cut_short(self) -> None:
        """The code has ended, but not by itself, and how nobody knows."""

    def between_cells(self, between: bool) -> None:
        """Whether the code is between two cells: then no step is to be expected."""

    def cancelled(self) -> bool:
        """Whether the job was cancelled, of which nobody may have told the code."""


class Ends:
    """Tells one recording of the end of what it records, and of nothing behind that.

    With `trainer` a trainer's call is recorded: whatever ends without the trainer having said so was cut short, and
    ends with the cell. Else it goes on from cell to cell until somebody says that it is over.
    """

    def __init__(self, recording: Endable, *, trainer: bool) -> None:
        self._recording = recording
        self._trainer = trainer
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self._over = threading.Event()
        #: Cells that run within the one that began it; below zero that one is over.
        self._cells = 0
        self._excepthook: Callable[..., Any] | None = None
        self._shell = _shell()
        atexit.register(self._at_exit)
        if self._shell is None:
            self._excepthook, sys.excepthook = sys.excepthook, self._on_exception
            return
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)
        if not trainer:
            threading.Thread(target=self._between_cells, name="jupyter_trainlive-own", daemon=True).start()

    def remove(self) -> None:
        """Watch no longer."""
        self._over.set()
        atexit.unregister(self._at_exit)
        if self._excepthook is not None and sys.excepthook == self._on_exception:
            sys.excepthook = self._excepthook
        if self._shell is not None:
            for event, callback in (("pre_run_cell", self._before_cell), ("post_run_cell", self._after_cell)):
                with contextlib.suppress(ValueError):
                    self._shell.events.unregister(event, callback)

    def _at_exit(self) -> None:
        if self._trainer:
            self._recording.cut_short()
        else:
            self._recording.finish()

    def _on_exception(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        # At a prompt the session goes on after an exception.
        if not self._over.is_set() and (self._trainer or not hasattr(sys, "ps1")):
            self._recording.finish(error)
        if self._excepthook is not None:
            self._excepthook(kind, error, traceback)

    def _before_cell(self, *_: Any) -> None:
        self._cells += 1
        if self._cells == 0 and not self._trainer:
            self._recording.between_cells(False)

    def _after_cell(self, result: Any = None) -> None:
        self._cells -= 1
        # A trainer in a thread of its own goes on behind its cell.
        if self._cells >= 0 or self._over.is_set() or (self._trainer and not self._in_main_thread):
            return
        error = getattr(result, "error_in_exec", None)
        error = error if isinstance(error, BaseException) else None
        if self._trainer and error is None:
            self._recording.cut_short()
        elif self._trainer or self._recording.cancelled():
            self._recording.finish(error)
        else:
            self._recording.between_cells(True)

    def _between_cells(self) -> None:
        """A kernel that runs no cell hears no interrupt."""
        while not self._over.wait(_LOOK_SECONDS):
            if self._cells < 0 and self._recording.cancelled():
                self._recording.finish()


def _shell() -> Any:
    """The IPython shell of this process, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None
