"""Training processes of the competitors, driven in blocks: each waits while another has its turn."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from jupyter_trainlive.protocol.control import Wish, write_wish
from jupyter_trainlive.protocol.doorbell import listen
from jupyter_trainlive.protocol.jobdir import JOB_DIR_VARIABLE, JobDir, new_job_id

from . import peers

#: A competitor is at rest when it and its children take less of a core than this.
_REST_PERCENT = 5.0
_READY_SECONDS = 60.0
_ANSWER_SECONDS = 120.0


class Worker:
    """``side/worker.py`` of one competitor. Raises DoesNotRun where it does not get ready, or dies."""

    def __init__(self, who: str, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.who = who
        self.folder = folder
        self._errors = (folder / "worker.log").open("wb")
        self._process = subprocess.Popen(
            peers.command(who, "worker.py", who, str(folder)),
            env={**peers.environment(folder), **(env or {})},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._family = psutil.Process(self._process.pid)
        self.answer(_READY_SECONDS)

    def answer(self, timeout: float = _ANSWER_SECONDS) -> Any:
        """The next line that it says."""
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], timeout)
        line = output.readline() if ready else b""
        if not line:
            self.end()
            raise peers.DoesNotRun(peers.last_words((self.folder / "worker.log").read_text(errors="replace")))
        return json.loads(line)

    def tell(self, do: str, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **command}).encode() + b"\n")
        self._process.stdin.flush()

    def do(self, do: str, **command: Any) -> dict[str, Any]:
        self.tell(do, **command)
        return dict(self.answer())

    def cpu_seconds(self) -> float:
        """Processor time of it and its children so far."""
        return sum(_cpu_seconds(process) for process in self._all())

    def settle(self, longest: float = 5.0) -> None:
        """Wait until what it does behind the call's back is done, or for `longest` seconds."""
        deadline, before = time.monotonic() + longest, self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.2)
            now = self.cpu_seconds()
            if (now - before) / 0.2 * 100 < _REST_PERCENT:
                return
            before = now

    def kill(self) -> bytes:
        """SIGKILL to the training process alone, as the machine's memory watch does; what it had said last."""
        self._process.kill()
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        self._process.wait()
        return said

    def end(self) -> None:
        """It, and all that it started."""
        peers.end_family(self._process)
        self._errors.close()

    def _all(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self._family, *self._family.children(recursive=True)]
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextlib.contextmanager
def job_folder(folder: Path) -> Iterator[tuple[JobDir, dict[str, str]]]:
    """A job directory in `folder` whose doorbell is heard, and the variables of the process that is that job."""
    job_dir = JobDir(folder / new_job_id())
    job_dir.create()
    # As the server does that submits a job.
    write_wish(job_dir.control_file, Wish())
    bell = listen(folder)
    bell.setblocking(True)

    def hear() -> None:
        with contextlib.suppress(OSError):
            while bell.recv(64) != b"over":
                pass

    heard = threading.Thread(target=hear, daemon=True)
    heard.start()
    try:
        yield job_dir, {JOB_DIR_VARIABLE: str(job_dir.path)}
    finally:
        bell.close()


@contextlib.contextmanager
def begun(who: str, folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """A worker in a folder of its own, a job's where it is one of ours; ended on leaving."""
    mine = folder / who
    mine.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        job = stack.enter_context(job_folder(mine))[1] if who == "trainlive" else {}
        worker = Worker(who, mine, {**job, **(env or {})})
        stack.callback(worker.end)
        yield worker
