"""Whether a process that the server did not start is still there, told by a lock that goes with it, however it ends.

A pid means something on its own machine and in its own container only; a lock on a file is seen wherever the file is.
It is a POSIX record lock, since forked children (data loader workers) don't inherit those.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path

from .jobdir import JobDir

#: What `lockf` says where somebody else has the lock.
_HELD = (errno.EACCES, errno.EAGAIN)


def presence_file(job_dir: JobDir) -> Path:
    """The file that the process of that job holds."""
    return job_dir.kernel / "present"


class Presence:
    """Held by one process for as long as it is there. Nothing else in that process may open the file."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file can't be made; a file system without locks is no error."""
        self._pid = os.getpid()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self) -> None:
        """Be there no longer; does nothing in a forked child."""
        if self._file >= 0 and os.getpid() == self._pid:
            os.close(self._file)
            self._file = -1


def is_present(path: Path) -> bool | None:
    """Whether some process holds that file; None where nobody can tell (no locks there, or it can't be opened)."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return True if error.errno in _HELD else None
    finally:
        os.close(file)
    return False


def host() -> str:
    """The machine, and on Linux the container, whose pids this process knows."""
    name = os.uname().nodename
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # In a container of its own a process has other numbers.
            return f"{name} {Path('/proc/self/ns/pid').readlink()}"
    return name
