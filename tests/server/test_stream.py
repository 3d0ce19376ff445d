"""The WebSocket of a job, as other people's clients read it."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from ..real_server import TOKEN, RealServer

PROGRESS_KEYS = {
    *("job_id", "status", "progress", "current_epoch", "total_epochs", "current_step", "total_steps", "loss"),
    *("eval_loss", "samples_per_second", "gpu_memory_allocated_gb", "gpu_utilization_percent", "eta_seconds"),
    *("timestamp", "complete"),
}
COMPLETION_KEYS = {
    *("job_id", "status", "progress", "final_loss", "eval_loss", "complete", "completed_at", "error", "timestamp"),
}
FAILURE_KEYS = {"job_id", "status", "error", "complete", "timestamp"}
HEADERS = {"Authorization": f"token {TOKEN}"}

#: A training of about four seconds.
LOOP = """
import time, jupyter_trainlive as trainlive
for step in range(1, 81):
    trainlive.log({"loss": 1 / step}, step=step, epoch=step / 40, total_steps=80)
    time.sleep(0.05)
"""


def watch(server: RealServer, job_id: str, **options: Any) -> connect:
    return connect(server.socket_url(job_id), additional_headers=HEADERS, proxy=None, **options)


async def follow(server: RealServer, job_id: str) -> tuple[list[tuple[float, dict[str, Any]]], int | None]:
    """All messages with the time of their arrival, and the close code."""
    messages = []
    async with watch(server, job_id) as socket:
        async for text in socket:
            messages.append((time.monotonic(), json.loads(text)))
    return messages, socket.close_code


async def test_three_clients_get_the_same_messages_and_one_that_is_cut_off_disturbs_none(server: RealServer) -> None:
    job_id = server.submit(LOOP)

    async def leave_rudely() -> None:
        async with watch(server, job_id) as socket:
            await socket.recv()
            await asyncio.sleep(1)
            socket.transport.abort()

    one, two, three, _ = await asyncio.gather(
        follow(server, job_id), follow(server, job_id), follow(server, job_id), leave_rudely()
    )
    for messages, close_code in (one, two, three):
        assert close_code == 1000
        arrivals = [arrived for arrived, _ in messages]
        assert max(later - earlier for earlier, later in itertools.pairwise(arrivals)) < 1.5
        assert all(set(message) >= PROGRESS_KEYS for _, message in messages[:-1])
        assert not any(message["complete"] for _, message in messages[:-1])
        closing = messages[-1][1]
        assert set(closing) >= COMPLETION_KEYS
        assert closing["status"] == "completed"
        assert closing["final_loss"] == 1 / 80
    # The first message is each client's own; from then on they get the very same ones.
    bodies = [[message for _, message in messages[1:]] for messages, _ in (one, two, three)]
    shortest = min(map(len, bodies))
    assert shortest >= 4
    assert bodies[0][-shortest:] == bodies[1][-shortest:] == bodies[2][-shortest:]


async def test_the_first_message_comes_at_once_and_every_change_of_state_has_its_own(server: RealServer) -> None:
    job_id = server.submit("import time; time.sleep(0.3)")
    began = time.monotonic()
    messages, _ = await follow(server, job_id)
    assert messages[0][0] - began < 0.5
    statuses = [status for status, _ in itertools.groupby(message["status"] for _, message in messages)]
    # Who is quick enough still sees it queued.
    assert statuses[statuses[0] == "queued" :] == ["starting", "running", "completed"]


async def test_a_client_of_an_ended_job_gets_its_closing_message(server: RealServer) -> None:
    job_id = server.submit("raise ValueError('no such\\nluck')")
    server.wait(job_id, "failed")
    messages, close_code = await follow(server, job_id)
    assert close_code == 1000
    assert len(messages) == 1
    closing = messages[0][1]
    assert set(closing) >= FAILURE_KEYS
    assert (closing["status"], closing["error"], closing["complete"]) == ("failed", "ValueError: no such", True)


async def test_rubbish_from_a_client_is_passed_over(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    async with watch(server, job_id) as socket:
        for rubbish in ("", "{", "null", "[]", '{"type":"subscribe"}', b"\x00\xff", "[" * 50_000):
            await socket.send(rubbish)
        first = json.loads(await socket.recv())
        assert first["job_id"] == job_id
    async with watch(server, job_id) as socket:
        await socket.send("x" * 100_000)
        with pytest.raises(websockets.ConnectionClosedError):
            _ = [text async for text in socket]
        assert socket.close_code == 1009
    messages, _ = await follow(server, job_id)
    assert messages[-1][1]["status"] == "completed"


async def test_a_client_that_does_not_read_disturbs_none(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    stalled: ClientConnection
    async with watch(server, job_id, max_queue=1) as stalled:
        stalled.transport.pause_reading()
        messages, close_code = await follow(server, job_id)
        assert close_code == 1000
        assert messages[-1][1]["status"] == "completed"
        # It would not read the end of the connection either, and be waited for.
        stalled.transport.abort()


async def test_an_unknown_job_is_refused_before_the_upgrade(server: RealServer) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with watch(server, "job_000000000000"):
            pass
    assert refused.value.response.status_code == 404


async def frames(server: RealServer, job_id: str, since: int = 0, until_seq: int | None = None) -> list[dict[str, Any]]:
    """The v1 frames up to the end, or up to a points frame with that number, where the client drops out."""
    got = []
    async with watch(server, job_id, subprotocols=["trainlive.v1"]) as socket:
        assert socket.subprotocol == "trainlive.v1"
        await socket.send(json.dumps({"type": "subscribe", "since": since, "series": "*"}))
        async for text in socket:
            frame = json.loads(text)
            got.append(frame)
            if until_seq is not None and frame["type"] == "points" and frame["seq"] >= until_seq:
                socket.transport.abort()
                break
    return got


def steps(frames: list[dict[str, Any]], name: str = "loss") -> list[int]:
    points = [frame["series"].get(name, {"step": []}) for frame in frames if frame["type"] == "points"]
    return [step for column in points for step in column["step"]]


async def test_v1_gives_every_point_once_to_who_is_there_comes_late_or_comes_back(server: RealServer) -> None:
    job_id = server.submit(LOOP)

    async def come_late() -> list[dict[str, Any]]:
        await asyncio.sleep(2)
        return await frames(server, job_id)

    async def come_back() -> list[dict[str, Any]]:
        first = await frames(server, job_id, until_seq=20)
        last = max(frame["seq"] for frame in first if frame["type"] == "points")
        await asyncio.sleep(0.5)
        return first + await frames(server, job_id, since=last)

    for got in await asyncio.gather(frames(server, job_id), come_late(), come_back()):
        assert got[0]["type"] == "hello"
        assert steps(got) == list(range(1, 81))
        assert got[-1]["type"] == "end"
        assert got[-1]["message"]["status"] == "completed"
        numbered = [frame["seq"] for frame in got if frame["type"] == "points"]
        assert numbered == sorted(set(numbered))
    after = await frames(server, job_id)
    assert steps(after) == list(range(1, 81))
    assert after[-1]["type"] == "end"


async def test_v1_merging_the_states_gives_the_job(server: RealServer) -> None:
    job_id = server.submit(LOOP)
    got = await frames(server, job_id)
    job = got[0]["job"]
    for frame in got:
        if frame["type"] == "state":
            job.update(frame["job"])
    now = server.job(job_id)
    assert job == {key: now[key] for key in job}


async def test_v1_gives_only_the_series_asked_for_and_names_numbers_that_json_has_not(server: RealServer) -> None:
    job_id = server.submit(
        "import jupyter_trainlive as t\n"
        "t.log({'loss': float('nan'), 'other': 1}, step=1)\n"
        "t.log({'loss': float('-inf'), 'other': 2}, step=2)"
    )
    server.wait(job_id)
    async with watch(server, job_id, subprotocols=["trainlive.v1"]) as socket:
        await socket.send(json.dumps({"type": "subscribe", "since": 0, "series": ["loss"]}))
        got = [json.loads(text) async for text in socket]
    points = [frame["series"] for frame in got if frame["type"] == "points"]
    assert [set(series) for series in points] == [{"loss"}]
    assert points[0]["loss"]["value"] == ["nan", "-inf"]


async def test_v1_skips_who_does_not_read_and_gives_it_every_point_once_later(server: RealServer) -> None:
    """More megabytes than all buffers hold for a client and that reads nothing for three seconds."""
    job_id = server.submit(
        "import time, jupyter_trainlive as t\n"
        "names = ['x' * 150 + str(number) for number in range(600)]\n"
        "for step in range(1, 201):\n"
        "    t.log({'loss': 1 / step, **dict.fromkeys(names, step)}, step=step)\n"
        "    time.sleep(0.02)"
    )
    address = urlsplit(server.url)
    assert address.port is not None
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", address.port))
    small.setblocking(False)
    async with watch(server, job_id, sock=small, subprotocols=["trainlive.v1"], max_queue=1, max_size=None) as stalled:
        await stalled.send(json.dumps({"type": "subscribe", "since": 0}))
        stalled.transport.pause_reading()
        healthy = asyncio.create_task(frames(server, job_id))
        await asyncio.sleep(3)
        stalled.transport.resume_reading()
        late = [json.loads(text) async for text in stalled]
    for got in (await healthy, late):
        assert steps(got) == list(range(1, 201))
        assert steps(got, "x" * 150 + "599") == list(range(1, 201))
        assert got[-1]["type"] == "end"
        merged = got[0]["job"]
        for frame in got:
            if frame["type"] == "state":
                merged.update(frame["job"])
        assert merged["status"] == "completed"


#: Five thousand points at once, then some 2,500 within four seconds.
LONG = """
import time, jupyter_trainlive as trainlive
for step in range(1, 5001):
    trainlive.log({"loss": 1 / step}, step=step)
