"""Watchers that never read, among many that do: what they cost the server, and the others."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from ..real_server import serve
from .crowd import Crowd, gathered, latencies, uss_mb
from .measure import Row, amount, measured
from .serving import logging_job, v1

WATCHERS, STALLED = 500, 20
#: 20 kB a frame.
SERIES, HZ = 280, 20
_VALUES = f'{{f"series_{{k:03d}}": step + k / 7 for k in range({SERIES})}}'
#: In turns, with the same healthy watchers. Stalled ones are closed after 30 s, which would hide what they cost.
ROUNDS, SECONDS = 3, 8.0
_SETTLE_SECONDS = 5.0
#: Those that were up to date before.
_READS_SECONDS = 2.0
#: Memory goes up and down by frames that are under way: the lowest of so many readings.
_READINGS = 10


@dataclass
class _Found:
    lateness: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    frame_kb: float = 0.0

    def take(self, crowd: Crowd, server: psutil.Process) -> None:
        # Letting the others in is another matter.
        time.sleep(_SETTLE_SECONDS)
        spent = crowd.watch(server, SECONDS)
        assert not spent.closed, f"{spent.closed} healthy watchers were closed"
        self.lateness += latencies(spent.seen)
        self.cpu.append(spent.cpu_percent)
        self.frame_kb = spent.bytes_a_second / WATCHERS / HZ / 1e3
        self.memory_mb.append(min(uss_mb(server) for _ in range(_READINGS)))


def run(folder: Path) -> list[Row]:
    read, never, stop = _Found(), _Found(), _Found()
    with serve(folder / "home") as server, logging_job(server, HZ, _VALUES) as job_id:
        process = psutil.Process(server.process.pid)
        watching = replace(v1(server, job_id), kept=400)
        stops = replace(watching, reads_seconds=_READS_SECONDS)
        with gathered(folder, watching, WATCHERS) as crowd:
            # What it takes at the most to let watchers in stays with the process: that is behind us after one round.
            for number in range(1 + ROUNDS):
                for found, who, more, stalled in (
                    (read, watching, STALLED, 0),
                    (never, watching, 0, STALLED),
                    (stop, stops, 0, STALLED),
                ):
                    with gathered(folder, who, more, stalled=stalled, seconds=1.0):
                        (found if number else _Found()).take(crowd, process)
    return _rows({"that read": read, "that never read": never, "that stop to read": stop})


def _rows(kinds: dict[str, _Found]) -> list[Row]:
    healthy = next(iter(kinds.values()))
    what = f"{WATCHERS} watchers, {HZ} frames/s of {healthy.frame_kb:.0f} kB"
    called = {f"{STALLED} more {how}": each for how, each in kinds.items()}
    rows = [measured(f"{what}: record to arrival", "ms", each.lateness, who=who) for who, each in called.items()]
    late = dict(zip(called, (row.p99 or 0.0 for row in rows), strict=True))
    usual = next(iter(late.values()))
    rows += [measured(f"{what}: processor of the server", "%", each.cpu, who=who) for who, each in called.items()]
    rows += [measured(f"{what}: memory (USS)", "MB", each.memory_mb, who=who) for who, each in called.items()]
    for who, each in list(called.items())[1:]:
        extra = [more - as_many for as_many, more in zip(healthy.memory_mb, each.memory_mb, strict=True)]
        note = "with as many that read, in turns"
        rows.append(measured("memory that the stalled take", "MB", extra, who=who, most=1, note=f"more than {note}"))
        rows.append(amount("p99 of the healthy", "×", late[who] / usual, who=who, most=1.25, note=f"of that {note}"))
    return rows
