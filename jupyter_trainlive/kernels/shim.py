"""The shim: one small supervisor an attempt of a job, which outlives the server and never loses how it ended.

``python -m jupyter_trainlive.kernels.shim JOB_DIR`` reads a JSON object {"command", "env", "cwd", "attempt",
"leases": {"dir", "gpus"}} on standard input, locks those GPUs if there is a folder for the locks, starts that
command in a session of its own with its output in ``output.log``, and answers with one JSON line on standard
output: {"pid"}, or {"busy"} where somebody else has a GPU, or {"error", "hint"}. It stays until no process of the
job is left, and writes down how it ended.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ..protocol.doorbell import Doorbell
from ..protocol.jobdir import JobDir, write_json
from ..protocol.journal import JournalReader, JournalWriter
from ..protocol.messages import message
from ..protocol.states import Job, Journal, fold_all
from .exits import Watch
from .leases import Busy, Leases, acquire
from .leftovers import adopt_orphans, end_all, wait_until_gone
from .processes import boot_id, start_time

#: How long, and how often, the exit is tried to be recorded on a disk that refuses it.
_RECORD_SECONDS, _RETRY_SECONDS = 3600.0, 1.0
#: What the training leaves running has this long to go by itself.
_LEFTOVER_GRACE_SECONDS = 3.0
#: To end it takes that long at most, before how the job ended is recorded all the same.
_LEFTOVER_SECONDS = 60.0
#: A machine that goes down sends these to all; the kernel goes, and its shim has yet to write that down.
_UNHEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


def main(job_dir: JobDir) -> None:
    """Supervise one attempt of a job from its start to its end."""
    request = json.loads(sys.stdin.buffer.read())
    attempt = request["attempt"]
    _leave_the_server()
    adopt_orphans()
    try:
        leases = _lease(request["leases"])
    except Busy as busy:
        _answer({"busy": str(busy)})
        return
    except OSError as error:
        _answer({"error": f"The locks of the GPUs could not be taken: {error}"})
        return
    journal = JournalWriter(job_dir.process_journal)
    doorbell = Doorbell(job_dir.path.parent, job_dir.job_id)
    watch = Watch.begin(job_dir)
    try:
        process = _spawn(job_dir, request)
    except (OSError, ValueError) as error:
        _answer({"error": f"The kernel's command could not be started: {error}", "hint": _hint(error, request)})
        return
    try:
        journal.append(
            "spawned",
            attempt=attempt,
            pid=process.pid,
            start_time=start_time(process.pid),
            shim_pid=os.getpid(),
            shim_start_time=start_time(os.getpid()),
            boot_id=boot_id(),
        )
    except OSError as error:
        # Nobody would ever know of it.
        process.kill()
        _answer({"error": f"The kernel's start could not be recorded: {error}"})
        return
    doorbell.ring()
    _answer({"pid": process.pid})

    ended = _wait_for(process.pid)
    left = _end_leftovers(job_dir, process.pid)
    if leases is not None and not left:
        leases.release()
    _record_exit(
        journal, attempt=attempt, **ended, **watch.details(ended["signal"]), **({"left": left} if left else {})
    )
    doorbell.ring()
    with contextlib.suppress(OSError):
        write_json(job_dir.progress_file, message(_folded(job_dir), time.time()))
    if leases is not None and left:
        # They may still use the GPUs, whose locks go with this process.
        wait_until_gone(job_dir.path, process.pid)


def _lease(wanted: dict[str, Any]) -> Leases | None:
    """The locks of the GPUs, held by this process alone; raises Busy or OSError."""
    return acquire(Path(wanted["dir"]), wanted["gpus"]) if wanted["dir"] and wanted["gpus"] else None


def _wait_for(kernel: int) -> dict[str, Any]:
    """Wait for the kernel's end; meanwhile take in the orphans of the job that end before it."""
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == kernel:
            break
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "peak_memory_gb": round(usage.ru_maxrss * _BYTES_PER_MAXRSS / 2**30, 3),
    }


def _end_leftovers(job_dir: JobDir, kernel: int) -> int:
    """End what the kernel left running; returns how many would not go, 1 where even looking for them fails.

    Linux lets whoever asks a process for its environment wait, at times for ever, for one whose disk is dead.
    """
    left: list[int] = []
    ending = threading.Thread(
        target=lambda: left.append(end_all(job_dir.path, kernel, _LEFTOVER_GRACE_SECONDS, supervisor=True)),
        daemon=True,
    )
    ending.start()
    ending.join(_LEFTOVER_SECONDS)
    return left[0] if left else 1


def _record_exit(journal: JournalWriter, **values: Any) -> None:
    """Write down how the attempt ended. A full disk, which may well be why it did, is waited out."""
    deadline = time.monotonic() + _RECORD_SECONDS
    while True:
        try:
            journal.append("exited", **values)
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _leave_the_server() -> None:
    """Become nobody's child in a session of one's own, deaf to signals: the last to go, who says how it ended."""
    os.umask(0o077)
    if os.fork():
        os._exit(0)
    os.setsid()
    for number in _UNHEARD:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")


def _spawn(job_dir: JobDir, request: dict[str, Any]) -> subprocess.Popen[bytes]:
    output = os.open(job_dir.output_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            request["command"],
            env=request["env"],
            cwd=request["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_hear_signals_again,
        )
    finally:
        os.close(output)


def _hear_signals_again() -> None:
    # An ignored signal stays ignored across exec, and a kernel must hear them to be interrupted and ended.
    for number in _UNHEARD:
        signal.signal(number, signal.SIG_DFL)


def _hint(error: OSError | ValueError, request: dict[str, Any]) -> str | None:
    """What to do about a command that could not be started."""
    if not isinstance(error, OSError):
        return None
    # Popen tells by the file's name which of the two it was.
    if error.filename == request["cwd"]:
        return "The folder in which the job was to run can't be entered: submit it again from one that can."
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC):
        return (
            "The program that the kernelspec names is missing or can't be executed: look at argv in its kernel.json, "
            "install the kernel again (python -m ipykernel install), or choose another one."
        )
    return None


def _answer(reply: dict[str, Any]) -> None:
    """Tell the server, if it is still there, and let go of everything it gave us."""
    # Where the server is gone nobody listens; the journal has it all.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(reply).encode() + b"\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    for inherited in (0, 1, 2):
        os.dup2(nothing, inherited)
    os.close(nothing)


def _folded(job_dir: JobDir) -> Job:
    job = Job(job_dir.job_id)
    files = {
        Journal.SERVER: job_dir.server_journal,
        Journal.PROCESS: job_dir.process_journal,
        Journal.TRAINING: job_dir.training_journal,
    }
    for journal, path in files.items():
        reader = JournalReader(path)
        while records := reader.read():
            job = fold_all(job, journal, records)
    return job


if __name__ == "__main__":
    main(JobDir(Path(sys.argv[1])))
