"""A thousand watchers of one job, beside a bare Tornado socket and beside the design this project comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..real_server import serve
from .crowd import Spent, gathered, latencies, uss_mb
from .measure import Row, measured
from .reference import served, training
from .serving import logging_job, v1
from .sockets import Watching

WATCHERS, HZ = 1000, 10
ROUNDS, SECONDS = 2, 12.0


@dataclass
class _Found:
    lateness: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    each_kb: list[float] = field(default_factory=list)
    bytes_a_tick: float = 0.0

    def take(self, spent: Spent, before_mb: float, key: str) -> None:
        assert not spent.closed, f"{spent.closed} watchers were closed"
        self.lateness += latencies(spent.seen, key)
        self.cpu.append(spent.cpu_percent)
        self.each_kb.append((spent.uss_mb - before_mb) * 1e3 / WATCHERS)
        self.bytes_a_tick = spent.bytes_a_second / WATCHERS / HZ


def run(folder: Path) -> list[Row]:
    ours, floor, design = _Found(), _Found(), _Found()
    for number in range(ROUNDS):
        mine = folder / str(number)
        mine.mkdir()
        spent, before = _of_ours(mine)
        ours.take(spent, before, "time")
        size = round(ours.bytes_a_tick) - 4
        with served("floor", mine / "floor", hz=HZ, size=size) as (server, url):
            floor.take(*_of(mine, server, url), "t")
        with served("design", mine / "design") as (server, url), training(mine / "design", HZ):
            design.take(*_of(mine, server, url), "timestamp")
    return _rows(ours, floor, design)


def _rows(ours: _Found, floor: _Found, design: _Found) -> list[Row]:
    every = f"{WATCHERS:,} watchers, {HZ} logs/s"
    others = ((floor, "bare Tornado", f"one frame of {ours.bytes_a_tick:.0f} bytes a log, as ours in all"),)
    others += ((design, "the design", "file every 2 s, sockets every 1 s: the age of what is sent"),)
    note = f"{ours.bytes_a_tick:.0f} bytes a log: points, state, gauges"
    rows = [measured(f"{every}: record to arrival", "ms", ours.lateness, p99_most=100, note=note)]
    rows += [measured(rows[0].what, "ms", each.lateness, who=who, note=note) for each, who, note in others]
    rows.append(measured(f"{every}: processor of the server", "%", ours.cpu, most=25))
    rows += [measured(rows[-1].what, "%", each.cpu, who=who) for each, who, _ in others]
    what = "memory of the server for a watcher (USS)"
    rows.append(measured(what, "kB", ours.each_kb, most=20))
    rows += [measured(what, "kB", each.each_kb, who=who) for each, who, _ in others]
    return rows


def _of_ours(folder: Path) -> tuple[Spent, float]:
    with serve(folder / "home") as server, logging_job(server, HZ, '{"loss": 1 / step}') as job_id:
        process = psutil.Process(server.process.pid)
        watching = v1(server, job_id)
        # What the first watcher costs is no share of each.
        with gathered(folder, watching, 2, seconds=1.0):
            before = uss_mb(process)
        with gathered(folder, watching, WATCHERS) as crowd:
            return crowd.watch(process, SECONDS), before


def _of(folder: Path, server: psutil.Process, url: str) -> tuple[Spent, float]:
    with gathered(folder, Watching(url), 2, seconds=2.0):
        before = uss_mb(server)
    with gathered(folder, Watching(url), WATCHERS) as crowd:
        return crowd.watch(server, SECONDS), before
