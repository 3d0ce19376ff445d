"""Opening and zooming curves of a million and of ten million points, on a v1 socket and over REST."""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import psutil
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from ..real_server import RealServer, serve
from .crowd import settled, uss_mb
from .measure import Row, amount, measured
from .serving import running, socket

#: Of each the milliseconds in which it may open, and whether its job still runs.
LENGTHS = ((1_000_000, 50.0, False), (10_000_000, 200.0, True))
PX, BUCKETS = 1200, 480
OPENINGS, ZOOMS = 20, 300
#: They are written quicker than any training logs.
CONFIG = {"JobManager": {"max_points_per_second": 10_000_000}}

#: Writes its own journal, a block of records at a time, as `log` would in hours; then ends, or goes on logging.
JOB = """
import os, random, time, jupyter_trainlive as trainlive
from jupyter_trainlive.training.recorder import current

recorder = current()
journal = recorder.job_dir.training_journal
first, t = recorder._journal.seq + 1, time.time() - {points} * 0.01
values = [f"{{4 / (1 + k / 500) + random.gauss(0, 0.1):.6f}}" for k in range(5000)]
line = '{{"seq":%d,"t":%.3f,"kind":"metrics","step":%d,"values":{{"loss":%s}}}}\\n'
with journal.open("ab", buffering=0) as file:
    for start in range(0, {points}, 5000):
        lines = [line % (first + k, t + k * 0.01, k + 1, v) for k, v in enumerate(values[:{points} - start], start)]
        file.write("".join(lines).encode())
# The recorder goes on behind what was written past it.
recorder._journal._seq += {points}
recorder._step = {points}
trainlive.log({{"loss": 0.5}}, step={points} + 1)
while {active}:
    time.sleep(0.1)
    trainlive.log({{"loss": 0.5}})
"""


def run(folder: Path) -> list[Row]:
    rows: list[Row] = []
    for points, most, active in LENGTHS:
        called = f"{points / 1e6:.0f} M points, {'active' if active else 'ended'} job"
        home = folder / str(points)
        with serve(home, config=CONFIG) as server:
            job_id, more = _with_a_server(server, points, called, most, active)
            rows += more
        with serve(home, config=CONFIG) as server:
            server.wait(job_id)
            first, _ = _windows(server, job_id, [(None, None)])[0]
            what = f"{called}: opening it after a restart of the server, the first time"
            rows.append(amount(what, "ms", first, most=most))
    return rows


def _with_a_server(server: RealServer, points: int, called: str, most: float, active: bool) -> tuple[str, list[Row]]:
    process = psutil.Process(server.process.pid)
    # What the first curve of all costs, numpy for one, is no cost of a long one.
    with running(server, JOB.format(points=2000, active=False)) as small:
        server.wait(small)
        _windows(server, small, [(None, None)])
    before, began = uss_mb(process), time.monotonic()
    with running(server, JOB.format(points=points, active=active)) as job_id:
        server.until(job_id, lambda job: count(job) > points, 300)
        followed = time.monotonic() - began
        # A job comes to so many points in hours, and what is done in the background is done by then.
        settled(process)
        note = f"written and followed in {followed:.0f} s, at rest after {time.monotonic() - began:.0f} s"
        rows = _of_one(server, job_id, called, most)
        grown = uss_mb(process) - before
    note += f"; {grown / points * 1e6:.1f} MB a million points"
    rows.append(amount(f"{called}: memory of the server more", "MB", grown, most=50 if active else None, note=note))
    return job_id, rows


def _of_one(server: RealServer, job_id: str, called: str, most: float) -> list[Row]:
    opened = f"{called}: opening it at {PX:,} px"
    first, _ = _windows(server, job_id, [(None, None)])[0]
    rows = [amount(f"{opened}, the first time", "ms", first, most=most)]
    again = [ms for ms, _ in _windows(server, job_id, [(None, None)] * OPENINGS)]
    rows.append(measured(f"{opened}, again", "ms", again, most=most))
    smoothed, _ = _windows(server, job_id, [(None, None)], smoothing=0.9)[0]
    rows.append(amount(f"{opened}, smoothed, the first time", "ms", smoothed, most=most))
    points = count(server.job(job_id))
    for smoothing, how in ((0.0, "any zoom"), (0.9, "any zoom, smoothed")):
        zooms = _windows(server, job_id, [_zoom(points) for _ in range(ZOOMS)], smoothing=smoothing)
        rows.append(measured(f"{called}: {how}", "ms", [ms for ms, _ in zooms], p99_most=30))
        rows.append(measured(f"{called}: {how}, sent", "kB", [size / 1e3 for _, size in zooms], p99_most=60))
    with server.http() as http:
        taken = []
        for _ in range(OPENINGS):
            began = time.perf_counter()
            answer = http.get(f"api/training/jobs/{job_id}/metrics", params={"names": "loss", "points": BUCKETS})
            answer.raise_for_status()
            taken.append((time.perf_counter() - began) * 1e3)
    size = f"{len(answer.content) / 1e3:.0f} kB"
    return [*rows, measured(f"{called}: GET metrics, {BUCKETS} buckets", "ms", taken, most=most, note=size)]


def _windows(
    server: RealServer, job_id: str, asked: list[tuple[float | None, float | None]], smoothing: float = 0.0
) -> list[tuple[float, int]]:
    """Each asked for in turn; of an ended job a socket stays open for ten seconds only."""
    result: list[tuple[float, int]] = []
    while len(result) < len(asked):
        with socket(server, job_id) as client, contextlib.suppress(ConnectionClosed):
            for x0, x1 in asked[len(result) :]:
                result.append(_window(client, x0, x1, smoothing=smoothing))
    return result


def _window(
    client: ClientConnection, x0: float | None = None, x1: float | None = None, *, smoothing: float = 0.0
) -> tuple[float, int]:
    """Milliseconds until a window of the curve is there, and the bytes of its frame."""
    request = {"type": "window", "id": 1, "names": ["loss"], "x0": x0, "x1": x1, "px": PX}
    began = time.perf_counter()
    client.send(json.dumps({**request, "axis": "step", "smoothing": smoothing}))
    while True:
        text = client.recv(120)
        if '"window"' in text[:40] or '"error"' in text[:40]:
            break
    taken = (time.perf_counter() - began) * 1e3
    frame = json.loads(text)
    assert frame["type"] == "window", frame
    buckets = frame["buckets"]["loss"]
    assert buckets or x0 is not None, "an empty curve"
    assert len(buckets) <= BUCKETS, f"{len(buckets)} buckets"
    return taken, len(text)


_random = random.Random(7)


def _zoom(points: int) -> tuple[float, float]:
    """A part of the curve anywhere, from a hundred steps to all of it."""
    width = math.exp(_random.uniform(math.log(100), math.log(points)))
    start = _random.uniform(0, points - width)
    return start, start + width


def count(job: dict[str, Any]) -> int:
    return next((series["count"] for series in job["series"] if series["name"] == "loss"), 0)
