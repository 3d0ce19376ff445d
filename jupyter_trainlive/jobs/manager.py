"""The manager of all jobs in one folder: submits, follows, cancels, and finds them again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from traitlets.config import LoggingConfigurable
from traitlets.traitlets import Float, Instance

from ..kernels.launcher import Launcher, remove_sockets
from ..kernels.processes import is_alive
from ..kernels.provisioner import LaunchError
from ..protocol.control import Desired, write_desired
from ..protocol.doorbell import listen
from ..protocol.jobdir import JobDir, is_job_id, new_job_id, write_json
from ..protocol.journal import append_shared
from ..protocol.messages import message
from ..protocol.states import Job
from .cancellation import Graces, escalate
from .errors import NoStorage, NotAllowed, UnknownJob
from .submission import Defaults, spec_of
from .tracker import Tracker, load

#: How long a job may be between "starting" and its process before its server is taken for dead.
_SPAWN_SECONDS = 60.0
#: How long another server has, from the launch on, to hand the work over before this one does so too.
_HANDOVER_SECONDS = 10.0
_DATAGRAM_BYTES = 64


class JobManager(LoggingConfigurable):
    """All jobs of one jobs folder. Everything here runs on the server's event loop."""

    poll_interval = Float(
        1.0, help="Seconds between looks at an active job's journals when its doorbell does not ring."
    ).tag(config=True)
    cancel_grace = Float(
        10.0, help="Seconds that a cancelled job's trainer has to stop at a step before it is interrupted."
    ).tag(config=True)
    interrupt_grace = Float(10.0, help="Seconds that an interrupted job has before it is terminated.").tag(config=True)
    terminate_grace = Float(10.0, help="Seconds that a terminated job has before it is killed.").tag(config=True)

    launcher = Instance(Launcher)

    def __init__(self, jobs_dir: Path, defaults: Defaults, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jobs_dir = jobs_dir
        self._defaults = defaults
        self._trackers: dict[str, Tracker] = {}
        self._finding: dict[str, asyncio.Task[None]] = {}
        self._unreadable: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell: socket.socket | None = None
        self._active = 0
        #: Called with the number of active jobs whenever it changes.
        self.on_activity: Callable[[int], None] = lambda active: None

    async def start(self) -> None:
        """Listen to the doorbell and find the jobs that are there."""
        try:
            self.jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._bell = listen(self.jobs_dir)
        except OSError as error:
            self.log.warning("No doorbell in %s (%s): jobs are polled instead.", self.jobs_dir, error)
        else:
            asyncio.get_running_loop().add_reader(self._bell.fileno(), self._answer_the_door)
        # Not waited for: a long history must not hold up the server's start.
        self._spawn(self._discover())

    async def stop(self) -> None:
        """Stop following; the jobs themselves run on."""
        if self._bell is not None:
            asyncio.get_running_loop().remove_reader(self._bell.fileno())
            self._bell.close()
            self._bell = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def active(self) -> int:
        """How many jobs have not ended."""
        return self._active

    async def submit(self, request: object) -> Job:
        """Check what is asked for, write the job's directory, start it.

        Returns as soon as the job exists; raises InvalidRequest, Unprocessable or NoStorage.
        """
        spec = await asyncio.to_thread(spec_of, request, self._defaults)
        try:
            job_id = await asyncio.to_thread(self._create, spec)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoStorage(f"There is no room left in {self.jobs_dir}: free some and submit again.") from error
            remedy = "set TrainLive.jobs_dir to a folder that can be written"
            raise NoStorage(f"No job can be kept in {self.jobs_dir} ({error.strerror}): {remedy}.") from error
        return (await self.get(job_id)).job

    def _create(self, spec: dict[str, Any]) -> str:
        """Write a new job's directory; its id."""
        job_dir = JobDir(self.jobs_dir / new_job_id())
        spec = {"job_id": job_dir.job_id, **spec}
        try:
            # Whoever removed it while the server runs wants the jobs gone, not the next one refused.
            self.jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            job_dir.create()
            write_desired(job_dir.control_file, Desired.RUNNING)
            append_shared(job_dir.server_journal, "submitted", name=spec["name"], job_kind=spec["kind"])
            append_shared(job_dir.server_journal, "queued")
            write_json(job_dir.progress_file, message(Job(job_dir.job_id, spec=spec), time.time()))
            # The last, because whoever finds it takes the job for submitted.
            write_json(job_dir.spec_file, spec, sync=True)
        except FileExistsError:
            raise
        except OSError:
            shutil.rmtree(job_dir.path, ignore_errors=True)
            raise
        return job_dir.job_id

    async def get(self, job_id: str) -> Tracker:
        """The tracker of one job; raises UnknownJob."""
        if job_id not in self._trackers and is_job_id(job_id):
            await self._find(job_id)
        try:
            return self._trackers[job_id]
        except KeyError:
            raise UnknownJob(job_id) from None

    async def list(self) -> list[Tracker]:
        """All jobs, newest first."""
        await self._discover()
        return sorted(self._trackers.values(), key=_newest_first)

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; it is seen to in the background. Raises UnknownJob or NotAllowed."""
        tracker = await self.get(job_id)
        await tracker.catch_up()
        if tracker.job.status.ended:
            raise NotAllowed(f"The job has ended ({tracker.job.status.value}); there is nothing to cancel.")
        if tracker.job.server.cancel_requested_at is None:
            await asyncio.to_thread(write_desired, tracker.job_dir.control_file, Desired.CANCELLED)
            await self._note(tracker, "cancel_requested")
            self._spawn(self._escalate(tracker))
        return tracker.job

    async def _note(self, tracker: Tracker, kind: str, **values: Any) -> None:
        """Write down what the server did, and know it at once."""
        await asyncio.to_thread(lambda: append_shared(tracker.job_dir.server_journal, kind, **values))
        await tracker.catch_up()

    async def _discover(self) -> None:
        """Know the jobs that are there, and no longer those whose directories were removed."""
        known = set(self._trackers)
        try:
            names = set(await asyncio.to_thread(os.listdir, self.jobs_dir))
        except (FileNotFoundError, NotADirectoryError):
            names = set()
        for job_id in known - names:
            self._trackers.pop(job_id, None)
        await asyncio.gather(*(self._find(name) for name in names - known if is_job_id(name)))

    async def _find(self, job_id: str) -> None:
        """Know the job in that directory, if there is one; several who ask wait for the same reading."""
        if job_id not in self._finding:
            self._finding[job_id] = asyncio.create_task(self._read(job_id))
        try:
            await asyncio.shield(self._finding[job_id])
        finally:
            self._finding.pop(job_id, None)

    async def _read(self, job_id: str) -> None:
        job_dir = JobDir(self.jobs_dir / job_id)
        if job_id in self._trackers or not await asyncio.to_thread(job_dir.path.is_dir):
            return
        try:
            spec = await asyncio.to_thread(job_dir.read_spec)
            await self._adopt(load(job_dir, spec))
        except (OSError, ValueError) as error:
            # A server beside this one may be about to write it.
            about_to_be_written = await asyncio.to_thread(_age_seconds, job_dir.path) <= _SPAWN_SECONDS
            if not about_to_be_written and job_id not in self._unreadable:
                self._unreadable.add(job_id)
                self.log.warning("The job in %s can't be read and is left alone: %s", job_dir.path, error)

    async def _adopt(self, tracker: Tracker) -> None:
        """Know a job from now on; follow it if it is active."""
        while not await tracker.catch_up():
            pass
        self._trackers[tracker.job_dir.job_id] = tracker
        if not tracker.job.status.ended:
            self._spawn(self._follow(tracker))
            self._spawn(self._see_to_its_start(tracker))
            if tracker.job.server.cancel_requested_at is not None:
                self._spawn(self._escalate(tracker))
        else:
            await asyncio.to_thread(remove_sockets, tracker.job_dir)

    async def _follow(self, tracker: Tracker) -> None:
        self._count(+1)
        refused = False
        try:
            while not tracker.job.status.ended and self._trackers.get(tracker.job_dir.job_id) is tracker:
                try:
                    if await tracker.catch_up():
                        await tracker.rung(self.poll_interval)
                        await self._notice_loss(tracker)
                except OSError as error:
                    # A full disk, too few file descriptors: it is followed again when that is over.
                    if not refused:
                        refused = True
                        self.log.warning("Job %s can't be followed: %s", tracker.job_dir.job_id, error)
                    await asyncio.sleep(self.poll_interval)
                    await self._discover()
        finally:
            self._count(-1)
        await asyncio.to_thread(remove_sockets, tracker.job_dir)

    def _count(self, change: int) -> None:
        self._active += change
        self.on_activity(self._active)

    async def _notice_loss(self, tracker: Tracker) -> None:
        """Write down that a job's processes are gone without a word, once they are."""
        job = tracker.job
        if job.status.ended:
            return
        process = job.process
        if process.pid is None:
            lost = await asyncio.to_thread(_age_seconds, _launch_claim(tracker.job_dir)) > _SPAWN_SECONDS
        else:
            lost = not is_alive(process.pid, process.start_time) and not is_alive(
                process.shim_pid, process.shim_start_time
            )
        if lost:
            await tracker.catch_up()
            if not tracker.job.status.ended:
                await self._note(tracker, "lost")

    async def _see_to_its_start(self, tracker: Tracker) -> None:
        job_dir, spec = tracker.job_dir, tracker.job.spec
        try:
            if tracker.job.process.pid is None and await asyncio.to_thread(_claim_launch, job_dir):
                await self._note(tracker, "starting")
                handover = await self.launcher.start(job_dir, spec)
            else:
                if tracker.job.process.pid is None:
                    # Another server is at it; should that one be gone, the work is still to be handed over.
                    await tracker.until(_has_begun, _HANDOVER_SECONDS)
                process = tracker.job.process
                if _has_begun(tracker.job) or process.pid is None:
                    return
                handover = self.launcher.reattach(job_dir, spec, process.pid, process.start_time)
        except (LaunchError, LookupError, OSError) as error:
            self.log.warning("Job %s could not start: %s", job_dir.job_id, error)
            await self._note(tracker, "start_failed", error=str(error))
            await asyncio.to_thread(write_json, job_dir.progress_file, message(tracker.job, time.time()))
            return
        try:
            await self._wait_for_work(tracker)
        finally:
            await handover.close()

    async def _wait_for_work(self, tracker: Tracker) -> None:
        timeout = self.launcher.kernel_start_timeout
        if await tracker.until(_has_begun, timeout):
            return
        error = f"The training kernel did not begin its work within {timeout:.0f} seconds."
        self.log.warning("Job %s: %s", tracker.job_dir.job_id, error)
        await self._note(tracker, "start_timed_out", error=error)
        await escalate(tracker, Graces(0, 0, self.terminate_grace), self._note)

    async def _escalate(self, tracker: Tracker) -> None:
        graces = Graces(self.cancel_grace, self.interrupt_grace, self.terminate_grace)
        await escalate(tracker, graces, self._note)

    def _answer_the_door(self) -> None:
        assert self._bell is not None
        with contextlib.suppress(BlockingIOError):
            for _ in range(1000):
                tracker = self._trackers.get(self._bell.recv(_DATAGRAM_BYTES).decode("ascii", "replace"))
                if tracker is not None:
                    tracker.ring()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("A job's background task failed", exc_info=task.exception())


def _newest_first(tracker: Tracker) -> tuple[float, str]:
    return -(tracker.job.server.submitted_at or 0.0), tracker.job_dir.job_id


def _has_begun(job: Job) -> bool:
    """Whether the job's work was handed over, and the training or its end has said so."""
    return job.training.started_at is not None or job.status.ended


def _launch_claim(job_dir: JobDir) -> Path:
    return job_dir.kernel / "launch"


def _age_seconds(path: Path) -> float:
    """Seconds since the file was written; 0 where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _claim_launch(job_dir: JobDir) -> bool:
    """Whether this server is the one to launch the job: of several on one folder only one may."""
    try:
        os.close(os.open(_launch_claim(job_dir), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True
