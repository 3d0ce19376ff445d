"""Trainings that record themselves: found at once, shown like any job, asked to stop, and never ended by force."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.jobs import tracked as module
from jupyter_trainlive.jobs.errors import NotAllowed
from jupyter_trainlive.protocol.doorbell import Doorbell
from jupyter_trainlive.protocol.jobdir import new_job_id
from jupyter_trainlive.protocol.states import Job

from ..managing import become, managing, reach, submit

ROOT = Path(__file__).parents[2]
FAST = {"cancel_grace": 1.0, "interrupt_grace": 0.2, "terminate_grace": 0.2, "poll_interval": 0.2}
LOOP = "for step in range(1, 10_000):\n    trainlive.log({'loss': 1 / step}, step=step)\n    time.sleep(0.02)\n"


class Script:
    """A script of its own, outside of Jupyter, that tracks itself."""

    def __init__(self, jobs_dir: Path, body: str, name: str = "a script") -> None:
        code = "import signal, subprocess, sys, time\nimport jupyter_trainlive as trainlive\n"
        code += f"run = trainlive.track({name!r})\nprint(run.job_id, flush=True)\nwith run:\n" + _indented(body)
        env = {**os.environ, "TRAINLIVE_JOBS_DIR": str(jobs_dir), "PYTHONPATH": str(ROOT)}
        env["JUPYTER_RUNTIME_DIR"] = str(jobs_dir.parent / "runtime")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # As a shell's own: what is sent to a group must not reach it.
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.job_id = self.process.stdout.readline().decode().strip()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()


def _indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in body.splitlines())


@contextlib.contextmanager
def scripts() -> Iterator[list[Script]]:
    """What is put in here is ended with the test, and what they started as well."""
    started: list[Script] = []
    try:
        yield started
    finally:
        for script in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(script.process.pid, signal.SIGKILL)
            script.process.wait()
            assert script.process.stdout is not None
            script.process.stdout.close()


async def begin(started: list[Script], jobs_dir: Path, body: str, name: str = "a script") -> Script:
    script = await asyncio.to_thread(Script, jobs_dir, body, name)
    started.append(script)
    return script


def is_busy(manager: Any, script: Script) -> bool:
    """Whether the server knows of its steps, without having been asked for it."""
    tracker = manager._registry.trackers.get(script.job_id)
    return tracker is not None and (tracker.job.training.step or 0) > 2


async def test_it_is_live_at_once_held_and_cancelled_and_takes_nobodys_place(tmp_path: Path) -> None:
    jobs_dir = tmp_path / "jobs"
    with scripts() as started:
        async with managing(jobs_dir, **FAST, max_concurrent_jobs=1) as manager:
            loop = await begin(started, jobs_dir, LOOP)
            await become(lambda: is_busy(manager, loop))
            # Whatever names a job that is not there, or is no folder of ours, is nothing to it.
            link = new_job_id()
            (jobs_dir / link).symlink_to(jobs_dir / loop.job_id)
            for name in (new_job_id(), link, "../../etc", "job_"):
                bell = Doorbell(jobs_dir, name)
                bell.ring()
                bell.close()
            queued = await submit(manager, "print('there is a place')")
            await reach(manager, queued, "completed")
            assert set(manager._registry.trackers) == {loop.job_id, queued}
            (jobs_dir / link).unlink()

            with pytest.raises(NotAllowed, match="the training of a process of its own, which nobody starts again"):
                await manager.pause(loop.job_id, release=True)
            await manager.pause(loop.job_id)
            held = await reach(manager, loop.job_id, "paused")
            await asyncio.sleep(0.3)
            assert (await manager.get(loop.job_id)).job.training.step == held.training.step
            await manager.resume(loop.job_id)
            await reach(manager, loop.job_id, "running")
            await manager.cancel(loop.job_id)
            job = await reach(manager, loop.job_id, "cancelled")
            # It was told at its step, and not interrupted somewhere.
            assert (job.cancelled_by, job.server.escalation) == ("flag", None)
            assert await asyncio.to_thread(loop.process.wait, 10) in (1, 130, -signal.SIGINT)
            with pytest.raises(NotAllowed, match="it was a process of its own; run its code again"):
                await manager.resume(loop.job_id)
            await manager.delete(loop.job_id)
            assert not (jobs_dir / loop.job_id).exists()


async def test_one_that_does_not_hear_is_interrupted_once_and_one_that_saves_is_not_disturbed(tmp_path: Path) -> None:
    jobs_dir = tmp_path / "jobs"
    stubborn = (
        "def count(*_): print('interrupted', flush=True)\n"
        "signal.signal(signal.SIGINT, count)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "trainlive.log({'loss': 1.0}, step=3)\n"
        "for _ in range(600): time.sleep(0.1)\n"
    )
    saving = (
        "try:\n" + _indented(LOOP) + "except KeyboardInterrupt:\n    time.sleep(2.5)\n    print('saved', flush=True)\n"
    )
    with scripts() as started:
        async with managing(jobs_dir, **FAST) as manager:
            deaf, saves = await asyncio.gather(begin(started, jobs_dir, stubborn), begin(started, jobs_dir, saving))
            # Else its own log would hear of it.
            await become(lambda: is_busy(manager, saves) and is_busy(manager, deaf))
            await asyncio.gather(manager.cancel(deaf.job_id), manager.cancel(saves.job_id))
            assert await asyncio.to_thread(deaf.line) == "interrupted"
            assert await asyncio.to_thread(saves.line) == "saved"
            job = await reach(manager, saves.job_id)
            assert (job.status.value, job.server.escalation) == ("cancelled", None)
            # Beyond all graces it is still there, and so is what it has started.
            job = await reach(manager, deaf.job_id, "cancelling")
            assert job.server.escalation == "interrupt"
            assert deaf.process.poll() is None
        # Nor is any of a server that cancels all jobs when it is stopped, or of the one after that.
        async with managing(jobs_dir, **FAST, on_server_stop="cancel") as manager:
            await reach(manager, deaf.job_id, "cancelling")
            other = await begin(started, jobs_dir, LOOP)
            await become(lambda: is_busy(manager, other))
        assert deaf.process.poll() is other.process.poll() is None
        assert '"running"' in (jobs_dir / other.job_id / "control.json").read_text()


async def test_one_that_was_killed_is_interrupted_and_what_it_started_is_left_alone(tmp_path: Path) -> None:
    jobs_dir = tmp_path / "jobs"
    body = "child = subprocess.Popen(['sleep', '600'])\nprint(child.pid, flush=True)\n" + LOOP
    with scripts() as started:
        # Begun without a server, and found by the next one.
        script = await begin(started, jobs_dir, body)
        child = int(await asyncio.to_thread(script.line))
        async with managing(jobs_dir, **FAST) as manager:
            await become(lambda: is_busy(manager, script))
            assert (await manager.get(script.job_id)).job.status.value == "running"
            script.process.kill()
            job = await reach(manager, script.job_id)
            assert job.status.value == "interrupted"
            os.kill(child, 0)
        os.kill(child, 0)


def test_that_of_another_machine_is_known_by_its_lock_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs_dir = tmp_path / "jobs"
    with scripts() as started:
        script = Script(jobs_dir, LOOP)
        started.append(script)
        job_dir = module.JobDir(jobs_dir / script.job_id)
        spawned = json.loads(job_dir.process_journal.read_text())
        job = _with_process(script.job_id, **spawned)
        assert not module.is_gone(job_dir, job)
        # Its pid and its boot mean nothing here.
        far = _with_process(script.job_id, **{**spawned, "host": "node17 pid:[1]", "boot_id": "another", "pid": 1})
        assert not module.is_gone(job_dir, far)
        script.process.kill()
        script.process.wait()
        deadline = time.monotonic() + 5
        while not module.is_gone(job_dir, far):
            assert time.monotonic() < deadline
        assert module.is_gone(job_dir, job)
    assert module.is_ours(job_dir.path)
    (tmp_path / "link").symlink_to(job_dir.path)
    assert not module.is_ours(tmp_path / "link")
    monkeypatch.setattr(module.os, "getuid", lambda: os.geteuid() + 1)
    assert not module.is_ours(job_dir.path)


def _with_process(job_id: str, **record: Any) -> Job:
    from jupyter_trainlive.protocol.states import Journal, fold

    return fold(Job(job_id, spec={"kind": "track"}), Journal.PROCESS, record)
