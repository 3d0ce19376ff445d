"""What a job is given besides its spec: taken into its directory when it is submitted, and never changed then."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import Any

from ..protocol import variables
from ..protocol.jobdir import JobDir
from .errors import InvalidRequest, Unprocessable

#: A client moves its file into a job within moments; one that died leaves it.
_STALE_SECONDS = 86_400.0


def take_in(jobs_dir: Path, job_dir: JobDir, spec: dict[str, Any]) -> dict[str, Any]:
    """Copy the source and move the variables into the job's inputs; the spec, which names them then.

    Raises OSError where the directory can't be written, InvalidRequest where what was named is not there.
    """
    if spec.get("path") is not None:
        source = Path(spec["path"])
        try:
            data = source.read_bytes()
        except OSError as error:
            raise Unprocessable("path", f"{source} can't be read: {error.strerror}") from None
        _write(job_dir.inputs / source.name, data)
    if spec.get("variables") is not None:
        return {**spec, "variables": _take_variables(variables.inbox(jobs_dir) / spec["variables"], job_dir)}
    return spec


def clear_inbox(jobs_dir: Path, now: float | None = None) -> None:
    """Delete what clients put there and never asked for; raises OSError where the folder can't be read."""
    folder = variables.inbox(jobs_dir)
    before = (time.time() if now is None else now) - _STALE_SECONDS
    for entry in os.scandir(folder) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if variables.is_file_name(entry.name) and entry.stat(follow_symlinks=False).st_mtime < before:
                Path(entry.path).unlink()


def _take_variables(file: Path, job_dir: JobDir) -> list[str]:
    """Move the file of variables into the job; their names. It must be a plain file of this user's."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidRequest("variables", f"{file.name} is not in the inbox: {error.strerror}") from None
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink != 1:
            raise InvalidRequest("variables", f"{file.name} is no plain file of this server's user")
        try:
            names, _ = variables.read_header(opened)
        except (ValueError, OSError, RecursionError) as error:
            raise InvalidRequest("variables", f"{file.name} holds no variables: {error}") from None
        os.fchmod(handle, 0o600)
    file.rename(job_dir.inputs / variables.FILE)
    return names


def _write(file: Path, data: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as opened:
        opened.write(data)
