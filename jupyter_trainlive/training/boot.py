"""The first thing a training kernel runs: takes the job, does its work, reports the end and leaves.

The launcher sends one execute request, ``from jupyter_trainlive.training.boot import run; run()``. The kernel
then exits by itself with status 0 however the work ended; another status, or a signal, is a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from ..protocol.control import Desired
from ..protocol.jobdir import JobDir
from . import cell, environment, hooks, interrupts, kept, notebook, script, variables
from .control import NO_RELEASE
from .errors import End, end_of
from .owner import claim, job_dir_of_this_process
from .recorder import Recorder, current, warn

#: How long threads and exit handlers of the work may hold up the exit once its end is recorded.
EXIT_GRACE_SECONDS = 60.0
#: Frames of ours and of IPython's that only lead to the work.
_OURS = str(Path(__file__).parent)


def run() -> None:
    """Do the work of the job this process was started for; a second call does nothing.

    Raises RuntimeError outside of a job, OSError where its directory can't be used.
    """
    job_dir = job_dir_of_this_process()
    if job_dir is None:
        raise RuntimeError("this process is no job: TRAINLIVE_JOB_DIR is not set")
    if not claim(job_dir):
        return
    try:
        write_to_log(job_dir)
        recorder = current()
        if recorder is None:
            raise OSError(f"{job_dir.training_journal} can't be written")
    except OSError:
        if cell.in_kernel():
            # Nothing can be told, and a kernel that waits for more to do would keep the job for ever.
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        raise
    recorder.start()
    work: asyncio.Task[BaseException | None] | None = None
    error: BaseException | None = None
    try:
        if not recorder.gate.cancel_requested():
            work = _work(job_dir, recorder)
    except BaseException as raised:  # noqa: BLE001 - every end is recorded, KeyboardInterrupt and SystemExit too
        error = raised
    if work is None:
        _finish(recorder, error)
    else:
        work.add_done_callback(lambda task: _finish(recorder, cell.outcome(task)))


def _work(job_dir: JobDir, recorder: Recorder) -> asyncio.Task[BaseException | None] | None:
    """Do the work and raise what it raises; returns a task where the rest awaits on the kernel's loop."""
    spec = job_dir.read_spec()
    environment.begin(job_dir, spec)
    hooks.install(loss_from_backward=spec.get("loss_from_backward") is True)
    kind = spec.get("kind")
    if kind == "finetune":
        # Here, because other jobs need neither torch nor transformers.
        from .recipes import finetune

        finetune.run(spec.get("parameters"), job_dir, recorder, kept.namespace)
        return None
    if kind in ("code", "script", "notebook") and recorder.gate.ask(None, no_release=NO_RELEASE) is Desired.CANCELLED:
        # One that was paused while it started does not begin.
        return None
    if kind == "code":
        if spec.get("variables"):
            variables.load(job_dir)
        return cell.run(_text(spec, "code"))
    if kind == "script":
        processes = spec.get("processes", 1)
        if type(processes) is int and processes > 1:
            from . import elastic

            elastic.run(spec, job_dir, recorder, processes)
        else:
            script.run(spec, job_dir)
        return None
    if kind == "notebook":
        return notebook.run(spec, job_dir, recorder)
    raise ValueError(f"this version of jupyter_trainlive can't run jobs of kind {kind!r}")


def _text(spec: dict[str, Any], key: str) -> str:
    value = spec.get(key)
    if not isinstance(value, str):
        raise ValueError(f"spec.json has no {key}")
    return value


def _finish(recorder: Recorder, error: BaseException | None) -> None:
    """Record the end and leave."""
    if threading.current_thread() is threading.main_thread():
        # The work is over: an interrupt that comes now must not cost its end.
        with contextlib.suppress(ValueError, OSError):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    hooks.finish()
    interrupted = isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))
    # Lightning turns an interrupt into an exit with 1.
    interrupted = interrupted or (isinstance(error, SystemExit) and error.code not in (None, 0))
    # An interrupt is how the server insists; other work was cut short only if it was told to stop.
    cancelled = recorder.gate.heeded or (interrupted and recorder.gate.cancel_requested())
    if not cancelled and interrupts.cut_short(recorder, error):
        error, cancelled = None, True
    if error is None and not cancelled:
        # The same for work that returned after it was told to stop for its loss.
        error = recorder.stop
    hidden = (_OURS, *cell.hidden_frames())
    end = end_of(error, cancelled=cancelled, hidden=hidden, folders=_written_to(recorder.job_dir))
    _tell(end)
    recorder.end(end.status, end.error, end.hint, end.traceback)
    environment.training_begins(recorder.job_dir)
    environment.wait()
    if kept.keep(recorder, end.status, error, hidden, _insist):
        return
    if cell.leave():
        threading.Thread(target=_insist, name="jupyter_trainlive-exit", daemon=True).start()


def _written_to(job_dir: JobDir) -> list[Path]:
    """The folders that work of any kind writes to."""
    folders = [job_dir.path]
    # Either is missing where somebody removed it, or where nothing can be written there any more.
    with contextlib.suppress(OSError):
        folders.append(Path.cwd())
    with contextlib.suppress(OSError):
        folders.append(Path(tempfile.gettempdir()))
    return folders


def _tell(end: End) -> None:
    """The end in the log, after what the work printed last."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        if end.traceback is not None:
            print(end.traceback, end="", file=sys.stderr)
        elif end.error is not None:
            print("\n".join(filter(None, (end.error, end.hint))), file=sys.stderr)
        sys.stderr.flush()


def _insist() -> None:
    """Leave without those who don't end: they would keep the job running, and its GPU taken, for ever."""
    time.sleep(EXIT_GRACE_SECONDS)
    alive = [thread.name for thread in threading.enumerate() if not thread.daemon and thread.is_alive()]
    warn(f"not ended {EXIT_GRACE_SECONDS:.0f} s after the work, so the process is left; alive: {alive}")
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(0)


def write_to_log(job_dir: JobDir) -> None:
    """Point stdout and stderr of this process and its children at the job's output.log.

    A kernel sends them to whoever is connected, and nobody may be. Descriptors as well as `sys.stdout`, so
    that libraries in C and subprocesses are heard.
    """
    log = os.open(job_dir.output_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            old = getattr(sys, name)
            if old is not None:
                kept.streams.setdefault(name, old)
                with contextlib.suppress(OSError, ValueError):
                    old.flush()
                _keep_from_touching_descriptors(old)
            os.dup2(log, descriptor)
            new = open(  # noqa: SIM115 - for the life of the process
                descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
            )
            setattr(sys, name, new)
    finally:
        os.close(log)


def _keep_from_touching_descriptors(stream: Any) -> None:
    """Tell ipykernel's stream that descriptor 1 or 2 is no longer its own.

    It reads what is written there from a pipe in a thread, and once it is closed (at the latest when it is
    collected) writes a zero byte to the descriptor to wake that thread, and waits for it: that would
    end up in the log, and wait for ever. Without the thread it does neither.
    """
    if getattr(stream, "_should_watch", False) and hasattr(stream, "_original_stdstream_fd"):
        stream._should_watch = False
        with contextlib.suppress(OSError):
            # The pipe is still there: this ends the thread.
            os.write(stream._original_stdstream_fd, b"\0")
