"""What a job left, taken home: a file or a whole folder, whatever becomes of the connection meanwhile.

A file is written beside its place under another name and moved there when it is whole. What was interrupted goes on
where it was, in the same call or a later one; a file that was changed meanwhile begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from . import connection
from .errors import NoServerError, RequestError, TrainLiveError

#: Told now and then: how many bytes are there, and of how many.
Progress = Callable[[int, int], None]

#: So long is waited before each further try, as long as none of them brings anything.
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 5.0, 10.0)


def download(job_id: str, path: str, to: Path, progress: Progress | None = None) -> Path:
    """Copy a job's file or folder into the folder `to`; where it is then.

    What is there already and is the same is not fetched again; what is there and differs is a TrainLiveError, and is
    left alone. Raises RequestError where there is no such file, and NoServerError where the server stays away.
    """
    path = path.rstrip("/")
    files = _wanted(job_id, path)
    if not files:
        raise TrainLiveError(f"path: {job_id} has left nothing in {path}")
    total = sum(size for _, size in files)
    free = shutil.disk_usage(_nearest(to)).free
    if free < total:
        raise TrainLiveError(
            f"to: {to} has {free / 2**30:.1f} GB free, and {path} is {total / 2**30:.1f} GB; name another folder."
        )
    above = PurePosixPath(path).parent
    done = 0
    for each, size in files:
        target = to / PurePosixPath(each).relative_to(above)
        if not target.parent.resolve().is_relative_to(to.resolve()):
            raise TrainLiveError(f"to: {target.parent} is a link out of {to}; remove it, or name another folder.")
        _fetch(job_id, each, target, partial(_tell, progress, done, total))
        done += size
    return to / PurePosixPath(path).name


def _tell(progress: Progress | None, before: int, total: int, here: int) -> None:
    if progress is not None:
        progress(before + here, total)


def _wanted(job_id: str, path: str) -> list[tuple[str, int]]:
    """The files at a path with their sizes; a folder has many, a file itself."""
    if not _is_safe(path):
        raise TrainLiveError(f"path: must be a file or folder as files() lists them, not {path!r}")
    server = connection.current()
    try:
        found = server.request("GET", f"api/training/jobs/{job_id}/files", params={"path": path}).json()["files"]
    except RequestError as error:
        if error.status != 404:
            raise
        try:
            head = server.request("HEAD", _address(job_id, path))
        except RequestError:
            # It is no file either; the answer to a HEAD says nothing.
            raise error from None
        return [(path, int(head.headers["Content-Length"]))]
    # The server is not this machine: its names are looked at before anything is written.
    if not all(_is_safe(each["path"]) and each["path"].startswith(path + "/") for each in found):
        raise TrainLiveError(f"path: the server lists files of {path} that are not in it")
    return [(each["path"], int(each["size_bytes"])) for each in found]


def _is_safe(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return all(part not in ("", ".", "..") and "\0" not in part for part in path.split("/"))


def _fetch(job_id: str, path: str, target: Path, progress: Callable[[int], None]) -> None:
    """One file, in as many tries as it needs."""
    failures, there = 0, -1
    while True:
        try:
            return _try(job_id, path, target, progress)
        except NoServerError:
            now = _there(target)
            failures, there = (0 if now > there else failures + 1), now
            if failures == len(_RETRY_SECONDS):
                raise
            time.sleep(_RETRY_SECONDS[failures])
        except OSError as error:
            raise TrainLiveError(
                f"to: {target} can't be written: {error.strerror or error}. What is there already is kept."
            ) from error


def _try(job_id: str, path: str, target: Path, progress: Callable[[int], None]) -> None:
    server = connection.current()
    head = server.request("HEAD", _address(job_id, path)).headers
    etag, size = head["ETag"], int(head["Content-Length"])
    changed = parsedate_to_datetime(head["Last-Modified"]).timestamp()
    if os.path.lexists(target):
        # A link is somebody's own, wherever it leads.
        known = target.lstat()
        if (known.st_size, int(known.st_mtime)) != (size, int(changed)):
            raise TrainLiveError(
                f"to: {target} is there already, and is not the same; remove it, or name another folder."
            )
        progress(size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target, etag)
    for other in target.parent.glob(_part(target, "*").name):
        if other != part:
            other.unlink()
    at = part.stat().st_size if part.exists() else 0
    if at != size or size == 0:
        asked = {"Range": f"bytes={at}-", "If-Range": etag} if 0 < at < size else {}
        with server.stream(_address(job_id, path), headers={"Accept-Encoding": "identity", **asked}) as answer:
            _write(answer, part, etag, at if answer.status_code == 206 else 0, progress)
    if part.stat().st_size != size:
        raise NoServerError(
            f"{path} came with {part.stat().st_size:,} bytes of {size:,}: it changed, or the connection broke."
        )
    os.utime(part, (changed, changed))
    part.replace(target)
    progress(size)


def _write(answer: httpx.Response, part: Path, etag: str, at: int, progress: Callable[[int], None]) -> None:
    if answer.headers["ETag"] != etag:
        raise NoServerError("The file was changed on the server while it was downloaded.")
    # In a folder that others may write to, a link of that name would lead to another file.
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainLiveError(f"to: {part.parent} is where this file is being downloaded already") from None
        file.truncate(at)
        file.seek(at)
        for chunk in answer.iter_raw():
            file.write(chunk)
            progress(file.tell())


def _part(target: Path, etag: str) -> Path:
    """Where a file grows: by a name that no other state of it has, and that is short whatever the file is called."""
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    state = etag if etag == "*" else hashlib.sha256(etag.encode()).hexdigest()[:12]
    return target.parent / f".{name}-{state}.part"


def _there(target: Path) -> int:
    return (
        sum(part.stat().st_size for part in target.parent.glob(_part(target, "*").name))
        if target.parent.is_dir()
        else 0
    )


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there already."""
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


def _address(job_id: str, path: str) -> str:
    return f"api/training/jobs/{job_id}/files/{quote(path, errors='surrogateescape')}"


def files(job_id: str) -> list[dict[str, Any]]:
    """[{"path", "size_bytes"}] of what a job left, 1,000 at the most."""
    found: list[dict[str, Any]] = connection.current().get(f"api/training/jobs/{job_id}/files")["files"]
    return found
