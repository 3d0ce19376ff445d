"""A process is known by pid and start time; a zombie is no process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from jupyter_trainlive.kernels.processes import _start_time_by_ps, end_group, is_alive, signal_group, start_time

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


def test_a_group_is_ended_by_as_little_as_it_takes() -> None:
    polite = subprocess.Popen(["sleep", "600"], start_new_session=True)
    end_group(polite.pid, 5)
    polite.wait(5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    stubborn = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    with stubborn.stdout:
        stubborn.stdout.readline()
        began = time.monotonic()
        end_group(stubborn.pid, 0.3)
        assert time.monotonic() - began < 2
        assert stubborn.wait(5) == -signal.SIGKILL
    end_group(stubborn.pid, 5)
    assert not signal_group(stubborn.pid, 0)
