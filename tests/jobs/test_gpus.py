"""A GPU that somebody else uses is busy, and is said to be so by whom, as far as that can be known."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from jupyter_trainlive.jobs.gpus import describe, foreign_holder
from jupyter_trainlive.system import Gpu, GpuProcess

PEOPLE = {1234: "python of alice (pid 1234)", 77: "ollama of bob (pid 77)", 5: "Xorg of root (pid 5)"}


def holder(
    *processes: GpuProcess, used_gb: float | None = None, own: frozenset[int] = frozenset(), listed: bool = True
) -> str | None:
    gpu = Gpu(0, "GPU-0", "Pretend", memory_used_gb=used_gb, processes=processes if listed else None)
    return foreign_holder(gpu, own, PEOPLE.get)


def test_a_gpu_that_nobody_uses_is_free() -> None:
    assert holder(used_gb=0.4) is None
    assert holder() is None


def test_a_gpu_is_busy_with_the_process_that_computes_on_it() -> None:
    assert holder(GpuProcess(1234, 2.5), used_gb=2.7) == "python of alice (pid 1234)"
    assert holder(GpuProcess(1234, 0.1), used_gb=0.3) == "python of alice (pid 1234)"


def test_of_several_the_one_with_the_most_memory_is_named() -> None:
    assert holder(GpuProcess(1234, 2.5), GpuProcess(77, 8.0)) == "ollama of bob (pid 77) and 1 more"
    assert holder(GpuProcess(1234, None), GpuProcess(77, 0.5), GpuProcess(9)) == "ollama of bob (pid 77) and 2 more"


def test_a_process_that_cannot_be_seen_from_here_still_counts() -> None:
    assert holder(GpuProcess(4242, 2.5)) == "a process that can't be seen from here (pid 4242)"


def test_our_own_processes_are_not_foreign() -> None:
    own = frozenset({1234})
    assert holder(GpuProcess(1234, 2.5), used_gb=2.7, own=own) is None
    assert holder(GpuProcess(1234, 2.5), GpuProcess(77, 0.5), own=own) == "ollama of bob (pid 77)"


@pytest.mark.parametrize("listed", [True, False], ids=["none listed", "not listed"])
def test_memory_that_no_process_is_seen_to_use_is_somebodys(listed: bool) -> None:
    assert holder(used_gb=12.34, listed=listed) == "something that can't be seen from here (12.3 GB)"
    assert holder(used_gb=1.0, listed=listed) is None
    assert holder(listed=listed) is None


def test_a_desktop_leaves_its_gpu_free() -> None:
    desktop = GpuProcess(5, 1.6, graphics=True)
    assert holder(desktop, used_gb=1.9) is None
    assert holder(desktop, used_gb=9.0) == "something that can't be seen from here (7.4 GB)"
    assert holder(desktop, GpuProcess(1234, 2.0), used_gb=4.0) == "python of alice (pid 1234)"


def test_where_a_process_keeps_its_memory_to_itself_the_rest_is_not_guessed() -> None:
    assert holder(GpuProcess(5, None, graphics=True), used_gb=9.0) is None


def test_a_process_is_described_by_its_program_its_user_and_its_pid() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        words = describe(process.pid)
        assert words is not None
        assert words.endswith(f" of {pwd.getpwuid(os.getuid()).pw_name} (pid {process.pid})")
        assert words.startswith("python")
    assert describe(process.pid) is None
    assert (describe(os.getpid()) or "").endswith(f"(pid {os.getpid()})")
