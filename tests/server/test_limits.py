"""The limits of what the server does for those who watch, each with its number, and what happens beyond it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets
from traitlets import TraitError
from websockets.asyncio.client import ClientConnection, connect

from jupyter_trainlive.server.app import TrainLive

from ..real_server import TOKEN, RealServer, serve

#: Logs more than all buffers on the way to a client hold, within a few seconds.
FLOOD = """
import time, jupyter_trainlive as t
names = ["x" * 150 + str(number) for number in range(600)]
for step in range(1, 151):
    t.log({"loss": 1 / step, **dict.fromkeys(names, step)}, step=step)
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server with low limits."""
    with serve(
        tmp_path_factory.mktemp("limited"),
        "--TrainLive.max_watchers=3",
        "--TrainLive.max_watchers_per_job=2",
        "--TrainLive.max_message_bytes=2000",
        "--TrainLive.pending_limit_bytes=5000",
        "--TrainLive.stall_seconds=1",
    ) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-8000:]


def watch(server: RealServer, job_id: str, **options: Any) -> connect:
    headers = {"Authorization": f"token {TOKEN}"}
    return connect(server.socket_url(job_id), additional_headers=headers, proxy=None, **options)


async def until_closed(socket: ClientConnection) -> list[str | bytes]:
    """What the server still had to say before it closed."""
    messages = []
    with contextlib.suppress(websockets.ConnectionClosedError):
        async for message in socket:
            messages.append(message)
    return messages


async def refusal(server: RealServer, job_id: str) -> tuple[int, str]:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with watch(server, job_id):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"{}")["message"]


async def test_watchers_beyond_the_limits_are_refused_before_the_upgrade(limited: RealServer) -> None:
    one, other = limited.submit("import time; time.sleep(600)"), limited.submit("import time; time.sleep(600)")
    async with watch(limited, one) as first, watch(limited, one, subprotocols=["trainlive.v1"]):
        status, message = await refusal(limited, one)
        assert status == 503
        assert "2 watchers" in message
        assert "TrainLive.max_watchers_per_job" in message
        async with watch(limited, other):
            status, message = await refusal(limited, other)
            assert status == 503
            assert "3 watchers" in message
            assert "raise TrainLive.max_watchers." in message
        await first.close()
        for _ in range(100):
            try:
                async with watch(limited, one):
                    break
            except websockets.InvalidStatus:
                # The server has not heard yet that the first one left.
                await asyncio.sleep(0.05)
        else:
            raise AssertionError("a place was left and not given to the next")
    with limited.http() as http:
        for job_id in (one, other):
            assert http.post(f"api/training/jobs/{job_id}/cancel").status_code == 202
            limited.wait(job_id)


async def test_a_message_that_is_too_long_closes_its_sender_and_says_so_beforehand(limited: RealServer) -> None:
    job_id = limited.submit("import time; time.sleep(600)")
    async with watch(limited, job_id, subprotocols=["trainlive.v1"]) as sender:
        hello = json.loads(await sender.recv())
        assert hello["limits"]["message_bytes"] == 2000
        await sender.send(json.dumps({"type": "subscribe", "series": ["x" * 1900]}))
        await sender.send(json.dumps({"type": "subscribe", "series": ["x" * 2000]}))
        await until_closed(sender)
        assert sender.close_code == 1009
    with limited.http() as http:
        http.post(f"api/training/jobs/{job_id}/cancel")
    limited.wait(job_id)


async def test_one_that_reads_nothing_is_closed_and_costs_the_others_nothing(limited: RealServer) -> None:
    job_id = limited.submit(FLOOD)
    address = urlsplit(limited.url)
    assert address.port is not None
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", address.port))
    small.setblocking(False)
    stalled: ClientConnection
    async with watch(
        limited, job_id, sock=small, subprotocols=["trainlive.v1"], max_queue=1, max_size=None, ping_interval=None
    ) as stalled:
        await stalled.send(json.dumps({"type": "subscribe", "since": 0}))
        stalled.transport.pause_reading()
        steps, gauges = [], []
        async with watch(limited, job_id, subprotocols=["trainlive.v1"], max_size=None) as healthy:
            await healthy.send(json.dumps({"type": "subscribe", "since": 0, "series": ["loss"]}))
            async for text in healthy:
                frame = json.loads(text)
                if frame["type"] == "points":
                    steps += frame["series"]["loss"]["step"]
                elif frame["type"] == "gauges":
                    gauges.append(time.monotonic())
        assert healthy.close_code == 1000
        assert steps == list(range(1, 151))
        assert len(gauges) >= 3
        # Reading again, it finds a small part of what there was, and then that it was closed.
        stalled.transport.resume_reading()
        late = await until_closed(stalled)
        assert stalled.close_code == 1013
        assert 1 <= len(late) < 80


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_watchers", 0),
        ("max_watchers_per_job", 0),
        ("max_message_bytes", 10),
        ("pending_limit_bytes", -1),
        ("stall_seconds", 0.0),
        ("max_watchers", "many"),
    ],
)
def test_a_limit_that_can_be_none_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(TraitError, match=name):
        TrainLive(**{name: value})


def test_what_may_be_set_is_said_in_the_help(tmp_path: Path) -> None:
    for name in ("max_watchers", "max_watchers_per_job", "max_message_bytes", "pending_limit_bytes", "stall_seconds"):
        assert name in TrainLive.class_get_help()
        assert TrainLive.class_traits(config=True)[name].help
