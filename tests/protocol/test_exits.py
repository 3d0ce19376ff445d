"""A process that ended without a word is explained: why, and what can be done about it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from jupyter_trainlive.protocol.exits import explain_exit, signal_name


def explain(**what: Any) -> tuple[str, str]:
    """The explanation of a training that had begun; no hint is an empty one."""
    known = {"code": None, "signal": None, "oom_killed": False, "began": True, "completed": False, "output": None}
    reason, hint = explain_exit(**{**known, **what})
    assert "\n" not in reason
    return reason, hint or ""


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (signal.SIGKILL, "by force"),
        (signal.SIGSEGV, "C, C++ or CUDA"),
        (signal.SIGFPE, "C, C++ or CUDA"),
        (signal.SIGABRT, "last lines of the output"),
        (signal.SIGILL, "another processor"),
        (signal.SIGBUS, "/dev/shm"),
        (signal.SIGTERM, "asked it to stop"),
        (signal.SIGHUP, "asked it to stop"),
        (signal.SIGINT, "asked it to stop"),
        (signal.SIGXFSZ, "ulimit -f"),
        (signal.SIGXCPU, "ulimit -t"),
    ],
)
def test_a_signal_is_told_by_its_name_with_what_to_do(number: signal.Signals, advice: str) -> None:
    reason, hint = explain(signal=number)
    assert reason == f"The training process was killed by {number.name} before the training reported its end."
    assert advice in hint


def test_a_signal_that_nobody_has_advice_for_is_told_without() -> None:
    reason = "The training process was killed by SIGUSR1 before the training reported its end."
    assert explain(signal=signal.SIGUSR1) == (reason, "")
    assert (
        explain(signal=250)[0] == "The training process was killed by signal 250 before the training reported its end."
    )
    assert (signal_name(9), signal_name(999)) == ("SIGKILL", "signal 999")


def test_the_system_that_ran_out_of_memory_is_no_mere_sigkill() -> None:
    reason, hint = explain(signal=signal.SIGKILL, oom_killed=True)
    assert reason == "The machine ran out of memory, and the system killed the training process."
    for remedy in ("smaller batches", "fewer DataLoader workers", "more memory"):
        assert remedy in hint
    assert explain(signal=signal.SIGKILL)[1] != hint


def test_a_worker_that_was_killed_for_want_of_memory_is_told_as_one() -> None:
    reason, hint = explain(code=1, oom_killed=True)
    assert reason == "The machine ran out of memory, and the system killed a process of the training."
    assert "DataLoader workers" in hint


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"code": 0}, "The training process exited with status 0 before the training reported its end."),
        ({"code": 3}, "The training process exited with status 3 before the training reported its end."),
        ({"code": 3, "completed": True}, "The training process exited with status 3 after the training had completed."),
        (
            {"signal": 11, "completed": True},
            "The training process was killed by SIGSEGV after the training had completed.",
        ),
        (
            {"signal": 9, "oom_killed": True, "completed": True},
            "The machine ran out of memory, and the system killed the training process after the training had "
            "completed.",
        ),
        (
            {"signal": 9, "began": False},
            "The training process was killed by SIGKILL before it began its work; its output may say why.",
        ),
        ({}, "The training process ended, nobody knows how, before the training reported its end."),
    ],
)
def test_the_reason_says_how_far_the_training_had_come(how: dict[str, Any], reason: str) -> None:
    assert explain(**how)[0] == reason


def test_a_work_that_left_by_itself_is_told_what_may_do_that() -> None:
    assert "os._exit" in explain(code=0)[1]
    assert explain(code=3, completed=True)[1] == ""


NO_KERNEL = "/opt/python: No module named ipykernel_launcher"


@pytest.mark.parametrize(
    ("code", "last", "advice"),
    [
        (1, "ModuleNotFoundError: No module named 'ipykernel_launcher'", "python -m pip install ipykernel"),
        (1, NO_KERNEL, "python -m pip install ipykernel"),
        (1, "ModuleNotFoundError: No module named 'zmq.backend'", "no module zmq: install it there"),
        (1, "ImportError: libzmq.so.5: cannot open shared object file", "repair the environment"),
        (127, "/bin/sh: 1: conda: not found", "was not found: look at argv"),
        (126, "/bin/sh: 1: /opt/kernel: Permission denied", "that file's mode"),
    ],
)
def test_a_kernel_that_never_began_says_why_in_its_last_line(code: int, last: str, advice: str) -> None:
    reason, hint = explain(code=code, began=False, output=f"Traceback (most recent call last):\n{last}\n")
    assert reason == f"The training process exited with status {code} before it began its work: {last}"
    assert advice in hint


@pytest.mark.parametrize("output", [None, "", "\n", "all is well so far", "an error was here\nbut not in the end"])
def test_a_last_line_that_is_no_error_is_no_reason(output: str | None) -> None:
    reason, hint = explain(code=3, began=False, output=output)
    assert reason == "The training process exited with status 3 before it began its work; its output may say why."
    assert "choose another kernel" in hint


def test_the_last_line_of_a_training_that_had_begun_is_not_taken_for_the_reason() -> None:
    reason, _ = explain(code=1, output="ValueError: was caught and printed")
    assert reason == "The training process exited with status 1 before the training reported its end."


def test_a_shells_status_alone_says_what_is_wrong_with_the_kernelspec() -> None:
    assert "was not found" in explain(code=127, began=False)[1]
    assert "can't be executed" in explain(code=126, began=False)[1]
    assert "os._exit" in explain(code=127)[1]
