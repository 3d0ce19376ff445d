"""control.json: the state the server wants, read by the trainer at every step.

Beside it lies control.count, eight bytes that count how often it was written. The trainer has them in its memory, so
that asking costs no call to the system: one that comes after a pause in the thousandths of a second takes longer than
all else that a step of a quick loop costs.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .jobdir import write_json

_COUNT_BYTES = 8
#: A wish that was not counted is seen so late: where another version wrote it, or its writer was killed in between.
_LOOK_SECONDS = 1.0


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
    """Say what is wanted from now on; one at a time. Raises OSError where it can't be written."""
    write_json(path, {"desired": wish.desired.value, "request": wish.request}, sync=True)
    # Without it the trainer sees the wish when it next looks by itself.
    with contextlib.suppress(OSError):
        _count_one_more(_count_file(path))


def _count_file(path: Path) -> Path:
    return path.with_suffix(".count")


def _count_one_more(path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        count = int.from_bytes(os.pread(file, _COUNT_BYTES, 0), "little")
        # In its place and never cut off: the trainer has it in its memory.
        os.pwrite(file, ((count + 1) % (1 << 8 * _COUNT_BYTES)).to_bytes(_COUNT_BYTES, "little"), 0)
    finally:
        os.close(file)


class ControlReader:
    """Reads control.json cheaply: nothing but memory while nothing changes, and a `stat` once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._wish = Wish()
        self._counter: mmap.mmap | None = None
        self._count = b""
        self._look_at = self._map_at = 0.0

    def wish(self) -> Wish:
        """What is wanted now; an unreadable or unknown content leaves the last known wish standing."""
        if not self.unchanged():
            self._read()
        return self._wish

    def unchanged(self) -> bool:
        """Whether nothing was written since the last wish was read."""
        counter = self._counter
        return counter is not None and counter[:] == self._count and time.monotonic() < self._look_at

    def _read(self) -> None:
        now = time.monotonic()
        if self._counter is None and now >= self._map_at:
            self._map_at = now + _LOOK_SECONDS
            self._counter = _mapped(_count_file(self._path))
        # First of all: what is written from here on counts as new.
        count = b"" if self._counter is None else self._counter[:]
        with contextlib.suppress(OSError):
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                content = self._path.read_bytes()
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._wish = _wish(json.loads(content))
            # Last, and not where it can't be read: neither the interrupt that comes with a cancellation nor a lack of
            # file descriptors must make us miss it.
            self._seen, self._count, self._look_at = seen, count, now + _LOOK_SECONDS


def _mapped(path: Path) -> mmap.mmap | None:
    """The counter in memory; None where there is none, as in a job that nobody was wished anything of."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        return mmap.mmap(file.fileno(), _COUNT_BYTES, prot=mmap.PROT_READ)
    return None


def _wish(content: object) -> Wish:
    if not isinstance(content, dict):
        raise ValueError("it is no object")
    request = content.get("request", 0)
    if type(request) is not int:
        raise ValueError("request is no whole number")
    return Wish(Desired(content["desired"]), request)
