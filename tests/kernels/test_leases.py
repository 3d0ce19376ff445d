"""A GPU is leased to one at a time on the whole machine, between real processes and real Unix users."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import jupyter_trainlive
from jupyter_trainlive.kernels.leases import Busy, acquire, holder, is_free

from .conftest import until

ONE, TWO = "GPU-00000000-aaaa-bbbb-cccc-000000000000", "GPU-11111111-aaaa-bbbb-cccc-111111111111"
HEAD = """
import os, subprocess, sys, time
from pathlib import Path
from jupyter_trainlive.kernels.leases import Busy, acquire, is_free
folder, user, uuids = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
if user != os.getuid():  # only now, for the other user may not be allowed to read what was imported
    os.setgroups([]); os.setgid(user); os.setuid(user)
"""
HOLD = HEAD + "leases = acquire(folder, uuids); print(os.getpid(), flush=True); time.sleep(600)"
IS_LINUX = sys.platform == "linux"


@dataclass
class Other:
    """Another process, and the first line that it has said."""

    process: subprocess.Popen[str]
    said: str

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


Start = Callable[..., Other]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code in another process, waits for its first line, and ends it with the test."""
    others = []

    def run(code: str, folder: Path, *uuids: str, user: int | None = None) -> Other:
        command = [sys.executable, "-c", code, str(folder), str(os.getuid() if user is None else user), *uuids]
        env = {**os.environ, "PYTHONPATH": str(Path(jupyter_trainlive.__file__).parents[1])}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        others.append(Other(process, process.stdout.readline().strip()))
        return others[-1]

    yield run
    for other in others:
        other.kill()


def test_a_leased_gpu_is_refused_to_others_until_it_is_released(folder: Path) -> None:
    leases = acquire(folder, [ONE])
    assert not is_free(folder, ONE)
    assert is_free(folder, TWO)
    with pytest.raises(Busy, match=f"{ONE} is leased by ") as refused:
        acquire(folder, [ONE], patience_seconds=0)
    assert refused.value.uuid == ONE
    leases.release()
    leases.release()
    assert is_free(folder, ONE)
    acquire(folder, [ONE]).release()


def test_all_are_leased_or_none(folder: Path) -> None:
    leases = acquire(folder, [TWO])
    with pytest.raises(Busy):
        acquire(folder, [ONE, TWO], patience_seconds=0)
    assert is_free(folder, ONE)
    leases.release()
    acquire(folder, [TWO, ONE, TWO]).release()


def test_no_gpu_is_leased_without_a_word(folder: Path) -> None:
    acquire(folder, []).release()


@pytest.mark.skipif(not IS_LINUX, reason="only Linux tells who holds a lock")
def test_the_holder_is_named(folder: Path, start: Start) -> None:
    assert holder(folder, ONE) is None
    other = start(HOLD, folder, ONE)
    assert holder(folder, ONE) == f"pid {other.pid} of {pwd.getpwuid(os.getuid()).pw_name}"
    assert holder(folder, TWO) is None
    with pytest.raises(Busy, match=f"pid {other.pid} of ") as refused:
        acquire(folder, [TWO, ONE], patience_seconds=0)
    assert refused.value.holder == holder(folder, ONE)


@pytest.mark.skipif(not IS_LINUX, reason="only Linux tells who holds a lock")
def test_who_only_looks_is_not_taken_for_the_holder(folder: Path) -> None:
    acquire(folder, [ONE]).release()
    [file] = folder.iterdir()
    with file.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert holder(folder, ONE) is None
        assert is_free(folder, ONE)


def test_a_killed_holder_frees_its_gpu_though_its_children_live(folder: Path, start: Start) -> None:
    with_child = "leases = acquire(folder, uuids); child = subprocess.Popen(['sleep', '600'], close_fds=False)"
    other = start(f"{HEAD}{with_child}; print(child.pid, flush=True); time.sleep(600)", folder, ONE)
    child = int(other.said)
    try:
        assert not is_free(folder, ONE)
        other.kill()
        until(lambda: is_free(folder, ONE))
        acquire(folder, [ONE]).release()
        os.kill(child, 0)
    finally:
        os.kill(child, 9)