began = time.monotonic()
while time.monotonic() - began < 4:
    step += 1
    trainlive.log({"loss": 1 / step}, step=step)
    time.sleep(0.0015)
print("logged", step)
"""


class Known:
    """What a client of a job that logs one point a step knows, from all the frames it got."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.since = 0
        self.snapshots = 0
        self.ended = False
        self._counted = 0

    def connected(self) -> None:
        """What came of a snapshot before is of no use."""
        self._counted = 0

    def take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "points":
            assert frame["seq"] > self.since
            self.since = frame["seq"]
            self.steps += frame["series"]["loss"]["step"]
        elif frame["type"] == "window":
            assert frame["id"] is None
            self._counted += sum(bucket["n"] for buckets in frame["buckets"].values() for bucket in buckets)
            if not frame["buckets"]:
                self.steps, self.since = list(range(1, self._counted + 1)), frame["seq"]
                self.snapshots += 1
        self.ended = frame["type"] == "end"


async def watch_with_cuts(server: RealServer, job_id: str, seed: int | None, **subscribe: Any) -> tuple[Known, int]:
    """What a client knows in the end that is cut again and again, or with no `seed` never; and how often it was."""
    known, cuts, chance = Known(), 0, random.Random(seed)
    while not known.ended:
        frames_left = chance.randint(1, 10) if seed is not None else None
        async with watch(server, job_id, subprotocols=["trainlive.v1"], max_size=None) as socket:
            known.connected()
            await socket.send(json.dumps({"type": "subscribe", "since": known.since, **subscribe}))
            async for text in socket:
                known.take(json.loads(text))
                if frames_left is not None and not known.ended:
                    frames_left -= 1
                    if not frames_left:
                        cuts += 1
                        socket.transport.abort()
                        break
    return known, cuts


async def test_v1_gives_every_point_once_however_often_a_client_is_cut_and_whatever_its_width(
    server: RealServer,
) -> None:
    job_id = server.submit(LONG)
    await asyncio.to_thread(server.until, job_id, lambda job: (job["current_step"] or 0) >= 5000)
    clients = await asyncio.gather(
        watch_with_cuts(server, job_id, None),
        watch_with_cuts(server, job_id, None, px=100),
        watch_with_cuts(server, job_id, 1),
        watch_with_cuts(server, job_id, 2, px=100),
        watch_with_cuts(server, job_id, 3, px=100, log=True),
    )
    logged = int((server.jobs_dir / job_id / "output.log").read_text().split()[1])
    assert logged > 6000
    for number, (known, cuts) in enumerate(clients):
        assert known.steps == list(range(1, logged + 1)), number
        assert cuts >= (3 if number >= 2 else 0)
        assert (known.snapshots > 0) is (number not in (0, 2)), "who has no width gets every point, as it was logged"
