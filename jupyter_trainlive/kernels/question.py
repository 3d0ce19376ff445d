"""A kernel for one question: started for it alone, apart from all jobs, and ended with its answer.

Whoever has no torch asks so what only an environment with torch can tell. The question and its answer are files
in a private folder; the answer is there, whole, or it is not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from ..protocol.jobdir import ATTEMPT_VARIABLE, JOB_DIR_VARIABLE, JobDir, write_json
from .processes import signal_group
from .work import environment

#: So many kernels answer at a time: one reads a whole dataset, and shares the machine with the trainings.
MOST_AT_A_TIME = 2
#: How much longer the kernel may live than anybody waits for it, should it be forgotten.
_FORGOTTEN_SECONDS = 10.0
_POLL_SECONDS = 0.05
#: A Unix socket's path may have 103 bytes everywhere; "/socket-1" is appended.
_FOLDER_PATH_LIMIT = 90
_ANSWER_LIMIT_BYTES = 1 << 20
_LINE_LIMIT = 300
_CODE = "from jupyter_trainlive.training.question import answer; answer({folder!r})"

#: They log whatever they raise as an error with its traceback; here it becomes the answer.
_QUIET = logging.getLogger(f"{__name__}.manager")
_QUIET.setLevel(logging.CRITICAL)


class Unanswered(Exception):
    """Why there is no answer, in a sentence; `field` is the parameter that is the reason, where it is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Place:
    """Where a question is answered: a kernel by its name, a folder, and variables besides the server's."""

    kernel_name: str
    cwd: str
    env: Mapping[str, str]


class Questions:
    """Asks one kernel after the other; never more than `MOST_AT_A_TIME` live at once."""

    def __init__(self, kernel_spec_manager: KernelSpecManager) -> None:
        self._specs = kernel_spec_manager
        self._free = asyncio.Semaphore(MOST_AT_A_TIME)

    async def ask(self, question: dict[str, Any], place: Place, timeout_seconds: float) -> dict[str, Any]:
        """The answer of a new kernel, which sees no GPU and is gone when this returns, however it does.

        Raises Unanswered where the kernel can't be started, refuses the question, fails at it, or takes too long.
        """
        try:
            await asyncio.wait_for(self._free.acquire(), timeout_seconds)
        except (TimeoutError, asyncio.TimeoutError):
            raise Unanswered(
                f"{MOST_AT_A_TIME} others were still at work after {timeout_seconds:.0f} s; try again later"
            ) from None
        try:
            folder = await asyncio.to_thread(_new_folder)
            try:
                return await self._ask_in(folder, question, place, timeout_seconds)
            finally:
                # Not in a thread: who is cancelled once more while it waits would leave it behind.
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            self._free.release()

    async def _ask_in(
        self, folder: Path, question: dict[str, Any], place: Place, timeout_seconds: float
    ) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        lifetime = timeout_seconds + _FORGOTTEN_SECONDS
        write_json(folder / "question.json", {**question, "lifetime_seconds": lifetime})
        manager = AsyncKernelManager(
            kernel_spec_manager=self._specs,
            kernel_name=place.kernel_name,
            connection_file=str(folder / "connection.json"),
            # Over TCP any user of the machine could read along.
            transport="ipc",
            ip=str(folder / "socket"),
            autorestart=False,
            log=_QUIET,
        )
        client: AsyncKernelClient | None = None
        try:
            with (folder / "output.log").open("wb") as output:
                env = await asyncio.to_thread(_environment, folder, place.env)
                try:
                    await manager.start_kernel(env=env, cwd=place.cwd, stdout=output, stderr=output)
                except (OSError, ValueError, LookupError) as error:
                    raise Unanswered(f"the kernel {place.kernel_name!r} could not be started: {error}") from error
            client = manager.client()
            client.start_channels(iopub=False, stdin=False, hb=False, control=False)
            # It waits in ZeroMQ until the kernel listens.
            client.execute(_CODE.format(folder=str(folder)), silent=True, store_history=False, allow_stdin=False)
            while not (folder / "answer.json").exists():
                if not await manager.is_alive() and not (folder / "answer.json").exists():
                    raise Unanswered(f"the kernel {place.kernel_name!r} ended without an answer{_last_line(folder)}")
                if asyncio.get_running_loop().time() > deadline:
                    raise Unanswered(f"no answer within {timeout_seconds:.0f} s (Launcher.dry_run_timeout)")
                await asyncio.sleep(_POLL_SECONDS)
            return _read(folder / "answer.json")
        finally:
            _kill(manager)
            if client is not None:
                client.stop_channels()
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="trainlive-question-"))
    if len(os.fsencode(folder)) <= _FOLDER_PATH_LIMIT:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="trainlive-question-", dir="/tmp"))


def _environment(folder: Path, own: Mapping[str, str]) -> dict[str, str]:
    """A job's variables without the job: nothing is recorded, and no GPU is seen."""
    job_dir = JobDir(folder)
    job_dir.kernel.mkdir(mode=0o700)
    env = environment(os.environ, job_dir, own, gpus=[])
    for name in (JOB_DIR_VARIABLE, ATTEMPT_VARIABLE, "JPY_PARENT_PID"):
        # jupyter_client says who the parent is, and the kernel goes when that one is gone.
        env.pop(name, None)
    return env


def _kill(manager: AsyncKernelManager) -> None:
    """End the kernel and what it has started, at once and without waiting."""
    pid = getattr(manager.provisioner, "pid", None)
    if isinstance(pid, int) and manager.has_kernel:
        # It leads a session of its own.
        signal_group(pid, signal.SIGKILL)


def _read(path: Path) -> dict[str, Any]:
    """What the kernel answered; raises Unanswered where that is a refusal, or nothing to be understood."""
    try:
        if path.stat().st_size > _ANSWER_LIMIT_BYTES:
            raise ValueError("it is too long")
        answer = json.loads(path.read_bytes())
        error = answer.get("error")
        if error is None:
            return dict(answer["answer"])
        field = error.get("field")
        raise Unanswered(str(error["message"]), field if isinstance(field, str) else None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unanswered(f"the kernel's answer can't be understood: {error}") from error


def _last_line(folder: Path) -> str:
    """What a kernel said last, to go on with behind what is said of it."""
    try:
        text = (folder / "output.log").read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {lines[-1][:_LINE_LIMIT]}" if lines else ""
