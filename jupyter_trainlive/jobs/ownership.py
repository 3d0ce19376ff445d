"""Which of several servers on one folder of jobs owns it: the one that holds its lock. The others read."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

_NAME = ".owner"
_SHOWN = 200
#: A file system that knows no locks: nobody can tell there whether another server is at it.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Owner:
    """The server that owns a folder of jobs."""

    url: str | None
    pid: int | None

    def __str__(self) -> str:
        return "another server" if self.url is None else f"the server at {self.url} (pid {self.pid})"


class Ownership:
    """The lock of one jobs folder. The system lets go of it when the process that holds it ends, however it does."""

    def __init__(self, jobs_dir: Path) -> None:
        self._path = jobs_dir / _NAME
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this server owns the folder."""
        return self._file is not None

    def take(self, url: str) -> bool:
        """Own the folder if nobody else does; others are told `url`. Raises OSError where it can't be locked."""
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(file)
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    return False
                raise
        self._file = file
        # Only words for people: a disk too full for them does not matter.
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)
        return True

    def owner(self) -> Owner:
        """Who owns the folder, as far as it says so itself."""
        try:
            content = json.loads(self._path.read_bytes()[:4096])
            return Owner(str(content["url"])[:_SHOWN], int(content["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Owner(None, None)

    def leave(self) -> None:
        """Let another server have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
