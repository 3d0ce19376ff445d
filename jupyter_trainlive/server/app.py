"""The server extension: wiring and nothing else."""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from traitlets.traitlets import Bool, Float, Int, Unicode

from ..jobs.fields import Defaults
from ..jobs.manager import JobManager
from ..kernels.launcher import Launcher
from ..protocol.jobdir import default_jobs_dir
from ..system import Sampler
from .consoles import Consoles
from .handlers import ROUTES
from .limits import Limits
from .local_access import LocalAccess
from .streams import Streams

_ACTIVITY_SECONDS = 60.0


@dataclass
class Services:
    """What the handlers work with."""

    manager: JobManager
    streams: Streams
    sampler: Sampler
    access: LocalAccess
    limits: Limits
    consoles: Consoles


class TrainLive(ExtensionApp):
    """Runs training jobs and streams them."""

    name = "jupyter_trainlive"
    extension_url = "/trainlive"
    load_other_extensions = True
    file_url_prefix = "/trainlive"

    jobs_dir = Unicode(help="The folder of all jobs.").tag(config=True)
    progress_interval = Float(1.0, help="Seconds between two messages of the plain WebSocket dialect.").tag(config=True)
    gauge_interval = Float(1.0, help="Seconds between two readings of GPUs, CPU and memory.").tag(config=True)
    max_watchers = Int(
        Limits.max_watchers, min=1, help="How many WebSockets are served at a time; a further one is answered 503."
    ).tag(config=True)
    max_watchers_per_job = Int(
        Limits.max_watchers_per_job,
        min=1,
        help="How many of them may watch the same job; a further one is answered 503.",
    ).tag(config=True)
    max_message_bytes = Int(
        Limits.message_bytes,
        min=1 << 10,
        help="The longest message of a WebSocket's client in bytes; one who sends a longer one is closed with 1009.",
    ).tag(config=True)
    pending_limit_bytes = Int(
        Limits.pending_bytes,
        min=4 << 10,
        help="A WebSocket's client with more bytes than this waiting for it is left out until it has read them.",
    ).tag(config=True)
    stall_seconds = Float(
        Limits.stall_seconds,
        min=1.0,
        help="A client who has that much waiting and reads nothing of it for so many seconds is closed with 1013.",
    ).tag(config=True)
    default_kernel_name = Unicode("python3", help="The kernel of a job that names none.").tag(config=True)

    _holds_sampler = Bool(False)

    def _jobs_dir_default(self) -> str:
        return str(default_jobs_dir(jupyter_data_dir()))

    classes = [JobManager, Launcher]  # noqa: RUF012 - traitlets reads it of the instance

    def initialize_settings(self) -> None:
        server = self.serverapp
        assert server is not None
        launcher = Launcher(parent=self, kernel_spec_manager=server.kernel_spec_manager)
        defaults = Defaults(Path(server.root_dir), self.default_kernel_name, launcher.check)
        manager = JobManager(Path(self.jobs_dir).expanduser().absolute(), defaults, parent=self, launcher=launcher)
        sampler = Sampler.of_this_machine(interval_seconds=self.gauge_interval, job_of=manager.job_of)
        manager.on_activity(self._hold_sampler)
        manager.gauges = lambda: sampler.latest
        limits = Limits(
            self.max_watchers,
            self.max_watchers_per_job,
            self.max_message_bytes,
            self.pending_limit_bytes,
            self.stall_seconds,
        )
        streams = Streams(sampler, lambda: manager.occupied, interval_seconds=self.progress_interval, limits=limits)
        access, consoles = LocalAccess(Path(server.runtime_dir)), Consoles(server.kernel_manager)
        self.services = Services(manager, streams, sampler, access, limits, consoles)
        self.settings["trainlive"] = self.services

    def initialize_handlers(self) -> None:
        self.handlers.extend(ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        self.services.manager.url = serverapp.connection_url
        await self.services.manager.start()
        try:
            jobs_dir = str(self.services.manager.jobs_dir.resolve())
            self.services.access.publish(url=serverapp.connection_url, root_dir=serverapp.root_dir, jobs_dir=jobs_dir)
        except OSError as error:
            self.log.warning("Kernels will not find this server by themselves: %s", error)
        self._keeping_awake = asyncio.create_task(self._keep_awake())

    async def stop_extension(self) -> None:
        if hasattr(self, "_keeping_awake"):
            self._keeping_awake.cancel()
            self.services.access.withdraw()
            self.services.consoles.close()
            self.services.streams.close()
            await self.services.manager.stop()
            await self.services.sampler.close()

    def current_activity(self) -> dict[str, Any] | None:
        """Guards a server that runs a job from shutting itself down when idle."""
        active = self.services.manager.active
        return {"jobs": active} if active else None

    def _hold_sampler(self, active: int) -> None:
        if bool(active) is not self._holds_sampler:
            self._holds_sampler = bool(active)
            if active:
                self.services.sampler.acquire()
            else:
                self.services.sampler.release()

    async def _keep_awake(self) -> None:
        """Tell who culls idle servers that one with a running job is not idle."""
        while True:
            if self.services.manager.active:
                now = datetime.datetime.now(datetime.timezone.utc)
                self.settings["last_activity_times"]["jupyter_trainlive"] = now
            await asyncio.sleep(_ACTIVITY_SECONDS)
