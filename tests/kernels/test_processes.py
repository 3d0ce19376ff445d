"""A process is known by pid and start time; a zombie is no process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jupyter_trainlive.kernels.processes import _start_time_by_ps, boot_id, is_alive, signal_group, start_time

from .conftest import until


def test_a_living_process_is_alive_and_another_of_the_same_pid_is_not() -> None:
    started = start_time(os.getpid())
    assert started is not None
    assert is_alive(os.getpid(), started)
    assert not is_alive(os.getpid(), started + 1)
    assert not is_alive(os.getpid(), None)
    assert not is_alive(None, started)


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["sleep", "600"])
    started = start_time(process.pid)
    assert is_alive(process.pid, started)
    process.kill()
    until(lambda: start_time(process.pid) is None)
    os.kill(process.pid, 0)  # still there, as a zombie
    assert not is_alive(process.pid, started)
    process.wait()
    assert start_time(process.pid) is None


def test_a_command_with_spaces_and_parentheses_is_read_right() -> None:
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') Z 1 (x y)'); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            before = start_time(process.pid)
            assert process.stdout is not None
            process.stdout.readline()
            assert start_time(process.pid) == before is not None
        finally:
            process.kill()


def test_what_ps_says_names_the_same_process() -> None:
    # As it is done on macOS; to the second.
    with subprocess.Popen(["sleep", "600"]) as process:
        started = _start_time_by_ps(process.pid)
        process.kill()
        assert started is not None
        assert abs(started - time.time()) < 5
        until(lambda: _start_time_by_ps(process.pid) is None)


def test_the_same_process_before_the_machine_was_restarted_is_another() -> None:
    pid, started = os.getpid(), start_time(os.getpid())
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert is_alive(pid, started, boot_id())
    assert is_alive(pid, started, None), "an older journal does not say"
    assert not is_alive(pid, started, "another")


def test_a_group_hears_a_signal_as_long_as_one_of_it_is_left() -> None:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    assert signal_group(process.pid, 0)
    assert signal_group(process.pid, signal.SIGTERM)
    assert process.wait(5) == -signal.SIGTERM
    assert not signal_group(process.pid, 0)
