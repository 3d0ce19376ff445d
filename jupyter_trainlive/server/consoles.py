"""Kept kernels among the server's own ones, so that JupyterLab can open a console on them.

The server neither starts nor ends them: it leaves them alone when it stops, and takes a shutdown of theirs for
closing the console.
"""

from __future__ import annotations

import uuid
from typing import Any

from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from tornado import web

from ..jobs.errors import NotAllowed
from ..jobs.kept import interrupt
from ..jobs.tracker import Change, Tracker

#: Makes the same id of the same kernel, so that a page finds its console again.
_IDS = uuid.UUID("5f0f0c0e-6c0b-4a57-9a0c-0d3a54c0f3b1")


class Consoles:
    """Shows kept kernels to the server's manager of kernels for as long as they are there."""

    def __init__(self, kernels: Any) -> None:
        self._kernels = kernels
        self._shown: dict[str, Tracker] = {}

    def open(self, tracker: Tracker) -> str:
        """The id by which the server's kernel API knows the job's kept kernel from now on.

        Raises NotAllowed where no kernel is kept, or the server has no kernels of its own.
        """
        job = tracker.job
        if job.kept_until is None:
            raise NotAllowed(f"The job is {job.status.value}, and no kernel of it is kept to open a console on.")
        kernel_id = str(uuid.uuid5(_IDS, f"{job.job_id} {job.attempt}"))
        if kernel_id not in self._kernels:
            if not isinstance(self._kernels, MappingKernelManager) or hasattr(self._kernels, "kernels_url"):
                raise NotAllowed("This server's kernels run elsewhere: use jupyter trainlive console on its machine.")
            try:
                self._show(kernel_id, tracker)
            except (AttributeError, TypeError, LookupError, OSError, ValueError) as error:
                self._kernels.remove_kernel(kernel_id)
                raise NotAllowed(f"The kernel can't be shown to this server: {error}") from error
        return kernel_id

    def close(self) -> None:
        """Before the server ends what it knows as its kernels."""
        for kernel_id in list(self._shown):
            self._hide(kernel_id)

    def _show(self, kernel_id: str, tracker: Tracker) -> None:
        """As jupyter_client shows kernels that others started (`MultiKernelManager.external_connection_dir`)."""
        kernels = self._kernels
        name = str(tracker.job.spec.get("kernel_name") or "python3")
        kernel = kernels.kernel_manager_factory(parent=kernels, log=kernels.log, kernel_name=name, owns_kernel=False)
        kernel.load_connection_file(str(tracker.job_dir.connection_file))
        kernel.kernel_id = kernel_id
        kernel.execution_state = "idle"
        kernel.ready.set_result(None)

        async def interrupt_kernel() -> None:
            await interrupt(tracker.job)

        async def restart_kernel(*_: object, **__: object) -> None:
            raise web.HTTPError(409, "A kept kernel can't be restarted: launch its job again.")

        kernel.interrupt_kernel = interrupt_kernel
        kernel.restart_kernel = restart_kernel
        kernels._kernels[kernel_id] = kernel
        kernels._kernel_connections[kernel_id] = 0
        kernels._kernel_ports[kernel_id] = kernel.ports
        kernels.start_watching_activity(kernel_id)
        self._shown[kernel_id] = tracker

        def gone(change: Change) -> None:
            if change.after.kept_until is None:
                tracker.listeners.discard(gone)
                self._hide(kernel_id)

        tracker.listeners.add(gone)

    def _hide(self, kernel_id: str) -> None:
        self._shown.pop(kernel_id, None)
        # Whoever closed the console may have removed it already.
        if kernel_id in self._kernels:
            self._kernels.stop_watching_activity(kernel_id)
            self._kernels.stop_buffering(kernel_id)
            kernel = self._kernels.remove_kernel(kernel_id)
            kernel.execution_state = "dead"
