"""The manager of all jobs in one folder: submits, queues, follows and controls them, and finds them again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from traitlets.config import LoggingConfigurable
from traitlets.traitlets import Enum, Float, Instance, Int, Unicode

from ..kernels.launcher import Launcher
from ..kernels.membership import job_of
from ..protocol.control import Desired, Wish, write_wish
from ..protocol.jobdir import is_job_id
from ..protocol.moves import Action, refusal
from ..protocol.presence import host
from ..protocol.states import Job, Status
from ..system import Gpu, Sample
from .bell import Bell
from .cancellation import Graces
from .dry_run import describe
from .errors import InvalidRequest, NoStorage, NotAllowed, ReadOnly, UnknownJob
from .fields import Defaults
from .follower import Follower
from .housekeeping import Housekeeping, Limits
from .intake import IntakeLimits
from .inventory import GpuInventory
from .keeper import Keeper
from .ownership import Ownership
from .queue import Slot
from .registry import Registry
from .scheduler import Scheduler
from .stalls import StallRule
from .submission import create, spec_of
from .supervisor import Rules, Supervisor, say_wish
from .tracked import is_ours
from .tracker import Tracker

_CANCEL_AGAIN_SECONDS = 0.2
#: How soon an unknown job that goes on ringing is looked for again, and how many of them are at a time.
_SEEK_SECONDS = 0.5
_MOST_SOUGHT = 1000


class JobManager(LoggingConfigurable):
    """All jobs of one jobs folder. Everything here runs on the server's event loop.

    Of several servers on one folder one owns it; the others show its jobs, and refuse to change them.
    """

    poll_interval = Float(
        1.0, help="Seconds between looks at an active job's journals when its doorbell does not ring."
    ).tag(config=True)
    max_concurrent_jobs = Int(
        None, allow_none=True, min=1, help="How many jobs run at a time; by default one per GPU, one without GPUs."
    ).tag(config=True)
    lease_dir = Unicode(
        "",
        help="A folder that all servers of this machine share, for host-wide leases of its GPUs: then servers of "
        "several people never hand out the same GPU. Without it each server minds only its own jobs.",
    ).tag(config=True)
    cancel_grace = Float(
        10.0, help="Seconds that a cancelled job's trainer has to stop at a step before it is interrupted."
    ).tag(config=True)
    interrupt_grace = Float(10.0, help="Seconds that an interrupted job has before it is terminated.").tag(config=True)
    terminate_grace = Float(10.0, help="Seconds that a terminated job has before it is killed.").tag(config=True)
    on_server_stop = Enum(
        ("detach", "pause", "cancel"),
        "detach",
        help="What becomes of running jobs when the server is stopped: they run on (detach); they write a checkpoint "
        "and free their GPUs, or where they can't are held at their next step (pause); they are cancelled (cancel).",
    ).tag(config=True)
    auto_resume = Int(
        0, min=0, help="How often a job that was interrupted, as by a restart of the machine, is resumed by itself."
    ).tag(config=True)
    stall_factor = Float(
        20.0, help="A running job without a step for so many times as long as its steps take is alerted of."
    ).tag(config=True)
    stall_seconds = Float(60.0, help="Seconds without a step below which nobody is alerted.").tag(config=True)
    max_points_per_second = Int(
        200_000, min=1, help="Of each job so many logged numbers a second are taken in; what is beyond waits."
    ).tag(config=True)
    max_series_per_job = Int(
        1000, min=1, help="So many series of each job have curves; the points of others are in metrics.csv only."
    ).tag(config=True)
    max_age_days = Float(
        None, allow_none=True, help="Ended jobs older than this are deleted; by default they are kept."
    ).tag(config=True)
    max_total_gb = Float(
        None,
        allow_none=True,
        help="While all jobs together use more GB (2**30 bytes) than this, old checkpoints and then the oldest ended "
        "jobs are deleted; by default they are kept.",
    ).tag(config=True)

    launcher = Instance(Launcher)

    def __init__(
        self, jobs_dir: Path, defaults: Defaults, inventory: GpuInventory | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.jobs_dir = jobs_dir
        #: Where this server is reached, for those that find the folder owned.
        self.url = ""
        self._defaults = defaults
        self._inventory = inventory or GpuInventory()
        #: The latest reading of the machine; whoever has a sampler puts it here.
        self.gauges: Callable[[], Sample | None] = lambda: None
        self.intake = IntakeLimits(self.max_points_per_second, self.max_series_per_job)
        lease_dir = Path(self.lease_dir).expanduser().absolute() if self.lease_dir else None
        graces = Graces(self.cancel_grace, self.interrupt_grace, self.terminate_grace)
        rules = Rules(graces, StallRule(self.stall_factor, self.stall_seconds), lease_dir)
        self._supervisor = Supervisor(self.launcher, rules, self.log)
        self._registry = Registry(jobs_dir, self.log, self._prepare, self._adopt)
        self._scheduler = Scheduler(
            self._inventory,
            self._registry,
            self._supervisor,
            max_concurrent=self.max_concurrent_jobs,
            lease_dir=lease_dir,
        )
        self._follower = Follower(self, self._supervisor, self.log, self._scheduler.wake)
        self._keeper = Keeper(self._registry, self.log)
        self._housekeeping = Housekeeping(
            self._registry, Limits(self.max_age_days, self.max_total_gb), self._keeper.forget
        )
        self._ownership = Ownership(jobs_dir)
        self._unusable: OSError | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Ids that rang and are being looked for.
        self._sought: set[str] = set()
        self._bell = Bell(jobs_dir, self._ring)

    async def start(self) -> None:
        """Own the folder, or else read it, and find the jobs that are there."""
        await self._try_to_own()
        if self._unusable is not None:
            self.log.warning("The jobs folder %s can't be used: %s", self.jobs_dir, self._unusable)
        elif not self.owns:
            self.log.warning("%s They are shown here, but not changed.", self._not_the_owner())
        # Not waited for: a long history must not hold up the server's start.
        self.spawn(self._live())

    async def _try_to_own(self) -> None:
        self._unusable = None
        try:
            await asyncio.to_thread(self._own)
        except OSError as error:
            self._unusable = error

    def _own(self) -> None:
        self.jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ownership.take(self.url)

    @property
    def owns(self) -> bool:
        """Whether this server is the one that starts and changes the jobs of its folder."""
        return self._ownership.held

    async def _live(self) -> None:
        """See to the jobs, or show them until their owner is gone, and see to them then."""
        await self._keeper.open(writable=self.owns)
        if self.owns:
            self._answer_the_doorbell()
        await self._registry.discover()
        if not self.owns:
            while not self.owns:
                await asyncio.sleep(self.poll_interval)
                await self._try_to_own()
            self.log.info("This server now owns the jobs in %s.", self.jobs_dir)
            self._answer_the_doorbell()
            await self._keeper.open(writable=True)
            for tracker in list(self._registry.trackers.values()):
                self._follower.see_to(tracker)
            await self._registry.discover()
        self.spawn(self._scheduler.serve(self.spawn, self.log))
        self.spawn(self._keeper.keep())
        self.spawn(self._keeper.keep_curves())
        self.spawn(self._housekeeping.keep(self.log))

    async def stop(self) -> None:
        """Stop following; what becomes of the running jobs is `on_server_stop`'s."""
        if self.owns and self.on_server_stop != "detach":
            await self._stop_jobs()
        self._bell.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            # Until Python 3.12 wait_for may lose a cancellation that comes just when what it waits for is there.
            await asyncio.wait(set(self._tasks), timeout=_CANCEL_AGAIN_SECONDS)
        await self._keeper.close()
        await self._inventory.close()
        self._ownership.leave()

    async def _stop_jobs(self) -> None:
        cancels = self.on_server_stop == "cancel"
        # Those that record themselves are no jobs of this server's.
        trackers = [tracker for tracker in self._registry.trackers.values() if not tracker.job.tracked]
        # A kept kernel ends by itself, unless nothing is to be left.
        running = [tracker for tracker in trackers if (tracker.job.occupied if cancels else tracker.job.running)]
        for tracker in running:
            job_id = tracker.job_dir.job_id
            try:
                if tracker.job.kept_until is not None:
                    await self.end_kernel(job_id)
                elif cancels:
                    await self.cancel(job_id)
                else:
                    # Neither needs the server to wait: the training does it by itself.
                    await self.pause(job_id, release=refusal(tracker.job, Action.RELEASE) is None)
            except (NotAllowed, OSError) as error:
                self.log.warning("Job %s goes on: %s", job_id, error)
        if cancels:
            longest = self.cancel_grace + self.interrupt_grace + self.terminate_grace + self.poll_interval
            await asyncio.gather(*(tracker.until(lambda job: not job.occupied, longest) for tracker in running))

    @property
    def active(self) -> int:
        """How many jobs run, or wait to: paused ones do neither."""
        return self._follower.active

    @property
    def occupied(self) -> list[Job]:
        """The jobs that hold memory and GPUs: they run, or their kernels are kept."""
        return self._follower.occupied

    def job_of(self, pid: int) -> str | None:
        """The job to which a process of this machine belongs. It reads files, and may be asked from any thread."""
        here = [job for job in self.occupied if job.now.process.host in (None, host())]
        kernels = {job.now.process.pid: job.job_id for job in here if job.now.process.pid is not None}
        return job_of(pid, self.jobs_dir, kernels)

    def on_activity(self, tell: Callable[[int], None]) -> None:
        """Have `tell` called with the number of active jobs whenever it changes."""
        self._follower.on_activity = tell

    async def submit(self, request: object) -> Job:
        """Check what is asked for, write the job's directory, put it into the queue.

        Returns as soon as the job exists; raises InvalidRequest, Unprocessable, ReadOnly or NoStorage.
        """
        spec = await asyncio.to_thread(spec_of, request, self._defaults)
        if self.owns and not self.jobs_dir.is_dir():
            # Whoever removed it while the server runs wants the jobs gone, not the next one refused.
            self._ownership.leave()
        if not self.owns:
            await self._try_to_own()
        if self._unusable is not None:
            raise self._no_storage(self._unusable)
        self._check_owner()
        await self._check_gpus(spec)
        try:
            job_id = await asyncio.to_thread(create, self.jobs_dir, spec)
        except OSError as error:
            raise self._no_storage(error) from error
        self._scheduler.wake()
        return (await self.get(job_id)).job

    async def _check_gpus(self, spec: dict[str, Any]) -> None:
        if spec["gpus"] and spec["gpus"] > (count := await self._scheduler.count()):
            there = f"this server may hand out {count}" if count else "this server has none"
            raise InvalidRequest("gpus", f"asks for {spec['gpus']} GPUs, but {there}; ask for fewer, or leave it out")

    async def dry_run(self, request: object) -> dict[str, Any]:
        """What the fine-tune that is asked for would do; it does not wait in the queue, and leaves nothing.

        Raises InvalidRequest or Unprocessable.
        """
        spec = await asyncio.to_thread(spec_of, request, self._defaults)
        await self._check_gpus(spec)
        gpus = await self._inventory.read()
        answering = asyncio.get_running_loop().create_task(describe(spec, self.launcher, gpus, await self.slots(gpus)))
        # Its kernel is ended when the server stops.
        self._tasks.add(answering)
        answering.add_done_callback(self._tasks.discard)
        return await answering

    def _no_storage(self, error: OSError) -> NoStorage:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NoStorage(f"There is no room left in {self.jobs_dir}: free some and submit again.")
        remedy = "set TrainLive.jobs_dir to a folder that can be written"
        return NoStorage(f"No job can be kept in {self.jobs_dir} ({error.strerror}): {remedy}.")

    async def get(self, job_id: str) -> Tracker:
        """The tracker of one job; raises UnknownJob."""
        return await self._registry.get(job_id)

    async def list(self) -> list[Tracker]:
        """All jobs, newest first."""
        await self._registry.discover()
        return sorted(self._registry.trackers.values(), key=_newest_first)

    async def slots(self, gpus: Sequence[Gpu]) -> Sequence[Slot]:
        """The GPUs that jobs may get, each with who uses it now."""
        return await self._scheduler.slots(gpus, [tracker.job for tracker in self._registry.trackers.values()])

    async def pause(self, job_id: str, *, release: bool = False) -> Job:
        """Ask a job to wait at its next step, or with `release` to write a checkpoint and free its GPU.

        Raises UnknownJob, NotAllowed or ReadOnly.
        """
        async with self._deciding(job_id, Action.RELEASE if release else Action.PAUSE) as tracker:
            await tracker.note("pause_requested", release=release, request=tracker.job.server.pause_request + 1)
            await say_wish(tracker)
            if not tracker.job.running:
                await self._supervisor.write_progress(tracker)
        tracker.put(None)
        self._scheduler.wake()
        return tracker.job

    async def resume(self, job_id: str, *, by: str = "user") -> Job:
        """Let a paused job go on, or have one that ended before its time go on from its last checkpoint.

        Raises UnknownJob, NotAllowed or ReadOnly.
        """
        async with self._deciding(job_id, Action.RESUME) as tracker:
            again = tracker.job.status.ended or tracker.job.released
            await tracker.note("resume_requested", by=by)
            if again:
                await tracker.note("queued", attempt=tracker.job.attempt + 1)
                self._follower.follow(tracker, self._registry)
            await say_wish(tracker)
            if not tracker.job.running:
                await self._supervisor.write_progress(tracker)
        self._scheduler.wake()
        return tracker.job

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; it is seen to in the background. Raises UnknownJob, NotAllowed or ReadOnly."""
        async with self._deciding(job_id, Action.CANCEL) as tracker:
            running = tracker.job.running
            if tracker.job.status is Status.CANCELLING:
                return tracker.job
            if running:
                # The flag first: it may save the job from being forced.
                wish = Wish(Desired.CANCELLED, tracker.job.server.pause_request)
                await asyncio.to_thread(write_wish, tracker.job_dir.control_file, wish)
            await tracker.note("cancel_requested")
            if running:
                self.spawn(self._supervisor.cancel(tracker))
            else:
                await self._supervisor.write_progress(tracker)
        tracker.ring()
        return tracker.job

    async def end_kernel(self, job_id: str) -> Job:
        """Ask a kept kernel to end before its time; it is seen to in the background.

        Raises UnknownJob, NotAllowed or ReadOnly.
        """
        async with self._deciding(job_id, Action.END_KERNEL) as tracker:
            if tracker.job.now.server.end_kernel_requested_at is None:
                await tracker.note("end_kernel_requested")
                await say_wish(tracker)
                self.spawn(self._supervisor.end_kernel(tracker))
        tracker.ring()
        return tracker.job

    async def delete(self, job_id: str) -> None:
        """Delete an ended job with all its files. Raises UnknownJob, NotAllowed or ReadOnly."""
        async with self._deciding(job_id, Action.DELETE) as tracker:
            await self._housekeeping.delete(tracker)

    async def clean(self, request: object) -> dict[str, Any]:
        """Apply the limits of retention, or only say what they would remove; see `Housekeeping.clean`.

        Raises InvalidRequest or ReadOnly.
        """
        if not isinstance(request, dict) or request.get("dry_run") is not True:
            self._check_owner()
        await self._registry.discover()
        return await self._housekeeping.clean(request)

    async def reindex(self) -> int:
        """Build the index again from the directories; how many jobs it holds. Raises ReadOnly."""
        self._check_owner()
        await self._registry.discover()
        return await self._keeper.rebuild()

    async def went_by_itself(self, tracker: Tracker) -> None:
        """A job was resumed while it left, or was interrupted: it goes on where that is wished."""
        job, by = tracker.job, "user"
        if job.status is Status.INTERRUPTED:
            by = "auto_resume"
            if job.server.auto_resumes >= self.auto_resume or job.tracked:
                return
            self.log.info("Job %s was interrupted, and is resumed.", job.job_id)
        with contextlib.suppress(NotAllowed):
            await self.resume(job.job_id, by=by)

    @contextlib.asynccontextmanager
    async def _deciding(self, job_id: str, action: Action) -> AsyncIterator[Tracker]:
        """The tracker of a job in a state that allows the action, and stays so meanwhile."""
        tracker = await self.get(job_id)
        self._check_owner()
        async with tracker.deciding:
            await tracker.catch_up()
            sentence = refusal(tracker.job, action)
            if sentence is not None:
                raise NotAllowed(sentence)
            yield tracker

    def _check_owner(self) -> None:
        if not self.owns:
            advice = "Ask that one, or give this one a jobs_dir of its own."
            raise ReadOnly(f"{self._not_the_owner()} {advice}", self._ownership.owner().pid)

    def _not_the_owner(self) -> str:
        return f"The jobs in {self.jobs_dir} belong to {self._ownership.owner()}."

    def _prepare(self, tracker: Tracker) -> None:
        tracker.most_series = self.intake.series
        tracker.curves = self._keeper.curves_of(tracker)

    async def _adopt(self, tracker: Tracker) -> None:
        await self._follower.adopt(tracker, self._registry)

    def _answer_the_doorbell(self) -> None:
        try:
            self._bell.listen()
        except OSError as error:
            self.log.warning("No doorbell in %s (%s): jobs are polled instead.", self.jobs_dir, error)

    def _ring(self, job_id: str) -> None:
        tracker = self._registry.trackers.get(job_id)
        if tracker is not None:
            tracker.ring()
        elif is_job_id(job_id) and len(self._sought) < _MOST_SOUGHT and job_id not in self._sought:
            self._sought.add(job_id)
            self.spawn(self._seek(job_id))

    async def _seek(self, job_id: str) -> None:
        """A training has rung that was not submitted here: one that records itself."""
        try:
            if await asyncio.to_thread(is_ours, self.jobs_dir / job_id):
                with contextlib.suppress(UnknownJob):
                    await self._registry.get(job_id)
            # Rings for what is not there, whoever sends them, cost little.
            await asyncio.sleep(_SEEK_SECONDS)
        finally:
            self._sought.discard(job_id)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the background, until the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("A job's background task failed", exc_info=task.exception())


def _newest_first(tracker: Tracker) -> tuple[float, str]:
    return -(tracker.job.server.submitted_at or 0.0), tracker.job_dir.job_id
