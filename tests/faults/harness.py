"""What a fault needs: a server that can be killed and started again, a job that logs, and a count of what is shown."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from websockets.sync.client import connect

from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import JournalReader, Record

from ..real_server import TOKEN, RealServer, serve

#: Steps that a job of `code` logs in all, and how many of them before it waits for the word to go on.
STEPS, HALF = 120, 60


def code(*, then: str = "", between: str = "") -> str:
    """A job that logs half of its steps, says so, waits until the file `go` is there, and logs the rest."""
    return f"""
import os, time
from pathlib import Path
import jupyter_trainlive as trainlive
here = Path(os.environ["TRAINLIVE_JOB_DIR"])
for step in range(1, {STEPS} + 1):
    trainlive.log({{"loss": 1 / step}}, step=step, total_steps={STEPS})
    time.sleep(0.005)
    if step == {HALF}:
        print("half", flush=True)
        {between or "pass"}
        while not (here / "go").exists():
            time.sleep(0.02)
{then}
"""


@dataclass
class Place:
    """A folder of jobs, and the server that runs on it now, if any."""

    home: Path
    config: dict[str, Any] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    server: RealServer | None = None

    @property
    def up(self) -> RealServer:
        assert self.server is not None, "no server runs"
        return self.server

    def start(self) -> RealServer:
        """A new server, on another port."""
        self.server = self._stack.enter_context(serve(self.home, config=self.config))
        return self.server

    def kill(self) -> None:
        """SIGKILL, as the machine's memory watch would."""
        self.up.process.kill()
        self.up.process.wait()
        self.server = None

    def stop(self) -> None:
        """As a person stops it."""
        self.up.process.send_signal(signal.SIGTERM)
        self.up.process.wait(20)
        self.server = None

    def close(self) -> None:
        self._stack.close()

    def job_dir(self, job_id: str) -> JobDir:
        return JobDir(self.home / "jobs" / job_id)

    def submit_half(self, source: str | None = None) -> str:
        """A job that has logged its first half."""
        job_id = self.up.submit(source or code(), name="faulty")
        log = self.job_dir(job_id).output_log
        until(lambda: log.exists() and "half" in log.read_text())
        return job_id

    def go_on(self, job_id: str) -> None:
        """Let the job log its other half."""
        (self.job_dir(job_id).path / "go").touch()

    def spawned(self, job_id: str) -> Record:
        return JournalReader(self.job_dir(job_id).process_journal).read()[-1]

    def kill_processes(self, job_id: str, *names: str) -> None:
        """SIGKILL the job's ``shim`` or ``kernel``."""
        pids = {"kernel": "pid", "shim": "shim_pid"}
        for name in names:
            os.kill(self.spawned(job_id)[pids[name]], signal.SIGKILL)

    def until_gone(self, job_id: str) -> None:
        """Wait until neither kernel nor shim of the job is there."""
        spawned = self.spawned(job_id)
        until(lambda: not any(_alive(spawned[key]) for key in ("pid", "shim_pid")))


@dataclass(frozen=True)
class Count:
    """How many steps a job's journal holds, and what a server shows of them in each of its ways."""

    logged: int
    shown: int
    twice: int


def count(place: Place, job_id: str) -> Count:
    """Count the steps in the journal, and those that CSV, summary and the v1 stream of the server show: they agree."""
    logged = [
        record["step"]
        for line in place.job_dir(job_id).training_journal.read_bytes().splitlines()
        if (record := _record(line)).get("kind") == "metrics"
    ]
    with place.up.http() as http:
        rows = csv.DictReader(io.StringIO(http.get(f"api/training/jobs/{job_id}/metrics.csv").text, newline=""))
        table = [int(row["step"]) for row in rows]
        summary = {series["name"]: series["count"] for series in place.up.job(job_id)["series"]}
    streamed = _streamed(place.up, job_id)
    assert table == streamed, "the file and the stream show the same steps"
    assert summary.get("loss", 0) == len(table), "and the summary counts them"
    return Count(len(logged), len(table), len(table) - len(set(table)))


def until(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until something is true that nobody tells of."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def _record(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def _streamed(server: RealServer, job_id: str) -> list[int]:
    """The steps that a client of trainlive.v1 is sent that begins at the beginning."""
    headers = {"Authorization": f"token {TOKEN}"}
    steps: list[int] = []
    with connect(server.socket_url(job_id), additional_headers=headers, subprotocols=["trainlive.v1"]) as socket:  # type: ignore[list-item]
        hello = json.loads(socket.recv(10))
        socket.send(json.dumps({"type": "subscribe", "since": 0, "series": "*"}))
        for frame in frames(socket):
            if frame["type"] == "points":
                steps += frame["series"]["loss"]["step"]
            if frame["type"] == "end" or (frame["type"] == "points" and frame["seq"] >= hello["seq"]):
                break
    return steps


def frames(socket: Any) -> Iterator[dict[str, Any]]:
    while True:
        yield json.loads(socket.recv(10))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