def test_a_released_gpu_is_free_though_a_fork_has_inherited_the_lease(folder: Path) -> None:
    leases = acquire(folder, [ONE])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        leases.release()
        assert is_free(folder, ONE)
    finally:
        os.close(reader)
        os.close(writer)
        os.waitpid(child, 0)


def test_who_looks_all_the_time_keeps_nobody_from_leasing(folder: Path, start: Start) -> None:
    acquire(folder, [ONE]).release()
    looking = HEAD + "print(flush=True)\nwhile True: is_free(folder, uuids[0])"
    start(looking, folder, ONE)
    for _ in range(20):
        acquire(folder, [ONE]).release()


def test_a_short_look_is_waited_out(folder: Path) -> None:
    acquire(folder, [ONE]).release()
    [file] = folder.iterdir()
    with file.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        with pytest.raises(Busy):
            acquire(folder, [ONE], patience_seconds=0)
        threading.Timer(0.1, fcntl.flock, [looking, fcntl.LOCK_UN]).start()
        acquire(folder, [ONE], patience_seconds=10).release()


def test_of_many_who_want_the_same_gpus_one_has_them(folder: Path, start: Start) -> None:
    """Each names them in another order; each marks that it has them, and fails where another's mark stands."""
    racing = (
        HEAD + "print(flush=True)\n"
        "while not (folder.parent / 'go').exists(): time.sleep(0.001)\n"
        "for turn in range(100):\n"
        "    leases = acquire(folder, uuids, patience_seconds=60)\n"
        "    mark = os.open(folder.parent / 'inside', os.O_CREAT | os.O_EXCL)\n"
        "    os.close(mark); os.unlink(folder.parent / 'inside')\n"
        "    leases.release()\n"
    )
    others = [start(racing, folder, *order) for order in ((ONE, TWO), (TWO, ONE), (ONE, TWO))]
    (folder.parent / "go").touch()
    assert [other.process.wait(60) for other in others] == [0, 0, 0]


