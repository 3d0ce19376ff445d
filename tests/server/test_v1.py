"""A session of trainlive.v1 on its own: what a client that lags is told, and in which order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from jupyter_trainlive.jobs.tracker import Tracker, load
from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import append_shared
from jupyter_trainlive.server.v1 import V1Session, V1Stream


class SlowSocket:
    """Takes one frame at a time, and the next once that was read; its client may stop reading."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        #: How often its client will read what is waiting.
        self.reads = asyncio.Semaphore(1)
        self._full = False

    def send(self, text: str) -> bool:
        if self._full:
            return False
        self._full = True
        self.frames.append(json.loads(text))
        return True

    def end(self, text: str) -> None:
        self.frames.append(json.loads(text))
        self.ended.set()

    async def drained(self) -> bool:
        await self.reads.acquire()
        self.read()
        return True

    def read(self) -> None:
        self._full = False


async def watched(tmp_path: Path) -> tuple[Tracker, V1Stream, SlowSocket]:
    """A running job with one client that is live."""
    job_dir = JobDir(tmp_path / "job_000000000000")
    job_dir.create()
    append_shared(job_dir.training_journal, "start")
    tracker = load(job_dir, {"kind": "code", "name": "x"})
    await tracker.catch_up()
    stream, socket = V1Stream(tracker), SlowSocket()
    session = V1Session(socket, stream)
    stream.connect(session)
    session.receive(json.dumps({"type": "subscribe", "since": 0}))
    await asyncio.sleep(0.2)
    return tracker, stream, socket


async def test_a_client_that_lags_is_told_the_last_state_before_the_end(tmp_path: Path) -> None:
    tracker, stream, socket = await watched(tmp_path)
    job_dir = tracker.job_dir
    append_shared(job_dir.training_journal, "metrics", step=1, values={"loss": 1.0})
    append_shared(job_dir.training_journal, "end", status="completed")
    append_shared(job_dir.process_journal, "exited", code=0, signal=None)
    # It does not read when these come, so points and states are left out, and made up for later.
    stream.gauges('{"type": "gauges"}')
    await tracker.catch_up()
    await asyncio.sleep(0.2)
    for _ in range(10):
        socket.reads.release()
    await asyncio.wait_for(socket.ended.wait(), 10)

    merged = dict(socket.frames[0]["job"])
    for frame in socket.frames:
        merged.update(frame.get("job", {}))
    assert merged["status"] == "completed"
    assert [frame["series"]["loss"]["value"] for frame in socket.frames if frame["type"] == "points"] == [[1.0]]
    assert [frame["type"] for frame in socket.frames][-1] == "end"


async def test_points_that_come_while_a_client_catches_up_are_there_once(tmp_path: Path) -> None:
    """Read from the journal before they were sent to anybody, and left out because the state found no room yet."""
    tracker, stream, socket = await watched(tmp_path)
    job_dir = tracker.job_dir
    append_shared(job_dir.training_journal, "metrics", step=1, values={"loss": 1.0})
    stream.gauges('{"type": "gauges"}')
    await tracker.catch_up()
    await asyncio.sleep(0.2)
    # The session reads both steps, may send the first, and has no room for the state; then the second is sent to all.
    append_shared(job_dir.training_journal, "metrics", step=2, values={"loss": 2.0})
    socket.reads.release()
    await asyncio.sleep(0.2)
    await tracker.catch_up()
    await asyncio.sleep(0.2)
    for _ in range(2):
        socket.reads.release()
        await asyncio.sleep(0.2)
    # Live again, it is sent a third one; by that number it would be taken to have all before it.
    socket.read()
    append_shared(job_dir.training_journal, "metrics", step=3, values={"loss": 3.0})
    await tracker.catch_up()
    await asyncio.sleep(0.2)
    append_shared(job_dir.training_journal, "end", status="completed")
    append_shared(job_dir.process_journal, "exited", code=0, signal=None)
    for _ in range(10):
        socket.reads.release()
    await tracker.catch_up()
    await asyncio.wait_for(socket.ended.wait(), 10)
    points = [frame["series"]["loss"]["step"] for frame in socket.frames if frame["type"] == "points"]
    assert points == [[1], [2], [3]]
