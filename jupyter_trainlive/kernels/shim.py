"""The shim: one small supervisor a job, which outlives the server and never loses how a job ended.

``python -m jupyter_trainlive.kernels.shim JOB_DIR`` reads a JSON object {"command", "env", "cwd"} on
standard input, starts that command in a session of its own with its output in ``output.log``, answers
with one JSON line on standard output ({"pid"} or {"error"}), and stays until the process is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..protocol.doorbell import Doorbell
from ..protocol.jobdir import JobDir, write_json
from ..protocol.journal import JournalReader, JournalWriter
from ..protocol.messages import message
from ..protocol.states import Job, Journal, fold
from .processes import end_group, start_time

#: How long, and how often, the exit is tried to be recorded on a disk that refuses it.
_RECORD_SECONDS, _RETRY_SECONDS = 3600.0, 1.0
#: What the training leaves running has this long to go by itself.
_LEFTOVER_GRACE_SECONDS = 3.0
#: A machine that goes down sends these to all; the kernel goes, and its shim has yet to write that down.
_UNHEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


def main(job_dir: JobDir) -> None:
    """Supervise one job from its start to its end."""
    request = json.loads(sys.stdin.buffer.read())
    _leave_the_server()
    journal = JournalWriter(job_dir.process_journal)
    doorbell = Doorbell(job_dir.path.parent, job_dir.job_id)
    try:
        process = _spawn(job_dir, request)
    except (OSError, ValueError) as error:
        _answer({"error": f"The kernel's command could not be started: {error}"})
        return
    try:
        journal.append(
            "spawned",
            pid=process.pid,
            start_time=start_time(process.pid),
            shim_pid=os.getpid(),
            shim_start_time=start_time(os.getpid()),
        )
    except OSError as error:
        # Nobody would ever know of it.
        process.kill()
        _answer({"error": f"The kernel's start could not be recorded: {error}"})
        return
    doorbell.ring()
    _answer({"pid": process.pid})

    _, status, usage = os.wait4(process.pid, 0)
    end_group(process.pid, _LEFTOVER_GRACE_SECONDS)
    code = os.waitstatus_to_exitcode(status)
    _record_exit(
        journal,
        code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        peak_memory_gb=round(usage.ru_maxrss * _BYTES_PER_MAXRSS / 2**30, 3),
    )
    doorbell.ring()
    with contextlib.suppress(OSError):
        write_json(job_dir.progress_file, message(_folded(job_dir), time.time()))


def _record_exit(journal: JournalWriter, **values: Any) -> None:
    """Write down how the job ended. A full disk, which may well be why it did, is waited out."""
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
            for record in records:
                job = fold(job, journal, record)
    return job


if __name__ == "__main__":
    main(JobDir(Path(sys.argv[1])))
