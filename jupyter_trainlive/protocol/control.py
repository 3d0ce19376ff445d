"""control.json: the state the server wants, read by the trainer at every step."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .jobdir import write_json


class Desired(str, Enum):
    """What the server wants of a job."""

    RUNNING = "running"
    #: Wait at the next step boundary.
    PAUSED = "paused"
    #: Write a checkpoint at the next step boundary and leave, so that the GPU is free.
    RELEASED = "released"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Wish:
    """What is wanted, and the number of the pause request it belongs to: answers bear that number."""

    desired: Desired = Desired.RUNNING
    request: int = 0


def write_wish(path: Path, wish: Wish) -> None:
    """Say what is wanted from now on."""
    write_json(path, {"desired": wish.desired.value, "request": wish.request}, sync=True)


class ControlReader:
    """Reads control.json cheaply: one `stat` while nothing changes."""

    def __init__(self, path: Path) -> None:
        # As a string: the system is asked about it at every step.
        self._path = str(path)
        self._seen: tuple[int, int] | None = None
        self._wish = Wish()

    def wish(self) -> Wish:
        """What is wanted now; an unreadable or unknown content leaves the last known wish standing."""
        seen = self._look()
        if seen != self._seen:
            # Not seen as long as it can't be read: a wish must not be missed for want of a file descriptor.
            with contextlib.suppress(OSError):
                content = Path(self._path).read_bytes()
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._wish = _wish(json.loads(content))
                # Last: the interrupt that comes with a cancellation must not make us miss it.
                self._seen = seen
        return self._wish

    def unchanged(self) -> bool:
        """Whether nothing was written since the last wish was read."""
        return self._look() == self._seen

    def _look(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)  # noqa: PTH116
        except OSError:
            return self._seen
        return status.st_mtime_ns, status.st_ino


def _wish(content: object) -> Wish:
    if not isinstance(content, dict):
        raise ValueError("it is no object")
    request = content.get("request", 0)
    if type(request) is not int:
        raise ValueError("request is no whole number")
    return Wish(Desired(content["desired"]), request)
