"""A job manager in this very process, for tests that watch it from within; its kernels are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from jupyter_trainlive.jobs.fields import Defaults
from jupyter_trainlive.jobs.manager import JobManager
from jupyter_trainlive.kernels.launcher import Launcher
from jupyter_trainlive.protocol.states import Job


@asynccontextmanager
async def managing(jobs_dir: Path, kernels: Path | None = None, **traits: Any) -> AsyncIterator[JobManager]:
    """A manager of that folder; `kernels` is a folder of further kernelspecs."""
    specs = KernelSpecManager(kernel_dirs=[str(kernels)] if kernels else [])
    launcher = Launcher(kernel_spec_manager=specs)
    manager = JobManager(jobs_dir, Defaults(Path("/"), "python3", launcher.check), launcher=launcher, **traits)
    await manager.start()
    try:
        yield manager
    finally:
        await manager.stop()


async def submit(manager: JobManager, code: str, **fields: Any) -> str:
    return (await manager.submit({"kind": "code", "code": code, **fields})).job_id


async def reach(manager: JobManager, job_id: str, *statuses: str, timeout: float = 30) -> Job:
    """The job once it has one of `statuses`, or has ended where none is given."""
    tracker = await manager.get(job_id)
    wanted = statuses or ("completed", "failed", "cancelled", "interrupted")
    assert await tracker.until(lambda job: job.status.value in wanted, timeout), tracker.job
    await asyncio.sleep(0)
    return tracker.job


async def become(condition: Callable[[], bool]) -> None:
    """Wait until something is true that nobody tells of."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not become true")