def test_a_file_that_is_cleaned_away_just_before_it_is_locked_is_not_what_is_leased(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would find no file there, make another one and lock that."""
    acquire(folder, [ONE]).release()
    [file] = folder.iterdir()
    flock = fcntl.flock

    def clean_up_first(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        file.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", clean_up_first)
    leases = acquire(folder, [ONE])
    assert not is_free(folder, ONE)
    leases.release()


@pytest.mark.parametrize("uuid", ["../../escape", "/escape", "..", ".", "", "a/b", "GPU\0x", "MIG-GPU-1/2/3", "ü%2F"])
def test_no_uuid_reaches_outside_the_folder(folder: Path, uuid: str) -> None:
    before = set(folder.parent.iterdir())
    leases = acquire(folder, [uuid, ONE])
    assert len([file for file in folder.iterdir() if file.is_file()]) == 2
    assert set(folder.parent.iterdir()) - before == {folder}
    assert not is_free(folder, uuid)
    leases.release()


def test_two_uuids_never_share_a_file(folder: Path) -> None:
    uuids = ["a/b", "a%2Fb", "a_b", "a b", "A/B"]
    acquire(folder, uuids).release()
    assert len(list(folder.iterdir())) == len(uuids)


def test_the_folder_and_its_files_are_open_to_all_whatever_the_umask(folder: Path, start: Start) -> None:
    start(f"import os; os.umask(0o077)\n{HOLD}", folder, ONE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o666]


def test_a_file_that_is_there_is_never_opened_to_be_made(folder: Path, start: Start) -> None:
    """Most machines forbid that in such a folder where the file is another user's: fs.protected_regular."""
    acquire(folder, [ONE]).release()
    watched = (
        HEAD + "flags = []\n"
        "def watch(event, args):\n"
        "    if event == 'open' and folder in Path(args[0]).parents: flags.append(args[2])\n"
        "sys.addaudithook(watch)\n"
        "is_free(folder, uuids[0]); acquire(folder, uuids); print(len(flags), any(flag & os.O_CREAT for flag in flags))"
    )
    assert start(watched, folder, ONE).said == "2 False"


def test_a_folder_that_is_there_is_left_as_it_is(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    acquire(folder, [ONE]).release()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_where_nothing_was_ever_leased_all_is_free_and_nothing_is_made(folder: Path) -> None:
    assert is_free(folder, ONE)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lease_dir is to be made in does not exist: '.*/missing'"):
        acquire(tmp_path / "missing" / "leases", [ONE])
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        acquire(tmp_path / "file", [ONE])


def plant(folder: Path, make: Callable[[Path], object]) -> None:
    """Put something else in the place of a lease's file."""
    acquire(folder, [ONE]).release()
    [file] = folder.iterdir()
    file.unlink()
    make(file)


def test_a_planted_symbolic_link_is_refused_and_its_target_untouched(folder: Path) -> None:
    target = folder.parent / "target"
    plant(folder, lambda file: file.symlink_to(target))
    for there in (False, True):
        if there:
            target.write_text("precious")
        for attempt in (acquire, lambda folder, uuids: is_free(folder, uuids[0])):
            with pytest.raises(OSError, match="can't be a symbolic link") as refused:
                attempt(folder, [ONE])
            assert refused.value.errno == errno.ELOOP
        assert target.exists() == there
    with target.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["fifo", "folder"])
def test_what_is_no_plain_file_is_refused_at_once(folder: Path, make: Callable[[Path], object]) -> None:
    plant(folder, make)
    started = time.monotonic()
    with pytest.raises(OSError, match=r"must be a plain file|Is a directory"):
        acquire(folder, [ONE])
    assert time.monotonic() - started < 5


@pytest.fixture
def nobody() -> int:
    """Another Unix user; only root can become one."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another Unix user")
    return pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder for leases that other users can reach, as they can't reach what pytest makes."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o711)
        yield Path(parent) / "leases"


TRY = HEAD + "\ntry: acquire(folder, uuids); print('leased')\nexcept Busy as busy: print(busy.holder)"


def test_a_file_that_root_made_is_leased_by_another_user(shared: Path, start: Start, nobody: int) -> None:
    leases = acquire(shared, [ONE])
    [file] = shared.iterdir()
    assert file.stat().st_uid == 0
    assert start(TRY, shared, ONE, user=nobody).said == (f"pid {os.getpid()} of root" if IS_LINUX else "None")
    leases.release()
    other = start(HOLD, shared, ONE, user=nobody)
    assert not is_free(shared, ONE)
    assert holder(shared, ONE) == (f"pid {other.pid} of nobody" if IS_LINUX else None)


def test_a_file_that_another_user_made_is_leased_by_root(shared: Path, start: Start, nobody: int) -> None:
    acquire(shared, []).release()
    other = start(HOLD, shared, ONE, user=nobody)
    [file] = shared.iterdir()
    assert file.stat().st_uid == nobody
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    with pytest.raises(Busy):
        acquire(shared, [ONE], patience_seconds=0)
    other.kill()
    until(lambda: is_free(shared, ONE))
    acquire(shared, [ONE]).release()


def test_a_folder_that_another_user_may_not_use_is_an_error_in_words(shared: Path, start: Start, nobody: int) -> None:
    shared.mkdir(mode=0o755)
    trying = HEAD + "\ntry: acquire(folder, uuids)\nexcept OSError as error: print(error)"
    assert "Permission denied" in start(trying, shared, ONE, user=nobody).said
