"""What a job leaves behind, to be read by whoever may: one file, or a folder as an archive of a length known before.

A job writes its folder itself, so nothing in it is trusted: no link is followed, and no path leads out.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..protocol.jobdir import JobDir
from .errors import InvalidRequest
from .files import walk

#: The folders that are given away, and the files beside them.
FOLDERS = ("artifacts", "checkpoints")
FILES = ("output.log", "environment.json", "progress.json")
#: A folder of more files than this is one that nobody meant to ask for.
_MOST_FILES = 100_000
_CHUNK_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


class Missing(InvalidRequest):
    """There is no such file or folder, or it is none that is given away."""


class Changed(OSError):
    """A file is not what it was when its length was told; what was sent of it is not whole."""


def open_file(job_dir: JobDir, path: str) -> BinaryIO:
    """A file of the job, opened for reading; `path` as `files.listing` tells it. Raises Missing."""
    parts = _parts(path)
    if parts[0] not in FOLDERS and path not in FILES:
        raise _missing(path)
    try:
        fd = _opened(job_dir, parts)
    except (OSError, ValueError):
        raise _missing(path) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _missing(path)
    return os.fdopen(fd, "rb")


def read(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """The bytes from `start` on, `length` of them, in chunks. Raises Changed where there are fewer by now."""
    file.seek(start)
    while length > 0:
        chunk = file.read(min(length, _CHUNK_BYTES))
        if not chunk:
            raise Changed("The file is shorter than it was.")
        length -= len(chunk)
        yield chunk


def files_in(job_dir: JobDir, path: str) -> list[dict[str, Any]]:
    """[{"path", "size_bytes"}] of all that can be opened in a folder, in order. Raises Missing."""
    _folder(job_dir, path)
    return [{"path": inside, "size_bytes": known.st_size} for inside, known in _regular(job_dir, path)]


@dataclass(frozen=True)
class _Entry:
    path: str
    size_bytes: int
    header: bytes


class Archive:
    """A folder of a job as a tar: its files as they are now, in order, under the folder's own name."""

    def __init__(self, job_dir: JobDir, path: str) -> None:
        """`path` is a folder as `files.listing` has them in its paths. Raises Missing."""
        self._job_dir = job_dir
        self.name = _folder(job_dir, path)
        self._entries = [self._entry(path, inside, known) for inside, known in _regular(job_dir, path)]
        self.size_bytes = len(_END) + sum(len(each.header) + _padded(each.size_bytes) for each in self._entries)

    def chunks(self) -> Iterator[bytes]:
        """All of it. Raises Changed or Missing where a file is not what it was."""
        for entry in self._entries:
            yield entry.header
            with open_file(self._job_dir, entry.path) as file:
                yield from read(file, 0, entry.size_bytes)
            yield bytes(_padded(entry.size_bytes) - entry.size_bytes)
        yield _END

    @staticmethod
    def _entry(path: str, inside: str, known: os.stat_result) -> _Entry:
        above = path.rpartition("/")[0]
        info = tarfile.TarInfo(os.path.relpath(inside, above) if above else inside)
        info.size, info.mtime, info.mode = known.st_size, int(known.st_mtime), 0o644
        return _Entry(inside, known.st_size, info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))


def _folder(job_dir: JobDir, path: str) -> str:
    """The name of a folder that is given away, and reached by no link."""
    parts = _parts(path)
    folder = job_dir.path.joinpath(*parts)
    known = parts[0] in FOLDERS and folder.resolve() == job_dir.path.resolve().joinpath(*parts) and folder.is_dir()
    if not known:
        raise _missing(path)
    return parts[-1]


def _regular(job_dir: JobDir, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a folder as they are now, in order: their paths in the job, and what is known of them."""
    files = (each for each in walk(job_dir, job_dir.path / path) if stat.S_ISREG(each[1].st_mode))
    for count, each in enumerate(files):
        if count == _MOST_FILES:
            raise InvalidRequest("path", f"holds more than {_MOST_FILES:,} files; ask for its folders one by one")
        yield each


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise _missing(path)
    return parts


def _opened(job_dir: JobDir, parts: list[str]) -> int:
    """The last of the parts, opened from folder to folder, none of which may be a link."""
    here = os.open(job_dir.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = inner
        # A pipe would wait for somebody to write.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _missing(path: str) -> Missing:
    return Missing("path", f"is no file or folder that the job left: {path[:200]!r}")
