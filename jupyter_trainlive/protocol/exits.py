"""Why a training process ended without saying so itself: one line of reason, and what can be done about it."""

from __future__ import annotations

import re
import signal as signals

_OUT_OF_MEMORY = (
    "Use smaller batches or fewer DataLoader workers, load less of the data at once, or give the machine or its "
    "container more memory."
)
_NATIVE_CODE = (
    "Code in C, C++ or CUDA crashed, not Python: the last lines of the output may name the library. Update or "
    "reinstall it, and check that its version fits the others."
)
_FROM_OUTSIDE = (
    "Something outside of this job asked it to stop: a person, a resource manager, or a machine that was shut down."
)
#: By name, since the numbers differ from system to system.
_SIGNAL_HINTS = {
    "SIGKILL": (
        "Something on this machine ended it by force: a person, the limits of a container or a resource manager, or "
        "the system when it was short of memory."
    ),
    "SIGSEGV": _NATIVE_CODE,
    "SIGFPE": _NATIVE_CODE,
    "SIGABRT": "A library in C, C++ or CUDA gave up: the last lines of the output should say why.",
    "SIGILL": "A library was built for another processor than this machine's: install a build that fits it.",
    "SIGBUS": (
        "Memory that lies in a file found no room there: free some in /dev/shm and on the disk, use fewer DataLoader "
        "workers, or give the container more shared memory."
    ),
    "SIGTERM": _FROM_OUTSIDE,
    "SIGHUP": _FROM_OUTSIDE,
    "SIGINT": _FROM_OUTSIDE,
    "SIGXFSZ": "It wrote a file larger than this machine allows: raise the limit (ulimit -f) or write smaller files.",
    "SIGXCPU": "It used more CPU time than this machine allows: raise the limit (ulimit -t).",
}
_LEFT_BY_ITSELF = (
    "Something in the work left the process without an exception, such as os._exit or a library in C; the last lines "
    "of the output may say more."
)
_BROKEN_KERNEL = (
    "The kernel itself could not start: see the output, and repair the environment of its kernelspec or choose "
    "another kernel."
)
#: What a shell says of a command that it found, or did not find, in a kernelspec that starts its kernel through one.
_SHELL_HINTS = {
    126: "A command of the kernelspec can't be executed: look at argv in its kernel.json, and at that file's mode.",
    127: "A command of the kernelspec was not found: look at argv in its kernel.json.",
}
_ERROR_LINE = re.compile(
    r"\b\w*(error|exception)\b|no module named|not found|no such file|denied|cannot |can't ", re.IGNORECASE
)
_NO_MODULE = re.compile(r"no module named '?([\w.]+)", re.IGNORECASE)


def signal_name(number: int) -> str:
    """SIGKILL for 9; the bare number where it has no name here."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def explain_exit(
    *, code: int | None, signal: int | None, oom_killed: bool, began: bool, completed: bool, output: str | None
) -> tuple[str, str | None]:
    """The reason in one line, and a hint where there is something to do about it.

    `code` or `signal` is how the process ended; `oom_killed` says that the system killed it, or a process of
    its, for want of memory; `began` and `completed` what the training had reported; `output` is its last lines.
    """
    if oom_killed:
        whom = "the training process" if signal is not None else "a process of the training"
        after = " after the training had completed" if completed else ""
        return f"The machine ran out of memory, and the system killed {whom}{after}.", _OUT_OF_MEMORY
    if signal is not None:
        name = signal_name(signal)
        return f"The training process was killed by {name} {_when(began, completed)}.", _SIGNAL_HINTS.get(name)
    how = "ended, nobody knows how," if code is None else f"exited with status {code}"
    if began or completed:
        return f"The training process {how} {_when(began, completed)}.", None if completed else _LEFT_BY_ITSELF
    last = (output or "").strip().rpartition("\n")[2]
    if _ERROR_LINE.search(last):
        return f"The training process {how} before it began its work: {last}", _hint_of_kernel(code, last)
    return f"The training process {how} {_when(began, completed)}.", _hint_of_kernel(code, last)


def _when(began: bool, completed: bool) -> str:
    if completed:
        return "after the training had completed"
    return "before the training reported its end" if began else "before it began its work; its output may say why"


def _hint_of_kernel(code: int | None, last: str) -> str | None:
    """What to do about a kernel that never began: it ended with that code and that last line of output."""
    if missing := _NO_MODULE.search(last):
        module = missing[1].partition(".")[0]
        if module in ("ipykernel", "ipykernel_launcher"):
            return "Install ipykernel into the environment of this kernel: python -m pip install ipykernel"
        return f"The environment of this kernel has no module {module}: install it there, or choose another kernel."
    if code is None:
        return None
    return _SHELL_HINTS.get(code, _BROKEN_KERNEL)
