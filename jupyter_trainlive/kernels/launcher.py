"""The launcher: starts a job's training kernel and hands it its work; reattaches to one that runs."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from traitlets.config import LoggingConfigurable
from traitlets.traitlets import Float, Instance, TraitError

from ..protocol.jobdir import JobDir
from .provisioner import LaunchError, ShimProvisioner
from .question import Place, Questions
from .work import BOOT_CODE, environment

#: A Unix socket's path may have 103 bytes everywhere; jupyter_client appends "-" and a digit.
_SOCKET_PATH_LIMIT = 101

#: Kernel managers log whatever they raise as an error with its traceback, and a GPU that is taken is no error.
_QUIET = logging.getLogger(f"{__name__}.manager")
_QUIET.setLevel(logging.CRITICAL)


class TrainingKernelManager(AsyncKernelManager):
    """A kernel manager whose kernel outlives it: it never restarts, and leaves the kernel's files alone."""

    def cleanup_connection_file(self) -> None:
        """The connection file belongs to the job, not to this manager."""

    def cleanup_ipc_files(self) -> None:
        """The sockets belong to the kernel, which goes on without this manager."""


class Launcher(LoggingConfigurable):
    """Starts training kernels, one a job. It alone of the server's side speaks to kernels."""

    kernel_start_timeout = Float(120.0, help="Seconds that a training kernel may take until it begins its work.").tag(
        config=True
    )
    dry_run_timeout = Float(
        300.0, help="Seconds that a dry run may take, its kernel's start and the reading of the data included."
    ).tag(config=True)

    kernel_spec_manager = Instance(KernelSpecManager)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._questions = Questions(self.kernel_spec_manager)

    def check(self, kernel_name: str) -> None:
        """Raise LookupError where a job can't run in that kernel, saying why."""
        try:
            spec = self.kernel_spec_manager.get_kernel_spec(kernel_name)
        except (NoSuchKernel, OSError, ValueError, TypeError, TraitError):
            known = self.kernel_spec_manager.find_kernel_specs()
            if kernel_name in known:
                raise LookupError(f"the kernel {kernel_name!r} can't be used here: look at its kernel.json") from None
            names = ", ".join(sorted(known)) or "none"
            raise LookupError(f"there is no kernel {kernel_name[:80]!r}; installed here: {names}") from None
        if spec.language.lower() != "python":
            raise LookupError(f"the kernel {kernel_name!r} speaks {spec.language}; a training kernel speaks Python")
        provisioner = spec.metadata.get("kernel_provisioner", {}).get("provisioner_name", "local-provisioner")
        if provisioner != "local-provisioner":
            raise LookupError(f"the kernel {kernel_name!r} is started by {provisioner!r}, not on this machine")

    async def start(
        self,
        job_dir: JobDir,
        spec: dict[str, Any],
        *,
        attempt: int,
        gpus: Sequence[str] | None,
        lease_dir: Path | None,
    ) -> Handover:
        """Start the kernel of a job's attempt and hand it its work.

        `gpus` are the UUIDs of those that it may use; none, and it sees none; None, and its environment says which.
        Where `lease_dir` is given they are locked there for as long as a process of the job is left.
        Raises LaunchError where it can't be started, and GpuBusy where somebody else has locked a GPU.
        The work is on its way when this returns, and has begun once the training journal says so.
        """
        await asyncio.to_thread(clear, job_dir)
        manager, _ = self._manager(job_dir, spec["kernel_name"])
        own = spec.get("env") or {}
        arguments = {
            "env": await asyncio.to_thread(environment, os.environ, job_dir, own, attempt=attempt, gpus=gpus),
            "cwd": spec["cwd"],
            "job_dir": job_dir,
            "attempt": attempt,
            "leases": {"dir": None if lease_dir is None else str(lease_dir), "gpus": list(gpus or ())},
        }
        try:
            await manager.start_kernel(**arguments)
        except OSError as error:
            raise LaunchError(f"The training kernel could not be started: {error}") from error
        return Handover(manager)

    async def ask(self, spec: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        """What a kernel of its own, apart from all jobs, answers to a question about that spec.

        Raises Unanswered with the reason.
        """
        place = Place(spec["kernel_name"], spec["cwd"], spec.get("env") or {})
        return await self._questions.ask(question, place, self.dry_run_timeout)

    def reattach(self, job_dir: JobDir, spec: dict[str, Any], pid: int, started: float | None) -> Handover:
        """Hand the work to a kernel that an earlier server started, and perhaps never reached."""
        manager, provisioner = self._manager(job_dir, spec["kernel_name"])
        manager.load_connection_file(str(job_dir.connection_file))
        provisioner.attach(pid, started)
        return Handover(manager)

    def _manager(self, job_dir: JobDir, kernel_name: str) -> tuple[TrainingKernelManager, ShimProvisioner]:
        manager = TrainingKernelManager(
            parent=self,
            kernel_id=job_dir.job_id,
            kernel_spec_manager=self.kernel_spec_manager,
            kernel_name=kernel_name,
            connection_file=str(job_dir.connection_file),
            # Over TCP any user of the machine could read what the kernel publishes.
            transport="ipc",
            ip=str(_socket_path(job_dir)),
            autorestart=False,
            log=_QUIET,
        )
        # Where a kernel runs is a provisioner; this is the one for here.
        provisioner = ShimProvisioner(kernel_id=job_dir.job_id, kernel_spec=manager.kernel_spec, parent=manager)
        manager.provisioner = provisioner
        return manager, provisioner


class Handover:
    """The work on its way to a kernel: keep it open until the work has begun, then close it.

    The message waits in ZeroMQ until the kernel listens; nobody waits for the kernel to be ready.
    """

    def __init__(self, manager: TrainingKernelManager) -> None:
        self._manager = manager
        self._client: AsyncKernelClient = manager.client()
        self._client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        self._client.execute(BOOT_CODE, store_history=False, allow_stdin=False)

    async def close(self) -> None:
        self._client.stop_channels()
        await self._manager.cleanup_resources()


def _socket_path(job_dir: JobDir) -> Path:
    """Where the kernel's sockets lie: with the job, or in a short private folder if that path is too long."""
    path = job_dir.kernel / "socket"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    link = job_dir.kernel / "sockets"
    if not link.is_symlink():
        link.symlink_to(tempfile.mkdtemp(prefix="trainlive-"), target_is_directory=True)
    return link.readlink() / "socket"


def clear(job_dir: JobDir) -> None:
    """Take away what an earlier attempt's kernel has left: address, sockets, the claim to be the recording process."""
    remove_sockets(job_dir)
    job_dir.connection_file.unlink(missing_ok=True)
    for pattern in ("socket-*", "claimed*"):
        for file in job_dir.kernel.glob(pattern):
            file.unlink(missing_ok=True)


def remove_sockets(job_dir: JobDir) -> None:
    """Take away the folder that `_socket_path` may have made outside of the job directory."""
    link = job_dir.kernel / "sockets"
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink(missing_ok=True)
