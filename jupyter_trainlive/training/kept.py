"""The kernel after its work, where it is kept for a while: open to its user, and gone by itself when that is over."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..protocol.control import ControlReader, Desired
from ..protocol.jobdir import JobDir
from ..protocol.values import finite
from . import cell
from .recorder import Recorder, warn

#: What a recipe leaves to whoever looks at the kernel after it, by name. Code, scripts and notebooks leave their own.
namespace: dict[str, Any] = {}
#: The kernel's own stdout and stderr, by name: a console reads them, while the work writes into its log.
streams: dict[str, Any] = {}

#: How often it is looked whether somebody wants the kernel gone before its time.
_LOOK_SECONDS = 0.5
#: A kernel that has not begun to leave so long after it was told is busy.
_BUSY_SECONDS = 3.0
#: Code that never lets go of the interpreter lets no thread of it run: so much later the system ends the process.
_ALARM_SECONDS = 120.0


def keep(
    recorder: Recorder,
    status: str,
    error: BaseException | None,
    hidden: tuple[str, ...],
    insist: Callable[[], None],
) -> bool:
    """Keep this kernel if its job wants that, its end being recorded; False where the kernel is to leave now.

    Work that was cancelled, or is to go on elsewhere, leaves nothing to look at. `error` is what the work raised,
    `hidden` the folders whose frames only lead to it. `insist` leaves the process some time after it was told to.
    Nothing is recorded any more after that.
    """
    seconds = _wanted_seconds(recorder.job_dir)
    unwanted = not seconds or status not in ("completed", "failed") or recorder.gate.cancel_requested()
    if unwanted or not cell.in_kernel() or cell.leaving():
        return False
    until = time.time() + seconds
    try:
        cell.hand_over(streams, namespace, error, hidden)
        # Before anybody is told that it is kept: one that does not end by itself must not be.
        threading.Thread(
            target=_see_to_the_end, args=(recorder.job_dir, until, insist), name="jupyter_trainlive-kept", daemon=True
        ).start()
    except Exception as failure:  # noqa: BLE001 - whatever is odd about this kernel, the job must end
        warn(f"the kernel can't be kept: {type(failure).__name__}: {failure}")
        return False
    if not recorder.kept(until):
        return False
    recorder.close()
    _set_alarm(seconds + _ALARM_SECONDS)
    return True


def _wanted_seconds(job_dir: JobDir) -> float:
    try:
        return max(0.0, finite(job_dir.read_spec().get("keep_kernel")) or 0.0)
    except (OSError, ValueError):
        return 0.0


def _see_to_the_end(job_dir: JobDir, until: float, insist: Callable[[], None]) -> None:
    """End the kernel at its time, or when it is told to, even in the middle of a cell."""
    deadline = time.monotonic() + until - time.time()
    wishes = ControlReader(job_dir.control_file)
    # Neither clock alone is enough: the one may be set back, the other stands still while the machine sleeps.
    while time.time() < until and time.monotonic() < deadline:
        if wishes.wish().desired is Desired.CANCELLED or _is_gone(job_dir.path):
            break
        time.sleep(_LOOK_SECONDS)
    began = threading.Event()
    with contextlib.suppress(Exception):
        cell.leave_soon(began.set)
    if began.wait(_BUSY_SECONDS):
        insist()
    os._exit(0)


def _is_gone(path: Path) -> bool:
    """Whether the job was removed by hand: then nobody finds the way to its kernel any more."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _set_alarm(seconds: float) -> None:
    if threading.current_thread() is threading.main_thread():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)
