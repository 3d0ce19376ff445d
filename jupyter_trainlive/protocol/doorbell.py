"""The doorbell: a datagram that tells the server which job has something new.

It carries nothing but the job's id, and nobody waits for an answer: without a server, or with one
that is busy, the journals wait and its slow poll finds them.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

#: A job does not ring again for so long: who has heard it looks again until that long has brought nothing more.
UNTOLD_SECONDS = 0.04

_NAME = ".doorbell"
#: A Unix socket's path has at most 108 bytes on Linux and 104 on macOS, its end included.
_PATH_LIMIT_BYTES = 103


@contextlib.contextmanager
def _address(jobs_dir: Path) -> Iterator[str]:
    """The socket's path, short enough for the system however deep `jobs_dir` lies.

    Raises OSError where the system has no way to shorten it.
    """
    path = str(jobs_dir / _NAME)
    if len(os.fsencode(path)) <= _PATH_LIMIT_BYTES:
        yield path
    elif sys.platform == "linux":
        folder = os.open(jobs_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{folder}/{_NAME}"
        finally:
            os.close(folder)
    else:
        raise OSError(f"the path of the doorbell in {jobs_dir} is too long for a Unix socket")


class Doorbell:
    """The ringing side, inside a job."""

    def __init__(self, jobs_dir: Path, job_id: str) -> None:
        self._message = job_id.encode()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._rung_at = -math.inf
        self._held = contextlib.ExitStack()
        self._address = ""
        with contextlib.suppress(OSError):
            self._address = self._held.enter_context(_address(jobs_dir))

    def ring(self, now: float | None = None) -> None:
        """Say that something is new; with `now` (a clock's seconds) only if that was not just said.

        Never blocks, never fails.
        """
        if now is not None:
            if 0 <= now - self._rung_at < UNTOLD_SECONDS:
                return
            self._rung_at = now
        with contextlib.suppress(OSError):
            self._socket.sendto(self._message, self._address)

    def close(self) -> None:
        self._socket.close()
        self._held.close()


def listen(jobs_dir: Path) -> socket.socket:
    """The server's end: a non-blocking socket that receives one job id a datagram.

    It takes the place of one that an earlier server left. Raises OSError where it can't be made.
    """
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bell.setblocking(False)
        (jobs_dir / _NAME).unlink(missing_ok=True)
        with _address(jobs_dir) as address:
            bell.bind(address)
    except BaseException:
        bell.close()
        raise
    return bell
