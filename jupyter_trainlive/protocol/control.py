"""control.json: the state the server wants, read by the trainer at every step."""

from __future__ import annotations

import contextlib
import json
from enum import Enum
from pathlib import Path

from .jobdir import write_json


class Desired(str, Enum):
    """What the server wants of a job."""

    RUNNING = "running"
    CANCELLED = "cancelled"


def write_desired(path: Path, desired: Desired) -> None:
    """Say what is wanted from now on."""
    write_json(path, {"desired": desired.value}, sync=True)


class ControlReader:
    """Reads control.json cheaply: one `stat` while nothing changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._desired = Desired.RUNNING

    def desired(self) -> Desired:
        """What is wanted now; an unreadable or unknown content leaves the last known wish standing."""
        try:
            status = self._path.stat()
        except OSError:
            return self._desired
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            # Not seen as long as it can't be read: a wish must not be missed for want of a file descriptor.
            with contextlib.suppress(OSError):
                content = self._path.read_bytes()
                self._seen = seen
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._desired = Desired(json.loads(content)["desired"])
        return self._desired
