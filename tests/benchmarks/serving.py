"""Jobs that log as a benchmark wants it, and clients of the server that they run under."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

from ..real_server import TOKEN, RealServer
from .sockets import Watching

HEADERS = {"Authorization": f"token {TOKEN}"}
#: For every point there is, and as a page with charts of some width asks, which is told a long history in buckets.
EVERY_POINT = {"type": "subscribe", "since": 0, "series": "*"}
AS_A_PAGE = {**EVERY_POINT, "log": False, "px": 1200}

#: Logs at a steady pace until it is cancelled.
_JOB = """
import itertools, random, time, jupyter_trainlive as trainlive
due = time.time()
for step in itertools.count(1):
    due += 1 / {hz}
    time.sleep(max(0.0, due - time.time()))
    trainlive.log({values}, step=step, total_steps=1000000)
"""


def v1(server: RealServer, job_id: str, says: dict[str, Any] = AS_A_PAGE) -> Watching:
    """Watchers of a job."""
    return Watching(server.socket_url(job_id), token=TOKEN, subprotocol="trainlive.v1", says=json.dumps(says))


@contextlib.contextmanager
def logging_job(server: RealServer, hz: float, values: str) -> Iterator[str]:
    """A job that logs what the expression `values` gives of `step`; cancelled on leaving."""
    with running(server, _JOB.format(hz=hz, values=values)) as job_id:
        server.until(job_id, lambda job: bool(job["series"]))
        yield job_id


@contextlib.contextmanager
def running(server: RealServer, code: str) -> Iterator[str]:
    """A job of code; cancelled on leaving where it still runs."""
    job_id = server.submit(code)
    try:
        yield job_id
    finally:
        with server.http() as http:
            http.post(f"api/training/jobs/{job_id}/cancel")
        server.wait(job_id)


@contextlib.contextmanager
def socket(server: RealServer, job_id: str) -> Iterator[ClientConnection]:
    """A v1 client of a job, greeted but not subscribed."""
    url = server.socket_url(job_id)
    with connect(
        url,
        additional_headers=HEADERS,
        subprotocols=["trainlive.v1"],  # type: ignore[list-item]
        proxy=None,
        max_size=None,
        compression=None,
    ) as client:
        until(client, lambda frame: frame["type"] == "hello")
        yield client


def until(client: ClientConnection, condition: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    """The first frame of which `condition` holds."""
    deadline = time.monotonic() + seconds
    while True:
        frame = json.loads(client.recv(max(0.0, deadline - time.monotonic())))
        if condition(frame):
            return dict(frame)
