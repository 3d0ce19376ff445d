"""A crowd of watchers in processes of their own, and what a server spends on it: processor time, memory, lateness."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from .sockets import Watching

#: So many of a crowd are looked at closely.
SAMPLED = 50
_READY_SECONDS = 120

#: When a frame was read, and its text, or the beginning of it.
Seen = list[tuple[float, str]]


@dataclass
class Spent:
    """What a server spent in a while, and the frames that the sampled watchers were sent."""

    seconds: float
    cpu_percent: float
    uss_mb: float
    seen: Seen = field(repr=False)
    bytes_a_second: float = 0.0
    closed: int = 0


class Crowd:
    """Connected watchers; `watch` looks on for a while."""

    def __init__(self, folder: Path, watchings: Iterable[Watching]) -> None:
        self._folder = folder
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.sockets", watching.settings()],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for watching in watchings
        ]
        for process in self._processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                self.leave()
                raise RuntimeError("the watchers could not connect")

    def watch(self, server: psutil.Process, seconds: float) -> Spent:
        for process in self._processes:
            self._tell(process, "begin")
        began, before = time.monotonic(), cpu_seconds(server)
        time.sleep(seconds)
        used, taken = cpu_seconds(server) - before, time.monotonic() - began
        memory = uss_mb(server)
        seen, drained, closed = self._collect()
        return Spent(taken, used / taken * 100, memory, seen, drained / taken, closed)

    def collect(self) -> Seen:
        """What the sampled watchers were sent since they were last asked to forget it."""
        return self._collect()[0]

    def _collect(self) -> tuple[Seen, int, int]:
        seen: Seen = []
        drained = closed = 0
        for number, process in enumerate(self._processes):
            file = self._folder / f"seen-{number}.json"
            self._tell(process, f"end {file}")
            assert process.stdout is not None
            answer = json.loads(process.stdout.readline())
            drained += answer["bytes"]
            closed += answer["closed"]
            seen += map(tuple, json.loads(file.read_text()))
        return seen, drained, closed

    def leave(self) -> None:
        for process in self._processes:
            with contextlib.suppress(BrokenPipeError):
                self._tell(process, "quit")
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def _tell(process: subprocess.Popen[str], command: str) -> None:
        assert process.stdin is not None
        process.stdin.write(command + "\n")
        process.stdin.flush()


@contextlib.contextmanager
def gathered(
    folder: Path, watching: Watching, count: int, *, stalled: int = 0, seconds: float = 5.0
) -> Iterator[Crowd]:
    """`count` watchers besides the stalled ones; the sampled among them are spread evenly over the order of arrival."""
    raise_open_files(count + stalled)
    sampled = min(SAMPLED, (count + 1) // 2)
    drained = count - sampled
    crowds = [
        replace(watching, **{kind: number}, pause=seconds / number)
        for kind, number in (("drained", drained), ("sampled", sampled))
        if number
    ]
    if stalled:
        crowds.append(replace(watching, stalled=stalled, receive_buffer=4096))
    crowd = Crowd(folder, crowds)
    try:
        yield crowd
    finally:
        crowd.leave()


def raise_open_files(sockets: int) -> None:
    """Let this process and those it starts have so many sockets, and some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, 2 * sockets + 1000)
    if wanted > soft:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process alone, without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)


def settled(process: psutil.Process, percent: float = 10.0, longest: float = 90.0) -> None:
    """Wait until a process takes less of a core than that for a second, or for so long."""
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        before = cpu_seconds(process)
        time.sleep(1.0)
        if (cpu_seconds(process) - before) * 100 < percent:
            return


def uss_mb(process: psutil.Process) -> float:
    """Memory that would be free without this process, in MB."""
    return float(process.memory_full_info().uss) / 1e6


def latencies(seen: Seen, key: str = "time") -> list[float]:
    """Milliseconds from the moments that frames bear under `key`, of the first series alone, to when they were read."""
    pattern = re.compile(rf'"{key}": ?\[?([0-9.e+, ]+)')
    found = ((at, pattern.search(text)) for at, text in seen)
    return [(at - float(t)) * 1e3 for at, match in found if match for t in match[1].strip(", ").split(",")]
