"""The local provisioner: starts a training kernel under a shim and knows it by pid and start time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..protocol.jobdir import JobDir
from .processes import is_alive, signal_group, start_time

_ANSWER_TIMEOUT_SECONDS = 30.0
_POLL_SECONDS = 0.1
NO_LEASES: dict[str, Any] = {"dir": None, "gpus": []}


class LaunchError(RuntimeError):
    """The shim, or the kernel's command under it, could not be started; `hint` says what to do, if that is known."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class GpuBusy(LaunchError):
    """Somebody else holds a GPU that the job was to have; nothing was started, and it can wait for its turn again."""


class ShimProvisioner(LocalProvisioner):
    """Launches through the shim; the kernel is nobody's child here, so it is polled, never waited for."""

    _start_time: float | None = None

    @property
    def has_process(self) -> bool:
        return self.pid is not None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the shim of ``kwargs["job_dir"]`` and through it `cmd`; raises LaunchError, of which GpuBusy is one.

        ``attempt`` (else 1) and ``leases`` (else none) are the shim's.
        """
        request = {
            "command": cmd,
            "env": kwargs["env"],
            "cwd": kwargs["cwd"],
            "attempt": kwargs.get("attempt", 1),
            "leases": kwargs.get("leases", NO_LEASES),
        }
        reply = await asyncio.to_thread(_start_shim, kwargs["job_dir"], json.dumps(request).encode())
        self.attach(reply["pid"], start_time(reply["pid"]))
        self.cwd = kwargs["cwd"]
        return self.connection_info

    def attach(self, pid: int, started: float | None) -> None:
        """Supervise a kernel that runs already; it leads a process group of its own."""
        self.pid = self.pgid = pid
        self._start_time = started

    async def poll(self) -> int | None:
        return None if is_alive(self.pid, self._start_time) else 0

    async def wait(self) -> int | None:
        while await self.poll() is None:  # noqa: ASYNC110 - a process that is not our child can only be polled
            await asyncio.sleep(_POLL_SECONDS)
        self.pid = None
        return 0

    async def send_signal(self, signum: int) -> None:
        """Interrupts go to the kernel alone, since its workers die of them; all else to the whole group."""
        if self.pid is None or not is_alive(self.pid, self._start_time):
            return
        if signum == signal.SIGINT:
            os.kill(self.pid, signum)
        else:
            signal_group(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)


def _start_shim(job_dir: JobDir, request: bytes) -> dict[str, Any]:
    command = [sys.executable, "-m", "jupyter_trainlive.kernels.shim", str(job_dir.path)]
    # The package is found where this very module was, not in the server's current folder (-P needs 3.11).
    env = {**os.environ, "PYTHONPATH": str(job_dir.kernel / "path"), "PYTHONSAFEPATH": "1"}
    shim = subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path("/")
    )
    try:
        answer, errors = shim.communicate(request, timeout=_ANSWER_TIMEOUT_SECONDS)
        reply = json.loads(answer)
    except subprocess.TimeoutExpired:
        shim.kill()
        raise LaunchError("The job's supervisor did not answer in time.") from None
    except ValueError:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise LaunchError(f"The job's supervisor did not start: {lines[-1] if lines else 'no reason'}") from None
    if "busy" in reply:
        raise GpuBusy(reply["busy"])
    if "error" in reply:
        raise LaunchError(reply["error"], reply.get("hint"))
    return dict(reply)
