"""Leases of GPUs that hold on the whole machine: one locked file each.

A lease is an exclusive ``flock``, which the operating system ends together with its holder, however that one ends.
Several people's servers share the folder, so it is writable for all (mode 1777, as ``/tmp`` is), anybody can
have put anything into it, and nothing in it is read: only the locks count.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

#: How long a file that is locked is tried again: whoever only looks whether it is free locks it for a moment.
PATIENCE_SECONDS = 0.5
_RETRY_SECONDS = 0.01


class Busy(Exception):
    """Somebody else has the GPU; ``holder`` says who in words, where the operating system tells."""

    def __init__(self, uuid: str, holder: str | None) -> None:
        super().__init__(f"{uuid} is leased by {holder or 'another process'}")
        self.uuid = uuid
        self.holder = holder


class Leases:
    """What `acquire` took. It lasts until `release`, or until the process ends.

    Programs that the process starts don't keep it alive, for its descriptors are closed on exec. A child that
    forks and never execs would: start children through ``subprocess`` only.
    """

    def __init__(self, held: contextlib.ExitStack) -> None:
        self._held = held

    def release(self) -> None:
        """Let go of all of them; a second time does nothing."""
        self._held.close()


def acquire(lease_dir: Path, uuids: Sequence[str], *, patience_seconds: float = PATIENCE_SECONDS) -> Leases:
    """Lease all of these GPUs, or none.

    The folder is made where it is missing, and the one above it is not. Call it in the process that shall hold
    the leases, for `holder` names the one that took them. Raises Busy, and OSError where the folder can't be used.
    """
    _make_folder(lease_dir)
    deadline = time.monotonic() + patience_seconds
    with contextlib.ExitStack() as held:
        for uuid in sorted(set(uuids)):  # the same order for everybody, so that no two wait for each other
            while not _take(_file(lease_dir, uuid), held):
                if time.monotonic() >= deadline:
                    raise Busy(uuid, holder(lease_dir, uuid))
                time.sleep(_RETRY_SECONDS)
        return Leases(held.pop_all())


def is_free(lease_dir: Path, uuid: str) -> bool:
    """Whether nobody leases this GPU just now. Changes nothing. Raises OSError where the file can't be used."""
    try:
        descriptor = _open(_file(lease_dir, uuid))
    except FileNotFoundError:
        return True
    try:
        return _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(lease_dir: Path, uuid: str) -> str | None:
    """Who leases this GPU, as "pid 123 of alice"; None where nobody does or nobody can tell.

    Linux knows who holds a lock: proc(5), /proc/locks. It names no process of another container.
    """
    try:
        file = _file(lease_dir, uuid).lstat()
        table = Path("/proc/locks").read_text()
    except OSError:
        return None
    file_id = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for line in table.splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", pid, found, *_] if found == file_id:
                return _process(int(pid))
    return None


def _process(pid: int) -> str | None:
    try:
        uid = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None
    try:
        return f"pid {pid} of {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"pid {pid} of user {uid}"


def _file(lease_dir: Path, uuid: str) -> Path:
    # Quoted, no name has a slash, and no two have the same file; the prefix keeps dots from meaning a folder.
    return lease_dir / f"gpu-{quote(uuid, safe='')}.lock"


def _make_folder(lease_dir: Path) -> None:
    try:
        lease_dir.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError as error:
        raise FileNotFoundError(
            errno.ENOENT, "The folder that lease_dir is to be made in does not exist", str(lease_dir.parent)
        ) from error
    lease_dir.chmod(0o1777)  # mkdir's own mode is subject to the umask


def _take(path: Path, held: contextlib.ExitStack) -> bool:
    """Lock the file, made where it is missing, and hand it to `held`; False where somebody else has it now."""
    with contextlib.ExitStack() as attempt:
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            _create(path)
            descriptor = _open(path)
        attempt.callback(os.close, descriptor)
        if not _lock(descriptor, fcntl.LOCK_EX) or not _is_still(path, descriptor):
            return False
        attempt.pop_all()
    held.callback(_let_go, descriptor)
    return True


def _open(path: Path) -> int:
    """Open a file that anybody may have put there. Raises OSError, also for what is no plain file."""
    # Without O_CREAT, which fs.protected_regular forbids for another's file in such a folder: proc_sys_fs(5).
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "A lease can't be a symbolic link", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "A lease must be a plain file", str(path))
    return descriptor


def _create(path: Path) -> None:
    """Make the file, open to all from the moment it is there, whatever the umask."""
    descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
    try:
        os.fchmod(descriptor, 0o666)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(descriptor)
        Path(draft).unlink()


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    # Whoever cleans the folder up may have removed the file meanwhile, and the next one would lock another.
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _let_go(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that has inherited it
    os.close(descriptor)
