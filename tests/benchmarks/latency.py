"""How long after the training logged it somebody else has it: ours at a client, the peers' in their server or store."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from ..real_server import RealServer, serve
from . import peer_servers, peers
from .measure import Row, below_all, measured, unable
from .reference import served, training
from .serving import EVERY_POINT, HEADERS
from .workers import begun

LOGS, RATE_HZ = 400, 20
WATCHERS = 3
SHORT_JOBS = 15
#: Of the peers and of the design.
SECONDS = 10.0

WHAT = f"log() at {RATE_HZ} Hz until somebody else has it"
_LOOP = f"""
import time, jupyter_trainlive as trainlive
time.sleep(1)
for step in range(1, {LOGS + 1}):
    trainlive.log({{"loss": 1 / step}}, step=step, total_steps={LOGS})
    time.sleep({1 / RATE_HZ})
"""

Arrivals = list[tuple[float, dict[str, Any]]]


def run(folder: Path) -> list[Row]:
    with serve(folder / "home") as server:
        points, *watched = asyncio.run(_watch_one_job(server))
        changes = [_changes_of_one_job(server) for _ in range(SHORT_JOBS)]
    gaps = [
        (later[0] - earlier[0]) * 1e3
        for arrivals in watched
        for earlier, later in itertools.pairwise(_while_active(arrivals))
    ]
    running, closing, ended = (list(column) for column in zip(*changes, strict=True))
    ours = measured(WHAT, "ms", list(_latencies(points)), most=5, p99_most=25, note="points frame at a v1 client")
    return [
        *below_all([ours, *_others(folder)]),
        measured("plain: start of the work to the message running", "ms", running),
        measured("plain: exit of the process to the closing message", "ms", closing),
        measured("plain: end of the work to the closing message, the kernel's exit included", "ms", ended),
        measured(f"plain, {WATCHERS} watchers: between two messages", "ms", gaps, note="1 s is promised"),
    ]


async def _watch_one_job(server: RealServer) -> list[Arrivals]:
    """What one client of `trainlive.v1` and several plain ones get of the same job."""
    job_id = await asyncio.to_thread(server.submit, _LOOP)
    return await asyncio.gather(_v1(server, job_id), *(_plain(server, job_id) for _ in range(WATCHERS)))


async def _plain(server: RealServer, job_id: str) -> Arrivals:
    async with connect(server.socket_url(job_id), additional_headers=HEADERS, proxy=None) as socket:
        return [(time.time(), json.loads(text)) async for text in socket]


async def _v1(server: RealServer, job_id: str) -> Arrivals:
    url = server.socket_url(job_id)
    async with connect(url, additional_headers=HEADERS, proxy=None, subprotocols=["trainlive.v1"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps(EVERY_POINT))
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


def _others(folder: Path) -> list[Row]:
    """The peers, two at a time as they mostly wait, and the design."""
    tried = (
        ("mlflow", "mlflow_server", peer_servers.mlflow, "newest metrics over REST, asked every 5 ms"),
        ("trackio", "trackio", None, "row in its SQLite, looked at every 5 ms"),
        ("wandb", "wandb", None, "offline: record in its file, looked at every 5 ms"),
        ("swanlab", "swanlab", None, "offline: record in its file, looked at every 5 ms"),
        (
            "tensorboard",
            "tensorboard_server",
            peer_servers.tensorboard,
            "flush_secs=1 instead of 120; its server as is",
        ),
    )
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda each: _peer(folder, *each), tried))
    rows.append(unable(WHAT, peers.called("aim"), "its read-only Repo shows nothing of a run here (aimrocks 0.5.2)"))
    return [*rows, _design(folder / "design")]


def _peer(folder: Path, who: str, reader: str, server: peer_servers.Start | None, note: str) -> Row:
    try:
        with contextlib.ExitStack() as stack:
            env = stack.enter_context(server(folder / f"{who}-server", folder / who)) if server else {}
            worker = stack.enter_context(begun(who, folder, {"BENCH_FLUSH_SECONDS": "1", **env}))
            arguments = ("follow", reader, str(worker.folder), str(SECONDS + 8))
            follower = stack.enter_context(
                subprocess.Popen(
                    peers.command(who, "keepers.py", *arguments),
                    env={**peers.environment(worker.folder), **env},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            time.sleep(3)
            logged = worker.do("paced", n=int(SECONDS * RATE_HZ), hz=RATE_HZ)
            said, _ = follower.communicate()
        seen = json.loads(said.splitlines()[-1])["seen"]
    except (peers.DoesNotRun, IndexError) as error:
        return unable(WHAT, peers.called(who), f"does not run here: {error}")
    return measured(WHAT, "ms", _first_seen(logged, seen), who=peers.called(who), note=note)


def _first_seen(logged: dict[str, Any], seen: list[tuple[float, int]]) -> list[float]:
    """Milliseconds from each log to when its step, or a later one, was first seen; what never was counts to the end."""
    at, steps = [each[0] for each in seen], [each[1] for each in seen]
    result = []
    for step, began in enumerate(logged["at"], logged["first"]):
        place = bisect.bisect_left(steps, step)
        result.append(((at[place] if place < len(at) else logged["at"][-1] + 5) - began) * 1e3)
    return result


def _design(folder: Path) -> Row:
    with served("design", folder) as (_, url), training(folder, RATE_HZ):
        arrivals = asyncio.run(_until(url, time.time() + SECONDS))
    late: dict[int, float] = {}
    for arrived, message in arrivals:
        for step in range(max(late, default=message["current_step"] - 1) + 1, message["current_step"] + 1):
            # The message has the newest step's time only; those before it came at the pace.
            logged = message["timestamp"] - (message["current_step"] - step) / RATE_HZ
            late[step] = (arrived - logged) * 1e3
    return measured(WHAT, "ms", list(late.values()), who="the design", note="file every 2 s, sockets every 1 s")


async def _until(url: str, deadline: float) -> Arrivals:
    arrivals: Arrivals = []
    async with connect(url, proxy=None) as socket:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            while True:
                text = await asyncio.wait_for(socket.recv(), deadline - time.time())
                arrivals.append((time.time(), json.loads(text)))
    return arrivals
