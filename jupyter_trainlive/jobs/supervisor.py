"""The server's part in the life of one job's process: its launch, the handover of its work, its loss, its stalls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..kernels.launcher import Handover, Launcher
from ..kernels.leftovers import end_all
from ..kernels.processes import boot_id, is_alive
from ..kernels.provisioner import GpuBusy, LaunchError
from ..protocol.control import Desired, Wish, write_wish
from ..protocol.jobdir import write_json
from ..protocol.messages import message
from ..protocol.presence import host
from ..protocol.states import Job
from .cancellation import Graces, escalate
from .kept import end_kernel
from .registry import AnyLogger
from .stalls import StallRule
from .tracked import ask_to_stop, is_gone
from .tracker import Tracker
from .watch import JobWatch

#: How long a job may be between "starting" and its process before its launch is taken for lost.
SPAWN_SECONDS = 60.0
#: What a lost job left running has this long to go by itself.
_LEFTOVER_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Rules:
    """What the server's configuration says of every job."""

    graces: Graces
    stalls: StallRule
    lease_dir: Path | None


class Supervisor:
    """Sees to one job after the other; everything it does is noted in the job's journal."""

    def __init__(self, launcher: Launcher, rules: Rules, log: AnyLogger) -> None:
        self._launcher = launcher
        self._rules = rules
        self._log = log

    async def take(self, tracker: Tracker, gpus: Sequence[str]) -> None:
        """Note that the job's attempt starts, with these GPUs; from here on it keeps them until it is gone."""
        if gpus:
            await tracker.note("leased", gpus=list(gpus))
        await tracker.note("starting", attempt=tracker.job.attempt)

    async def launch(self, tracker: Tracker, gpus: Sequence[str] | None) -> None:
        """Start the attempt that was taken and see that its work begins.

        Without GPUs (None) the job finds those that its environment shows; with none it finds none.
        """
        await self.tell(tracker)
        job = tracker.job
        try:
            handover = await self._launcher.start(
                tracker.job_dir, job.spec, attempt=job.attempt, gpus=gpus, lease_dir=self._rules.lease_dir
            )
        except GpuBusy as error:
            self._log.info("Job %s waits again: %s", job.job_id, error)
            await tracker.note("unleased", reason=str(error))
            return
        except (LaunchError, LookupError, OSError) as error:
            self._log.warning("Job %s could not start: %s", job.job_id, error)
            await tracker.note("start_failed", error=str(error), hint=getattr(error, "hint", None))
            await self.write_progress(tracker)
            return
        await self._see_work_begin(tracker, handover)

    async def tell(self, tracker: Tracker) -> None:
        """Have control.json say what the journal says, whatever was decided meanwhile. Raises OSError."""
        async with tracker.deciding:
            await say_wish(tracker)

    async def reattach(self, tracker: Tracker) -> None:
        """See to what an earlier server began: that a launch leads to a process, and work is handed over."""
        if not tracker.job.running or _has_begun(tracker.job) or tracker.job.tracked:
            return
        if not await tracker.until(lambda job: job.now.process.pid is not None or not job.running, SPAWN_SECONDS):
            self._log.warning("The launch of job %s led to nothing; it waits again.", tracker.job.job_id)
            await tracker.note("queued", attempt=tracker.job.attempt + 1)
        process = tracker.job.now.process
        if process.pid is None or _has_begun(tracker.job):
            return
        try:
            handover = self._launcher.reattach(tracker.job_dir, tracker.job.spec, process.pid, process.start_time)
        except (LookupError, OSError, ValueError) as error:
            # Without its connection file nobody can tell the kernel what to do.
            self._log.warning("Job %s can't be reached: %s", tracker.job.job_id, error)
            await tracker.note("start_timed_out", error=f"The training kernel could not be reached: {error}")
            await escalate(tracker, Graces(0, 0, self._rules.graces.terminate))
            return
        await self._see_work_begin(tracker, handover)

    async def cancel(self, tracker: Tracker) -> None:
        """See a job to its end that was asked to stop."""
        await (ask_to_stop if tracker.job.tracked else escalate)(tracker, self._rules.graces)

    async def notice_loss(self, tracker: Tracker) -> None:
        """Write down that a job's processes are gone without a word, once they are; what is left of them is ended."""
        process = tracker.job.now.process
        if process.pid is None or not tracker.job.occupied:
            return
        if tracker.job.tracked:
            if not await asyncio.to_thread(is_gone, tracker.job_dir, tracker.job):
                return
        elif is_alive(process.shim_pid, process.shim_start_time, process.boot_id) or is_alive(
            process.pid, process.start_time, process.boot_id
        ):
            return
        here = boot_id()
        restarted = None not in (here, process.boot_id) and here != process.boot_id and process.host in (None, host())
        if not restarted and not tracker.job.tracked:
            await asyncio.to_thread(end_all, tracker.job_dir.path, process.pid, _LEFTOVER_GRACE_SECONDS)
        # The shim may have written its last word just before it went.
        await tracker.catch_up()
        if tracker.job.occupied:
            await tracker.note("lost", reason="restarted" if restarted else "killed")
            await self.write_progress(tracker)

    async def end_kernel(self, tracker: Tracker) -> None:
        """See a kept kernel to its end that was asked to go."""
        await end_kernel(tracker, self._rules.graces)

    def watch(self, job: Job) -> JobWatch:
        return JobWatch(job, self._rules.stalls)

    async def write_progress(self, tracker: Tracker) -> None:
        """Say in progress.json what the job's own processes can't say."""
        try:
            await asyncio.to_thread(write_json, tracker.job_dir.progress_file, message(tracker.job, time.time()))
        except OSError as error:
            self._log.warning("Job %s: progress.json can't be written: %s", tracker.job.job_id, error)

    async def _see_work_begin(self, tracker: Tracker, handover: Handover) -> None:
        try:
            await self._wait_for_work(tracker)
        finally:
            await handover.close()

    async def _wait_for_work(self, tracker: Tracker) -> None:
        timeout = self._launcher.kernel_start_timeout
        if await tracker.until(_has_begun, timeout):
            return
        error = f"The training kernel did not begin its work within {timeout:.0f} seconds."
        self._log.warning("Job %s: %s", tracker.job.job_id, error)
        await tracker.note("start_timed_out", error=error)
        await escalate(tracker, Graces(0, 0, self._rules.graces.terminate))


async def say_wish(tracker: Tracker) -> None:
    """Have control.json say what the journal says; for who is deciding on the job. Raises OSError."""
    await asyncio.to_thread(write_wish, tracker.job_dir.control_file, wish_of(tracker.job))


def wish_of(job: Job) -> Wish:
    """What control.json must say, by the server's journal."""
    server = job.now.server
    if server.cancel_requested_at is not None or server.end_kernel_requested_at is not None:
        return Wish(Desired.CANCELLED, server.pause_request)
    desired = {None: Desired.RUNNING, "hold": Desired.PAUSED, "release": Desired.RELEASED}[server.pause]
    return Wish(desired, server.pause_request)


def _has_begun(job: Job) -> bool:
    """Whether the attempt's work was handed over, and the training or its end has said so."""
    return job.now.training.started_at is not None or not job.running
