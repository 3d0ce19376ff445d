"""How much of one job's logging the server takes in: a real job that logs as fast as it can, and one at the target."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil

from ..real_server import RealServer, serve
from .crowd import cpu_seconds, gathered
from .measure import Row, amount
from .serving import EVERY_POINT, running, v1

SERIES, SECONDS = 20, 10
#: Points a second: what is to be sustained.
TARGET = 100_000
_BLOCK = 50
_POINTS = '{"type":"points"', '{"type": "points"'

#: Logs for so long, `hz` records a second in blocks, or without a pause; then ends.
_JOB = """
import random, time, jupyter_trainlive as trainlive
names = [f"series_{{k}}" for k in range({series})]
time.sleep(2)
step, until, due = 0, time.time() + {seconds}, time.time()
while time.time() < until:
    if {hz}:
        due += {block} / ({hz} or 1)
        time.sleep(max(0.0, due - time.time()))
    for _ in range({block}):
        step += 1
        trainlive.log({{name: step + 0.25 for name in names}}, step=step)
"""


def run(folder: Path) -> list[Row]:
    config = {"JobManager": {"max_points_per_second": 10_000_000}}
    with serve(folder / "home", config=config) as server:
        fast = _Ingested(folder, server, 0)
        paced = _Ingested(folder, server, TARGET / SERIES)
    with serve(folder / "as it comes") as server:
        held = _Ingested(folder, server, 0)
    return [
        *fast.rows(f"as fast as it can for {SECONDS} s, {SERIES} scalars a record", least=TARGET),
        *paced.rows(f"{TARGET:,} points/s for {SECONDS} s"),
        *held.rows("as fast as it can, with the limit on intake as it comes"),
    ]


class _Ingested:
    """One job, from its first record to the last of its points at a v1 client."""

    def __init__(self, folder: Path, server: RealServer, hz: float) -> None:
        process = psutil.Process(server.process.pid)
        code = _JOB.format(series=SERIES, seconds=SECONDS, hz=hz, block=_BLOCK)
        with contextlib.ExitStack() as stack:
            job_id = stack.enter_context(running(server, code))
            watching = v1(server, job_id, EVERY_POINT)
            crowd = stack.enter_context(gathered(folder, watching, 1, seconds=0.1))
            before = cpu_seconds(process)
            server.wait(job_id, timeout=240)
            self.cpu_seconds = cpu_seconds(process) - before
            seen = [(at, json.loads(text)) for at, text in crowd.collect() if text.startswith(_POINTS)]
        journal = server.jobs_dir / job_id / "journal" / "training.jsonl"
        self.first, self.last, self.logged = _logged(journal)
        self.at_client = sum(len(each["value"]) for _, frame in seen for each in frame["series"].values())
        self.arrived = seen[-1][0]
        self.steps = [step for _, frame in seen for step in frame["series"]["series_0"]["step"]]
        self.counted = sum(series["count"] for series in server.job(job_id)["series"])
        self.in_metrics = _in_metrics(server, job_id)

    def rows(self, how: str, least: float | None = None) -> list[Row]:
        logged = self.logged * SERIES
        lost = logged - min(self.at_client, self.counted, self.in_metrics)
        twice = len(self.steps) - len(set(self.steps))
        rate = self.at_client / (self.arrived - self.first)
        wrote = logged / (self.last - self.first)
        return [
            amount(
                f"{how}: points/s until the last is at a v1 client",
                "",
                rate,
                least=least,
                note=f"logged {wrote:,.0f}/s",
            ),
            amount(
                f"{how}: points lost, or twice",
                "",
                max(lost, 0) + twice,
                most=0,
                note=f"of {logged:,}: {self.at_client:,} at the client, {self.in_metrics:,} in GET metrics",
            ),
            amount(f"{how}: the last point's way to the client", "ms", (self.arrived - self.last) * 1e3),
            amount(f"{how}: processor of the server", "%", self.cpu_seconds / (self.arrived - self.first) * 100),
        ]


def _logged(journal: Path) -> tuple[float, float, int]:
    """When the first and the last record of numbers were written, and how many."""
    first = last = b""
    count = 0
    with journal.open("rb") as file:
        for line in file:
            if b'"metrics"' in line:
                first, last, count = first or line, line, count + 1
    return json.loads(first)["t"], json.loads(last)["t"], count


def _in_metrics(server: RealServer, job_id: str) -> int:
    with server.http() as http:
        names = [f"series_{k}" for k in range(SERIES)]
        answer = http.get(f"api/training/jobs/{job_id}/metrics", params={"names": names, "points": 480})
        series: dict[str, Any] = answer.raise_for_status().json()["series"]
    return sum(each["n"] for each in series.values())
