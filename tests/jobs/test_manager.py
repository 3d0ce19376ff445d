"""The manager sees every job to its end, and no odd directory or full disk stops it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.jobs import submission as submission_module
from jupyter_trainlive.jobs import supervisor as supervisor_module
from jupyter_trainlive.jobs.errors import InvalidRequest, NoStorage, NotAllowed, UnknownJob
from jupyter_trainlive.kernels.work import environment
from jupyter_trainlive.protocol.control import write_wish
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id, write_json
from jupyter_trainlive.protocol.journal import JournalReader, append_shared

from ..managing import become, managing, reach, submit
from ..small_disk import small_disk

FAST = {"cancel_grace": 0.2, "interrupt_grace": 0.4, "terminate_grace": 0.4, "poll_interval": 0.2}


def kinds(path: Path) -> list[str]:
    return [record["kind"] for record in JournalReader(path).read()]


async def active(manager: Any, count: int) -> None:
    """Wait until so many jobs are followed."""
    await become(lambda: manager.active == count)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("code", "force", "took"),
    [
        ("while True:\n  try: time.sleep(60)\n  except KeyboardInterrupt: pass", "terminated", "terminate"),
        (
            "for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\ntime.sleep(60)",
            "killed",
            "kill",
        ),
    ],
)
async def test_cancelling_takes_the_force_it_needs_and_says_which(
    tmp_path: Path, code: str, force: str, took: str
) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_id = await submit(manager, f"import signal, time\nprint('ready', flush=True)\n{code}")
        await reach(manager, job_id, "running")
        log = manager.jobs_dir / job_id / "output.log"
        await become(lambda: "ready" in log.read_text())
        assert (await manager.cancel(job_id)).status.value == "cancelling"
        again = await manager.cancel(job_id)
        assert again.status.value == "cancelling", "asking again is no error and changes nothing"
        job = await reach(manager, job_id)
        assert (job.status.value, job.error) == ("cancelled", f"Cancelled (it had to be {force})")
        notes = JournalReader(JobDir(log.parent).server_journal).read()
        steps = [note["to"] for note in notes if note["kind"] == "escalated"]
        assert steps == ["interrupt", "terminate", "kill"][: ["interrupt", "terminate", "kill"].index(took) + 1]
        assert [note["kind"] for note in notes].count("cancel_requested") == 1
        with pytest.raises(NotAllowed):
            await manager.cancel(job_id)


async def test_a_cancelled_start_needs_no_force_where_the_flag_is_seen_first(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **{**FAST, "cancel_grace": 20.0}) as manager:
        job_id = await submit(manager, "import jupyter_trainlive as t; t.log({'x': 1}, step=1, total_steps=2)")
        await manager.cancel(job_id)
        job = await reach(manager, job_id)
        assert job.status.value == "cancelled"


async def test_a_directory_removed_by_hand_is_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        done, running = await submit(manager, "pass"), await submit(manager, "import time; time.sleep(60)")
        await reach(manager, done)
        job = await reach(manager, running, "running")
        await active(manager, 1)
        assert job.process.pid is not None
        for job_id in (done, running):
            shutil.rmtree(manager.jobs_dir / job_id)
        assert await manager.list() == []
        with pytest.raises(UnknownJob):
            await manager.get(running)
        os.kill(job.process.pid, signal.SIGKILL)
        kept = await submit(manager, "pass")
        assert [tracker.job_dir.job_id for tracker in await manager.list()] == [kept]
        await reach(manager, kept)
        await active(manager, 0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_an_active_jobs_removed_directory_is_noticed_without_anybody_asking(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_id = await submit(manager, "import time; time.sleep(60)")
        job = await reach(manager, job_id, "running")
        shutil.rmtree(manager.jobs_dir / job_id)
        assert job.process.pid is not None
        os.kill(job.process.pid, signal.SIGKILL)
        await active(manager, 0)


def _garbage_spec(job_dir: JobDir) -> None:
    job_dir.spec_file.write_bytes(b"{")


def _spec_of_another_kind(job_dir: JobDir) -> None:
    job_dir.spec_file.write_bytes(b'["not", "an", "object"]')


def _no_spec(job_dir: JobDir) -> None:
    job_dir.output_log.write_bytes(b"")


def _unreadable_journal(job_dir: JobDir) -> None:
    write_json(job_dir.spec_file, {"job_id": job_dir.job_id, "kind": "code", "name": "x"})
    job_dir.training_journal.mkdir()


@pytest.mark.parametrize("spoil", [_garbage_spec, _spec_of_another_kind, _no_spec, _unreadable_journal])
async def test_a_directory_that_is_no_job_is_left_alone_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Any
) -> None:
    jobs_dir = tmp_path / "jobs"
    jobs_dir.mkdir()
    odd = JobDir(jobs_dir / new_job_id())
    odd.create()
    spoil(odd)
    before = sorted(odd.path.rglob("*"))
    (jobs_dir / "job_aaaaaaaaaaaa").write_text("a file, no folder")
    (jobs_dir / "notes.txt").write_text("somebody's")
    async with managing(jobs_dir, **FAST) as manager:
        # One that was made just now may be about to be written by another server.
        assert await manager.list() == []
        assert caplog.text == ""
        os.utime(odd.path, (time.time() - 120,) * 2)
        for _ in range(3):
            assert await manager.list() == []
        with pytest.raises(UnknownJob):
            await manager.get(odd.job_id)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1, warnings
    assert odd.job_id in warnings[0]
    assert "left alone" in warnings[0]
    assert sorted(odd.path.rglob("*")) == before


async def test_a_journal_that_cannot_be_read_for_a_while_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_id = await submit(
            manager, "import time, jupyter_trainlive as t; time.sleep(0.7); t.log({'loss': 1.0}, step=1)"
        )
        await reach(manager, job_id, "running")
        job_dir = JobDir(manager.jobs_dir / job_id)
        # A folder in the file's place: opening it to read is refused, as with too few file descriptors.
        job_dir.training_journal.rename(tmp_path / "aside")
        job_dir.training_journal.mkdir()
        await become(lambda: kinds(job_dir.process_journal) == ["spawned", "exited"])
        await asyncio.sleep(0.6)
        tracker = await manager.get(job_id)
        assert not tracker.job.status.ended, "how it ended is not known before what it reported is read"
        job_dir.training_journal.rmdir()
        (tmp_path / "aside").rename(job_dir.training_journal)
        job = await reach(manager, job_id)
        assert (job.status.value, job.training.latest) == ("completed", {"loss": 1.0})
    assert len([record for record in caplog.records if "can't be followed" in record.getMessage()]) == 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "512k") as disk:
        yield disk


async def test_a_full_disk_refuses_the_job_and_nothing_of_it_is_left(disk: Path) -> None:
    async with managing(disk / "jobs", **FAST) as manager:
        with pytest.raises(OSError, match="No space"):
            (disk / "filler").write_bytes(bytes(1 << 20))
        with pytest.raises(NoStorage, match="no room left"):
            await submit(manager, "pass")
        assert not any(path.name.startswith("job_") for path in manager.jobs_dir.iterdir())
        assert await manager.list() == []
        (disk / "filler").unlink()
        assert await submit(manager, "pass") in [tracker.job_dir.job_id for tracker in await manager.list()]
        for tracker in await manager.list():
            await reach(manager, tracker.job_dir.job_id)


async def test_a_job_is_there_for_others_only_once_it_is_whole(tmp_path: Path, monkeypatch: Any) -> None:
    written: list[set[str]] = []

    def look(path: Path, value: Any, **options: Any) -> None:
        if path.name == "spec.json":
            written.append({str(file.relative_to(path.parent)) for file in path.parent.rglob("*.json*")})
        write_json(path, value, **options)

    monkeypatch.setattr(submission_module, "write_json", look)
    async with managing(tmp_path / "jobs", **FAST) as manager:
        await reach(manager, await submit(manager, "pass"))
    assert written == [{"control.json", "progress.json", "journal/server.jsonl"}]


def left_by_a_killed_server(jobs_dir: Path) -> JobDir:
    """A job that a server took, and was killed before it spoke to a kernel."""
    spec = {"kind": "code", "code": "print('done')", "name": "x", "kernel_name": "python3", "cwd": "/", "env": {}}
    job_dir = JobDir(jobs_dir / new_job_id())
    job_dir.create()
    append_shared(job_dir.server_journal, "submitted")
    append_shared(job_dir.server_journal, "queued", attempt=1)
    append_shared(job_dir.server_journal, "starting", attempt=1)
    write_json(job_dir.spec_file, {**spec, "job_id": job_dir.job_id})
    return job_dir


async def test_work_that_another_server_started_and_never_handed_over_is_handed_over(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_dir = left_by_a_killed_server(manager.jobs_dir)
        assert (await manager.get(job_dir.job_id)).job.status.value == "starting"
        kernels, _ = manager.launcher._manager(job_dir, "python3")
        await kernels.start_kernel(env=environment(os.environ, job_dir, {}), cwd="/", job_dir=job_dir)
        job = await reach(manager, job_dir.job_id)
        assert (job.status.value, job.attempt) == ("completed", 1)
        assert job_dir.output_log.read_text() == "done\n"
        assert kinds(job_dir.server_journal) == ["submitted", "queued", "starting"]
        await kernels.cleanup_resources()


async def test_a_launch_that_led_to_nothing_is_made_again(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(supervisor_module, "SPAWN_SECONDS", 0.3)
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_dir = left_by_a_killed_server(manager.jobs_dir)
        job = await reach(manager, job_dir.job_id)
        assert (job.status.value, job.attempt) == ("completed", 2)
        assert job_dir.output_log.read_text() == "done\n"


async def test_no_server_side_resource_is_kept_after_a_job(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:

        async def some() -> int:
            for job_id in [await submit(manager, "pass") for _ in range(2)]:
                await reach(manager, job_id)
            await asyncio.sleep(0.5)
            return open_files()

        await some()
        assert await some() >= await some()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cwd", "~nobody-of-that-name/x"),
        ("cwd", "x" * 5000),
        ("cwd", "\ud800"),
        ("cwd", 3),
        ("env", []),
        ("env", {"A B": "x"}),
        ("env", {"A": 1}),
        ("env", {"A": "\0"}),
        ("env", {"TRAINLIVE_JOB_DIR": "/"}),
        ("gpus", 1),
        ("gpus", 1025),
        ("priority", 101),
        ("priority", 0.5),
        ("nan_patience", 0),
        ("stop_on_nan", 1),
        ("gpus", -1),
        ("gpus", True),
        ("gpus", "all"),
        ("name", ""),
        ("name", "two\nlines"),
        ("name", "x" * 201),
        ("name", 5),
        ("kernel_name", 5),
        ("kernel_name", ""),
        ("kernel_name", "../python3"),
        ("kernel_name", "x" * 5000),
        ("code", ""),
        ("code", "\ud800"),
        ("code", "x" * (1 << 20) + "y"),
        ("kind", "dance"),
        ("kind", ["code"]),
        ("keep_kernel", 604_801),
        ("keep_kernel", "long"),
        ("alerts", {"loss_spike_factor": "x"}),
        ("alerts", 3),
        ("loss_from_backward", 1),
        ("colour", "red"),
    ],
)
async def test_a_field_that_makes_no_sense_is_named(tmp_path: Path, field: str, value: object) -> None:
    async with managing(tmp_path / "jobs") as manager:
        with pytest.raises(InvalidRequest) as refused:
            await manager.submit({"kind": "code", "code": "pass", field: value})
        assert refused.value.field == field
        assert len(str(refused.value)) < 1000
        assert list(manager.jobs_dir.glob("job_*")) == []


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "x" * 5000, "\ud800", "\0", "/proc", "/dev/zero"])
async def test_a_dataset_that_cannot_be_looked_at_is_named(tmp_path: Path, path: str) -> None:
    async with managing(tmp_path / "jobs") as manager:
        with pytest.raises(InvalidRequest) as refused:
            await manager.submit({"kind": "finetune", "model_name": "a/b", "dataset_path": path})
        assert refused.value.field == "dataset_path"


async def test_what_a_refused_write_leaves_is_taken_away(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs") as manager:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30, limit[1]))
        try:
            with pytest.raises(NoStorage):
                await submit(manager, "pass")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
        assert list(manager.jobs_dir.glob("job_*")) == []


async def test_a_specs_contents_are_what_was_asked_for_and_never_change(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **FAST) as manager:
        asked = {"priority": 3, "nan_patience": 5, "stop_on_nan": True}
        job_id = await submit(manager, "pass", name="näme", env={"A": "1"}, gpus=0, cwd=str(tmp_path), **asked)
        spec_file = manager.jobs_dir / job_id / "spec.json"
        before = spec_file.read_bytes()
        await reach(manager, job_id)
        assert spec_file.read_bytes() == before
        assert json.loads(before) == {
            "job_id": job_id,
            "kind": "code",
            "code": "pass",
            "loss_from_backward": False,
            "keep_kernel": 0.0,
            "alerts": {},
            "name": "näme",
            "env": {"A": "1"},
            "gpus": 0,
            "cwd": str(tmp_path),
            "kernel_name": "python3",
            "priority": 3,
            "nan_patience": 5,
            "stop_on_nan": True,
        }


async def test_a_jobs_folder_that_cannot_be_says_so_and_the_server_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with managing(tmp_path / "file" / "jobs") as manager:
        assert await manager.list() == []
        with pytest.raises(NoStorage, match=r"set TrainLive\.jobs_dir"):
            await submit(manager, "pass")


async def test_a_jobs_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs") as manager:
        shutil.rmtree(tmp_path / "jobs")
        assert await manager.list() == []
        job_id = await submit(manager, "pass")
        assert (await reach(manager, job_id)).status.value == "completed"


async def test_a_task_that_loses_its_cancellation_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    """As asyncio.wait_for loses one, before Python 3.12."""

    async def deaf_once() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async with managing(tmp_path / "jobs") as manager:
        manager.spawn(deaf_once())
        await asyncio.sleep(0)
        await asyncio.wait_for(manager.stop(), 10)


async def test_a_pause_that_comes_while_a_job_is_launched_is_not_written_over(tmp_path: Path, monkeypatch: Any) -> None:
    wishes: list[Any] = []

    def slowly(path: Path, wish: Any) -> None:
        wishes.append(wish)
        if len(wishes) == 1:
            # That of the launch; a kernel that is quick to start would else be done before the pause is written.
            time.sleep(0.3)
        write_wish(path, wish)

    monkeypatch.setattr(supervisor_module, "write_wish", slowly)
    async with managing(tmp_path / "jobs", **FAST) as manager:
        job_id = await submit(manager, "print('began', flush=True)")
        await reach(manager, job_id, "starting")
        await manager.pause(job_id)
        await reach(manager, job_id, "paused")
        await manager.resume(job_id)
        await reach(manager, job_id, "completed")


async def test_a_queued_job_whose_directory_was_removed_holds_up_no_other(tmp_path: Path) -> None:
    async with managing(tmp_path / "jobs", **{**FAST, "max_concurrent_jobs": 1}) as manager:
        running = await submit(manager, "import time; time.sleep(600)")
        await reach(manager, running, "running")
        removed, waiting = await submit(manager, "pass", priority=1), await submit(manager, "pass")
        shutil.rmtree(manager.jobs_dir / removed)
        await manager.cancel(running)
        await reach(manager, waiting, "completed")
        assert removed not in [tracker.job_dir.job_id for tracker in await manager.list()]
