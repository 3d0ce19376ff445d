"""The contract for machines: schemas that real frames keep to, over whole lives of jobs, and that others do not."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from websockets.asyncio.client import ClientConnection, connect

from jupyter_trainlive.protocol.contract import schema

from ..real_server import TOKEN, RealServer

REGISTRY: Registry[Any] = Registry().with_resources(
    (schema(name)["$id"], Resource.from_contents(schema(name))) for name in ("plain", "v1")
)


def validator(name: str, part: str = "") -> Draft202012Validator:
    return Draft202012Validator({"$ref": schema(name)["$id"] + part}, registry=REGISTRY)


PLAIN, FRAME, REQUEST = validator("plain"), validator("v1", "#/$defs/frame"), validator("v1", "#/$defs/request")

#: Says something, logs what JSON has no number for, waits while it is held.
LIFE = """
import time, jupyter_trainlive as t
print("añ€😀", flush=True)
t.log({"loss": float("nan"), "odd, name": float("-inf")}, total_steps=120)
for step in range(2, 121):
    t.log({"loss": 1 / step, "odd, name": step, "learning_rate": 1e-4}, step=step, epoch=step / 120)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("name", ["plain", "v1"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name) is schema(name), "it is read once"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize("name", ["asyncapi", "plain", "v1"])
def test_every_reference_leads_somewhere(name: str) -> None:
    found = set(references(schema(name)))
    assert found
    for reference in found:
        file, _, pointer = reference.partition("#")
        target = schema(file.removesuffix(".schema.json") or name)
        for key in pointer.strip("/").split("/"):
            assert key in target, reference
            target = target[key]
        assert isinstance(target, dict)


def test_the_asyncapi_document_names_every_message_of_both_dialects() -> None:
    document = schema("asyncapi")
    payloads = {message["payload"]["schema"]["$ref"] for message in document["components"]["messages"].values()}
    said = {f"plain.schema.json{option['$ref']}" for option in schema("plain")["oneOf"]}
    for direction in ("frame", "request"):
        said |= {f"v1.schema.json{option['$ref']}" for option in schema("v1")["$defs"][direction]["oneOf"]}
    assert payloads == said
    sent = {each["$ref"].rpartition("/")[2] for each in references_of(document["operations"])}
    assert sent == set(document["components"]["messages"])
    assert {channel["address"] for channel in document["channels"].values()} == {"/trainlive/ws/training/{job_id}"}


def references_of(operations: dict[str, Any]) -> Iterator[dict[str, str]]:
    for operation in operations.values():
        yield from operation["messages"]


async def talk(server: RealServer, job_id: str) -> list[dict[str, Any]]:
    """All frames of a v1 client that asks for everything there is."""
    frames = []
    async with watch(server, job_id, subprotocols=["trainlive.v1"]) as socket:
        requests = [
            {"type": "subscribe", "since": 0, "series": "*", "log": True, "px": 1200},
            {"type": "window", "id": "w", "names": ["loss", "odd, name"], "px": 50, "smoothing": 0.6},
            {"type": "window", "id": 7, "names": ["loss"], "axis": "epoch", "x0": 0, "x1": 0.5},
        ]
        for request in requests:
            REQUEST.validate(request)
            await socket.send(json.dumps(request))
        for wrong in ({"type": "window", "id": 1, "names": []}, {"type": "subscribe", "px": 3}):
            assert not REQUEST.is_valid(wrong)
            await socket.send(json.dumps(wrong))
        async for text in socket:
            frames.append(json.loads(text))
            if frames[-1]["type"] == "points" and len(frames) < 60:
                await socket.send(json.dumps(requests[1]))
    assert socket.close_code == 1000
    return frames


async def listen(server: RealServer, job_id: str) -> list[dict[str, Any]]:
    async with watch(server, job_id) as socket:
        return [json.loads(text) async for text in socket]


def watch(server: RealServer, job_id: str, **options: Any) -> connect:
    headers = {"Authorization": f"token {TOKEN}"}
    return connect(server.socket_url(job_id), additional_headers=headers, proxy=None, **options)


async def live(server: RealServer, code: str, *moves: tuple[str, str]) -> tuple[list[Any], list[Any]]:
    """Plain messages and v1 frames of a job, which is asked for each move once it has the status named with it."""
    job_id = await asyncio.to_thread(server.submit, code)
    watching = asyncio.gather(listen(server, job_id), talk(server, job_id))
    for status, move in moves:
        await asyncio.to_thread(server.until, job_id, lambda job, status=status: status_of(job) == status)
        with server.http() as http:
            assert (await asyncio.to_thread(http.post, f"api/training/jobs/{job_id}/{move}")).status_code == 202
    plain, frames = await watching
    return plain, frames


def status_of(job: dict[str, Any]) -> str:
    """A running job that has begun to log is ``logging``."""
    return "logging" if job["status"] == "running" and job["current_step"] else str(job["status"])


@pytest.fixture(scope="module")
def lives(server: RealServer) -> list[tuple[list[Any], list[Any]]]:
    """What clients of both dialects were sent by one job that completed, one that failed, one that was cancelled."""

    async def live_all() -> list[Any]:
        return await asyncio.gather(
            live(server, LIFE, ("logging", "pause"), ("paused", "resume")),
            live(server, "import jupyter_trainlive as t; t.log({'loss': 1}, step=1); raise ValueError('no')"),
            live(server, LIFE, ("logging", "cancel")),
        )

    return asyncio.run(live_all())


def test_every_frame_of_whole_lives_keeps_to_the_schemas(lives: list[tuple[list[Any], list[Any]]]) -> None:
    for plain, frames in lives:
        for message in plain:
            PLAIN.validate(message)
        for frame in frames:
            FRAME.validate(frame)
    kinds = {frame["type"] for _, frames in lives for frame in frames}
    assert kinds == {"hello", "points", "state", "gauges", "log", "window", "error", "end"}
    statuses = {message["status"] for plain, _ in lives for message in plain}
    assert statuses >= {"running", "paused", "completed", "failed", "cancelled"}
    values = [
        value
        for _, frames in lives
        for frame in frames
        if frame["type"] == "points"
        for columns in frame["series"].values()
        for value in columns["value"]
    ]
    assert {"nan", "-inf"} <= {value for value in values if isinstance(value, str)}


def test_who_asked_was_answered(lives: list[tuple[list[Any], list[Any]]]) -> None:
    _, frames = lives[0]
    answers = [frame for frame in frames if frame["type"] == "window"]
    assert {frame["id"] for frame in answers} == {"w", 7}
    last = [frame for frame in answers if frame["id"] == "w" and frame["buckets"]][-1]
    assert last["axis"] == "step"
    assert set(last["buckets"]) == {"loss", "odd, name"}
    assert all(len(buckets) <= 20 and "smoothed" in buckets[-1] for buckets in last["buckets"].values())
    errors = [(frame["id"], frame["field"]) for frame in frames if frame["type"] == "error"]
    assert errors == [(1, "names"), (None, "px")]
    assert "".join(frame["text"] for frame in frames if frame["type"] == "log") == "añ€😀\n"
    steps = [step for frame in frames if frame["type"] == "points" for step in frame["series"]["loss"]["step"]]
    assert steps == list(range(1, 121))
    assert frames[-1]["type"] == "end"


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """The place of every value within a message; what is alike in an array is looked at once."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (key,)
            yield from ((key, *rest) for rest in paths(item))
    elif isinstance(value, list) and value:
        yield from ((0, *rest) for rest in ((), *paths(value[0])))


def changed(message: Any, path: tuple[Any, ...], *new: Any) -> Any:
    """A copy in which that place has another value, or is gone."""
    message = place = copy.deepcopy(message)
    for key in path[:-1]:
        place = place[key]
    if new:
        place[path[-1]] = new[0]
    else:
        del place[path[-1]]
    return message


def may_be_missing(path: tuple[Any, ...]) -> bool:
    """Items of arrays, series in maps by name, and what is there only where it says something."""
    return path[-1] in (0, "smoothed", "segment") or (len(path) > 1 and path[-2] in ("series", "buckets"))


def test_a_missing_key_and_a_wrong_type_are_noticed(lives: list[tuple[list[Any], list[Any]]]) -> None:
    checked = 0
    for schema_, messages in (
        (PLAIN, [message for plain, _ in lives for message in (plain[0], plain[-1])]),
        (FRAME, [next(f for f in lives[0][1] if f["type"] == kind) for kind in ("hello", "points", "gauges", "log")]),
        (FRAME, [next(f for f in lives[0][1] if f["type"] == "window" and f["buckets"].get("loss"))]),
        (FRAME, [next(f for f in lives[number][1] if f["type"] == "error") for number in (0, 1)]),
        (FRAME, [frames[-1] for _, frames in lives]),
    ):
        for message in messages:
            schema_.validate(message)
            for path in paths(message):
                if "spec" in path[:-1]:
                    continue
                assert not schema_.is_valid(changed(message, path, {"wrong": ["type"]})) or path[-1] == "spec", path
                checked += 1
                if not may_be_missing(path):
                    assert not schema_.is_valid(changed(message, path)), path
    assert checked > 150
    state = next(frame for frame in lives[0][1] if frame["type"] == "state" and "status" in frame["job"])
    assert not FRAME.is_valid(changed(state, ("job", "status"), "happy"))
    assert FRAME.is_valid({**state, "new": 1}), "keys may be added"


async def test_a_socket_of_an_unread_dialect_is_plain(server: RealServer) -> None:
    job_id = server.submit("pass")
    socket: ClientConnection
    async with watch(server, job_id, subprotocols=["something.else"]) as socket:
        assert socket.subprotocol is None
        PLAIN.validate(json.loads(await socket.recv()))
