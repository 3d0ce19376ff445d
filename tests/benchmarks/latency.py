"""How long after the training recorded it a client has it: a real server, real kernels, real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from ..real_server import TOKEN, RealServer, serve
from .measure import Measured, measured

TITLE = "From the training to a client"

LOGS, RATE_HZ = 400, 20
WATCHERS = 3
SHORT_JOBS = 25

_HEADERS = {"Authorization": f"token {TOKEN}"}
_LOOP = f"""
import time, jupyter_trainlive as trainlive
time.sleep(1)
for step in range(1, {LOGS + 1}):
    trainlive.log({{"loss": 1 / step}}, step=step, total_steps={LOGS})
    time.sleep({1 / RATE_HZ})
"""

Arrivals = list[tuple[float, dict[str, Any]]]


def run(folder: Path) -> list[Measured]:
    with serve(folder / "home") as server:
        points, *watched = asyncio.run(_watch_one_job(server))
        changes = [_changes_of_one_job(server) for _ in range(SHORT_JOBS)]
    gaps = [
        (later[0] - earlier[0]) * 1e3
        for arrivals in watched
        for earlier, later in itertools.pairwise(_while_active(arrivals))
    ]
    running, closing, ended = (list(column) for column in zip(*changes, strict=True))
    return [
        measured(f"trainlive.v1: log() at {RATE_HZ} Hz to its points frame", "ms", list(_latencies(points))),
        measured("plain: start of the work to the message running", "ms", running),
        measured("plain: exit of the process to the closing message", "ms", closing),
        measured("plain: end of the work to the closing message, the kernel's exit included", "ms", ended),
        measured(f"plain, {WATCHERS} watchers: between two messages", "ms", gaps, promise="1 s at most"),
    ]


async def _watch_one_job(server: RealServer) -> list[Arrivals]:
    """What one client of `trainlive.v1` and several plain ones get of the same job."""
    job_id = await asyncio.to_thread(server.submit, _LOOP)
    return await asyncio.gather(_v1(server, job_id), *(_plain(server, job_id) for _ in range(WATCHERS)))


async def _plain(server: RealServer, job_id: str) -> Arrivals:
    async with connect(server.socket_url(job_id), additional_headers=_HEADERS, proxy=None) as socket:
        return [(time.time(), json.loads(text)) async for text in socket]


async def _v1(server: RealServer, job_id: str) -> Arrivals:
    url = server.socket_url(job_id)
    async with connect(url, additional_headers=_HEADERS, proxy=None, subprotocols=["trainlive.v1"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "subscribe", "since": 0, "series": "*"}))
        return [(time.time(), json.loads(text)) async for text in socket]


def _latencies(frames: Arrivals) -> Iterator[float]:
    """Milliseconds from the record of each point to the arrival of its frame."""
    steps = []
    for arrived, frame in frames:
        if frame["type"] == "points":
            column = frame["series"]["loss"]
            steps += column["step"]
            yield from ((arrived - recorded) * 1e3 for recorded in column["time"])
    assert steps == list(range(1, LOGS + 1)), "points were lost or came twice"


def _while_active(messages: Arrivals) -> Arrivals:
    """The messages that tell of the running training."""
    return [(arrived, message) for arrived, message in messages if message["status"] == "running"]


def _changes_of_one_job(server: RealServer) -> tuple[float, float, float]:
    """Milliseconds from a job's records of its start, its exit and its end to the messages that tell of them."""
    job_id = server.submit("pass")
    arrivals = asyncio.run(_plain(server, job_id))
    job = server.jobs_dir / job_id / "journal"
    training, process = _times(job / "training.jsonl"), _times(job / "process.jsonl")
    first = {message["status"]: arrived for arrived, message in reversed(arrivals)}
    return (
        (first["running"] - training["start"]) * 1e3,
        (first["completed"] - process["exited"]) * 1e3,
        (first["completed"] - training["end"]) * 1e3,
    )


def _times(journal: Path) -> dict[str, float]:
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    return {record["kind"]: record["t"] for record in records}
