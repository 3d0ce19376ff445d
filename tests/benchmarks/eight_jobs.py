"""The load of a full machine: eight jobs that log a hundred times a second, and one watcher."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil

from ..real_server import serve
from .crowd import gathered, latencies
from .measure import Row, amount, measured
from .serving import logging_job, v1

JOBS, HZ, SERIES = 8, 100, 20
_VALUES = f'{{f"series_{{k}}": random.random() for k in range({SERIES})}}'
ROUNDS, SECONDS = 3, 10.0


def run(folder: Path) -> list[Row]:
    with serve(folder / "home") as server, contextlib.ExitStack() as stack:
        jobs = [stack.enter_context(logging_job(server, HZ, _VALUES)) for _ in range(JOBS)]
        process = psutil.Process(server.process.pid)
        with gathered(folder, v1(server, jobs[0]), 1, seconds=0.1) as crowd:
            # Starting the last of them is behind us, and what is done once a second is in.
            crowd.watch(process, 3.0)
            spent = [crowd.watch(process, SECONDS) for _ in range(ROUNDS)]
        counted = _points(server.job(jobs[-1]))
    late = [each for one in spent for each in latencies(one.seen)]
    what = f"{JOBS} jobs × {HZ} logs/s × {SERIES} scalars"
    points = f"{JOBS * HZ * SERIES:,} points/s, one watcher of one job"
    return [
        measured(f"{what}: processor of the server", "%", [each.cpu_percent for each in spent], most=30, note=points),
        measured(f"{what}: record to arrival", "ms", late),
        amount(f"{what}: memory of the server", "MB", spent[-1].uss_mb, note=f"{counted:,} points in the last job"),
    ]


def _points(job: dict[str, Any]) -> int:
    return sum(series["count"] for series in job["series"])
