"""Sessions of trainlive.v1 on their own: what a client that lags, asks or comes back is told, and in which order."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jupyter_trainlive.jobs import ingest
from jupyter_trainlive.jobs.curves import Curves
from jupyter_trainlive.jobs.database import IndexUnavailable
from jupyter_trainlive.jobs.errors import InvalidRequest
from jupyter_trainlive.jobs.index import Index
from jupyter_trainlive.jobs.output import Piece, read_log
from jupyter_trainlive.jobs.tracker import Tracker, load
from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import JournalReader, JournalWriter, Record, append_shared
from jupyter_trainlive.server import log_tail
from jupyter_trainlive.server.v1 import V1Stream
from jupyter_trainlive.server.v1_history import History
from jupyter_trainlive.server.v1_requests import id_of, most_buckets, parsed, request_in, snapshot_buckets
from jupyter_trainlive.server.v1_session import V1Session
from jupyter_trainlive.server.v1_snapshots import Snapshots, is_far_behind, is_long

T = TypeVar("T")


class Store:
    """An index of its own for one job's curves."""

    writable = True

    def __init__(self, path: Path) -> None:
        self.index = Index.open(path)
        self.reading = asyncio.Semaphore(2)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        return self.index.read(work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return self.index.write(work)


class Client:
    """A WebSocket's client that reads at once, or one frame at a time when it is told to; more is not held for it."""

    def __init__(self, *, reads: bool = True) -> None:
        self.frames: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.ended = False
        self.reads = reads
        self.closed: Callable[[], None] = lambda: None
        self._full = False
        self._read = asyncio.Event()

    def send(self, text: str) -> bool:
        if self._full:
            return False
        self._full = not self.reads
        self._take(text)
        return True

    def end(self, text: str) -> None:
        self._take(text)
        self.ended = True
        self.read()
        asyncio.get_running_loop().call_soon(self.closed)

    async def drained(self) -> bool:
        while self._full:
            self._read.clear()
            await self._read.wait()
        return not self.ended

    def read(self) -> None:
        """Read what is waiting, and no more."""
        self._full = False
        self._read.set()

    def _take(self, text: str) -> None:
        self.texts.append(text)
        self.frames.append(json.loads(text))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def steps(self, name: str = "loss") -> list[int]:
        points = [frame["series"].get(name, {"step": []}) for frame in self.of("points")]
        return [step for column in points for step in column["step"]]

    @property
    def job(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for frame in self.frames:
            merged.update(frame.get("job", {}))
        return merged


class Watched:
    """A running job, its stream and its journal."""

    def __init__(self, tmp_path: Path) -> None:
        self.job_dir = JobDir(tmp_path / "job_000000000000")
        self.job_dir.create()
        append_shared(self.job_dir.training_journal, "start")
        self.journal = JournalWriter(self.job_dir.training_journal)
        self.tracker: Tracker = load(self.job_dir, {"kind": "code", "name": "x"})
        self.store = Store(tmp_path / "index.sqlite3")
        self.store.index.save([self.tracker.snapshot()])
        self.tracker.curves = Curves(
            self.job_dir, self.store, max_series=1000, ended=lambda: self.tracker.job.status.ended
        )
        self.stream = V1Stream(self.tracker)
        self._sessions: list[V1Session] = []
        self._step = 0

    def log(self, count: int = 1, **values: float) -> None:
        for _ in range(count):
            self._step += 1
            self.journal.append("metrics", step=self._step, values=values or {"loss": 1 / self._step})

    async def tell(self) -> None:
        """Have the server read what there is, and the frames go out."""
        while not await self.tracker.catch_up():
            pass
        await asyncio.sleep(0.05)

    def connect(self, client: Client, **subscribe: Any) -> V1Session:
        session = V1Session(client, self.stream)
        self.stream.connect(session)
        self._sessions.append(session)
        client.closed = lambda: self.leave(session)
        if subscribe:
            say(session, type="subscribe", **subscribe)
        return session

    def leave(self, session: V1Session) -> None:
        session.close()
        self.stream.disconnect(session)

    async def close(self) -> None:
        for session in self._sessions:
            self.leave(session)
        await asyncio.sleep(0)
        self.store.index.close()

    async def finish(self) -> None:
        self.journal.append("end", status="completed")
        append_shared(self.job_dir.process_journal, "exited", code=0, signal=None)
        await self.tell()


def say(session: V1Session, **request: Any) -> None:
    session.receive(json.dumps(request))


async def become(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


@pytest.fixture
def watched(tmp_path: Path, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Watched]:
    job = Watched(tmp_path)
    yield job
    jp_asyncio_loop.run_until_complete(job.close())


# What it is told in which order.


async def test_a_client_that_lags_is_told_the_last_state_before_the_end(watched: Watched) -> None:
    client = Client(reads=False)
    watched.connect(client, since=0)
    client.read()
    await asyncio.sleep(0.05)
    # It does not read when these come, so points and states are left out, and made up for later.
    watched.stream.gauges('{"type": "gauges"}')
    watched.log()
    await watched.finish()
    assert [frame["type"] for frame in client.frames] == ["hello", "gauges"]

    def reads_to_the_end() -> bool:
        client.read()
        return client.ended

    await become(reads_to_the_end)
    assert client.job["status"] == "completed"
    assert client.steps() == [1]
    assert client.frames[-1]["type"] == "end"


async def test_points_that_come_while_a_client_catches_up_are_there_once(watched: Watched) -> None:
    """Read from the journal before they were sent to anybody, and left out because the state found no room yet."""
    client = Client(reads=False)
    watched.connect(client, since=0)
    client.read()
    await asyncio.sleep(0.05)
    watched.stream.gauges('{"type": "gauges"}')
    watched.log()
    await watched.tell()
    # The session reads both steps, may send the first, and has no room for the state; then the second is sent to all.
    watched.log()
    client.read()
    await become(lambda: client.steps() == [1])
    await watched.tell()
    while client.steps() != [1, 2] or watched.tracker.job.training.step != client.job["current_step"]:
        client.read()
        await asyncio.sleep(0.05)
    # Live again, it is sent a third one; by that number it would be taken to have all before it.
    client.read()
    watched.log()
    await watched.finish()
    client.reads = True
    client.read()
    await become(lambda: client.ended)
    assert client.steps() == [1, 2, 3]


async def test_a_frames_seq_never_says_more_than_the_client_has(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the states and the output that reach one which is still catching up."""
    watched.job_dir.output_log.write_text("said\n")
    readable = asyncio.Event()
    read = History.read

    async def late(history: History) -> Any:
        await readable.wait()
        return await read(history)

    monkeypatch.setattr(History, "read", late)
    watched.log(3)
    await watched.tell()
    client = Client()
    watched.connect(client, since=0, log=0)
    watched.log(3)
    await watched.tell()
    await become(lambda: bool(client.of("state") and client.of("log")))
    assert {frame["seq"] for frame in (*client.of("state"), *client.of("log"))} == {0}
    readable.set()
    watched.log(3)
    await watched.tell()
    await become(lambda: len(client.steps()) == 9)
    assert client.steps() == list(range(1, 10))
    await watched.finish()
    await become(lambda: client.ended)
    assert [frame["seq"] for frame in client.of("state")][-1] == client.frames[-1]["seq"] == 11


# What it may ask for.


ILL_FORMED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "pause"}, "type", "subscribe or window"),
    ({"type": 5}, "type", "subscribe or window"),
    ({"type": "subscribe", "since": -1}, "since", "seq of the last points"),
    ({"type": "subscribe", "since": "3"}, "since", '"3"'),
    ({"type": "subscribe", "since": True}, "since", "true"),
    ({"type": "subscribe", "since": 2.5}, "since", "2.5"),
    ({"type": "subscribe", "since": 10**400}, "since", "seq of"),
    ({"type": "subscribe", "series": "loss"}, "series", "list of names"),
    ({"type": "subscribe", "series": ["loss", 3]}, "series", "list of names"),
    ({"type": "subscribe", "log": "yes"}, "log", "byte offset"),
    ({"type": "subscribe", "log": -5}, "log", "from 0"),
    ({"type": "subscribe", "px": 49}, "px", "50 to 10000"),
    ({"type": "subscribe", "px": 10_001}, "px", "50 to 10000"),
    ({"type": "subscribe", "px": [1]}, "px", "whole number"),
    ({"type": "window", "names": ["a"]}, "id", "whole number"),
    ({"type": "window", "id": None, "names": ["a"]}, "id", "whole number"),
    ({"type": "window", "id": "x" * 101, "names": ["a"]}, "id", "100 characters"),
    ({"type": "window", "id": 1}, "names", "1 to 16"),
    ({"type": "window", "id": 1, "names": []}, "names", "1 to 16"),
    ({"type": "window", "id": 1, "names": "loss"}, "names", "list"),
    ({"type": "window", "id": 1, "names": ["a"] * 17}, "names", "several times"),
    ({"type": "window", "id": 1, "names": ["a"], "axis": "wall"}, "axis", "step, time, epoch"),
    ({"type": "window", "id": 1, "names": ["a"], "axis": []}, "axis", "step, time, epoch"),
    ({"type": "window", "id": 1, "names": ["a"], "x0": "nan"}, "x0", "finite"),
    ({"type": "window", "id": 1, "names": ["a"], "x1": float("inf")}, "x1", "finite"),
    ({"type": "window", "id": 1, "names": ["a"], "x0": 2, "x1": 1}, "x1", "less than x0"),
    ({"type": "window", "id": 1, "names": ["a"], "px": 0}, "px", "50 to 10000"),
    ({"type": "window", "id": 1, "names": ["a"], "smoothing": 1}, "smoothing", "less than 1"),
    ({"type": "window", "id": 1, "names": ["a"], "smoothing": "0.5"}, "smoothing", "number"),
]


async def test_an_ill_formed_request_names_its_field_and_the_remedy_and_changes_nothing(watched: Watched) -> None:
    client = Client()
    session = watched.connect(client, since=0)
    for number, (request, field, remedy) in enumerate(ILL_FORMED):
        with pytest.raises(InvalidRequest):
            parsed(request)
        say(session, **request)
        error = client.frames[-1]
        assert (error["type"], error["id"], error["field"]) == ("error", id_of(request), field), request
        assert error["message"].startswith(f"{field}: ")
        assert remedy in error["message"]
        watched.log()
        if number % 10 == 0:
            await watched.tell()
    await watched.tell()
    assert client.steps() == list(range(1, len(ILL_FORMED) + 1))


def test_what_is_no_request_is_passed_over() -> None:
    for rubbish in ("", "{", "null", "[]", "{}", '{"kind":"subscribe"}', b"\x00\xff", "[" * 50_000, "9" * 5_000):
        assert request_in(rubbish) is None


def test_what_is_left_out_has_a_default_and_what_is_not_known_is_passed_over() -> None:
    nothing: dict[str, None]
    for nothing in ({}, dict.fromkeys(("since", "series", "log", "px", "new"))):
        assert parsed({"type": "subscribe", **nothing}) == parsed({"type": "subscribe", "since": 0, "series": "*"})
    for nothing in ({}, dict.fromkeys(("x0", "x1", "px", "axis", "smoothing"))):
        asked: Any = parsed({"type": "window", "id": "a", "names": ["b", "b", "c"], **nothing})
        assert asked.names == ("b", "c")
        assert (asked.window.axis, asked.window.x0, asked.window.x1, asked.window.most) == ("step", None, None, 480)


def test_buckets_are_as_many_as_the_chart_has_room_for() -> None:
    assert (most_buckets(50), most_buckets(100), most_buckets(10_000)) == (20, 40, 4_000)
    assert most_buckets(30) == 16
    assert most_buckets(1200, smoothing=0.9) == 400
    assert snapshot_buckets(1_200, 1) == 480
    assert snapshot_buckets(1_200, 1_000) == 40, "many series share what one client may be sent at once"
    assert snapshot_buckets(1_200, 1_000_000) == 16


async def test_a_new_subscription_takes_the_place_of_the_old(watched: Watched) -> None:
    client = Client()
    session = watched.connect(client, since=0, series=["other"])
    watched.log(2, loss=1.0, other=2.0)
    await watched.tell()
    assert (client.steps("other"), client.steps("loss")) == ([1, 2], [])
    say(session, type="subscribe", since=client.of("points")[-1]["seq"], series=["loss"])
    await asyncio.sleep(0.1)
    watched.log(2, loss=1.0, other=2.0)
    await watched.tell()
    assert (client.steps("other"), client.steps("loss")) == ([1, 2], [3, 4])


# Windows.


async def test_a_window_is_answered_under_its_id(watched: Watched) -> None:
    watched.log(1000)
    await watched.tell()
    client = Client()
    session = watched.connect(client)
    say(session, type="window", id="zoom", names=["loss", "nothing"], x0=100, x1=200, px=100)
    say(session, type="window", id=2, names=["loss"], axis="time", smoothing=0.5)
    await become(lambda: len(client.of("window")) == 2)
    zoom, by_time = client.of("window")
    assert (zoom["id"], zoom["seq"], zoom["axis"]) == ("zoom", 1001, "step")
    assert set(zoom["buckets"]) == {"loss"}
    assert 1 < len(zoom["buckets"]["loss"]) <= 40
    assert zoom["buckets"]["loss"][0]["x0"] <= 100 <= zoom["buckets"]["loss"][-1]["x1"]
    assert (by_time["id"], by_time["axis"]) == (2, "time")


async def test_of_many_requests_eight_wait_and_the_rest_are_refused(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_time, go_on, most = 0, asyncio.Event(), 0
    read = watched.tracker.curves.read

    async def slow(*arguments: Any) -> Any:
        nonlocal at_a_time, most
        at_a_time += 1
        most = max(most, at_a_time)
        await go_on.wait()
        at_a_time -= 1
        return await read(*arguments)

    monkeypatch.setattr(watched.tracker.curves, "read", slow)
    client = Client()
    session = watched.connect(client, since=0)
    say(session, type="window", id=0, names=["loss"])
    await asyncio.sleep(0.05)
    for number in range(1, 11):
        say(session, type="window", id=number, names=["loss"])
    assert [(frame["id"], frame["field"]) for frame in client.of("error")] == [(9, "window"), (10, "window")]
    # The job ends meanwhile: what was asked for is answered before the last word.
    await watched.finish()
    assert not client.ended
    go_on.set()
    await become(lambda: client.ended)
    assert [frame["id"] for frame in client.of("window")] == list(range(9))
    assert most == 1
    assert client.frames[-1]["type"] == "end"


async def test_a_window_out_of_reach_is_an_error_that_says_so(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.log(5000)
    await watched.tell()

    async def unavailable(*_: Any) -> Any:
        raise IndexUnavailable("The index is out of reach: the disk is full.")

    monkeypatch.setattr(watched.tracker.curves, "read", unavailable)
    monkeypatch.setattr(watched.tracker.curves, "position_of", unavailable)
    client = Client()
    session = watched.connect(client)
    say(session, type="window", id=1, names=["loss"])
    await become(lambda: bool(client.of("error")))
    assert client.of("error") == [
        {"type": "error", "id": 1, "field": None, "message": "The index is out of reach: the disk is full."}
    ]
    # A snapshot can't be had either: then it is the points themselves.
    say(session, type="subscribe", since=0, px=100)
    await become(lambda: len(client.steps()) == 5000)
    assert client.steps() == list(range(1, 5001))


async def test_a_client_that_reads_no_answers_is_not_buffered_for(watched: Watched) -> None:
    client = Client(reads=False)
    session = watched.connect(client, since=0)
    for number in range(1000):
        say(session, type="window", id=number, names=[])
    assert len(client.frames) == 1
    client.reads = True
    client.read()
    await asyncio.sleep(0.2)
    assert 1 <= len(client.of("error")) <= 100
    assert client.of("error")[-1]["id"] == 999


# Snapshots.


def whole(client: Client, name: str = "loss") -> list[int]:
    """Every step that the client knows of, from its last snapshot on: the job logs one at every step, from 1 on."""
    last = max((at for at, frame in enumerate(client.frames) if frame["type"] == "window"), default=None)
    if last is None:
        return client.steps(name)
    snapshot = [frame for frame in client.of("window") if frame["seq"] == client.frames[last]["seq"]]
    assert {frame["id"] for frame in snapshot} == {None}
    assert [len(frame["buckets"]) for frame in snapshot] == [*[1] * (len(snapshot) - 1), 0]
    count = sum(bucket["n"] for frame in snapshot for bucket in frame["buckets"].get(name, []))
    later = [frame["series"].get(name, {"step": []}) for frame in client.frames[last:] if frame["type"] == "points"]
    return [*range(1, count + 1), *(step for column in later for step in column["step"])]


@pytest.mark.parametrize(("count", "px", "snapshot"), [(4000, 1000, False), (4001, 1000, True), (4100, 2000, False)])
async def test_a_long_history_comes_as_a_snapshot_to_who_has_a_width(
    watched: Watched, count: int, px: int, snapshot: bool
) -> None:
    watched.log(count, loss=1.0, other=2.0)
    await watched.tell()
    wide, narrow = Client(), Client()
    watched.connect(wide, since=0, px=px)
    watched.connect(narrow, since=0)
    await become(lambda: len(whole(wide)) == count and len(narrow.steps()) == count)
    watched.log(100, loss=1.0, other=2.0)
    await watched.tell()
    await watched.finish()
    await become(lambda: wide.ended and narrow.ended)
    assert narrow.steps() == whole(wide) == whole(wide, "other") == list(range(1, count + 101))
    assert not narrow.of("window")
    if snapshot:
        assert [list(frame["buckets"]) for frame in wide.of("window")] == [["loss"], ["other"], []]
        assert all(len(part) <= 400 for frame in wide.of("window") for part in frame["buckets"].values())
        assert len({frame["seq"] for frame in wide.of("window")}) == 1
    else:
        assert not wide.of("window")


async def test_a_snapshot_of_more_than_was_sent_loses_nothing_and_doubles_nothing(watched: Watched) -> None:
    """The curves read the journal themselves, and may be ahead of the stream, or end within its next frame."""
    watched.log(5000)
    await watched.tell()
    watched.log(50)
    client = Client()
    watched.connect(client, since=0, px=50)
    await become(lambda: bool(client.of("window")) and not client.of("window")[-1]["buckets"])
    assert client.of("window")[-1]["seq"] == 5051 > watched.stream.sent_seq
    watched.log(50)
    await watched.tell()
    watched.log(10)
    await watched.tell()
    await watched.finish()
    await become(lambda: client.ended)
    assert whole(client) == list(range(1, 5111))


async def test_who_falls_far_behind_is_shown_the_curves_anew_and_without_a_width_every_point(watched: Watched) -> None:
    wide, narrow = Client(reads=False), Client(reads=False)
    for client in (wide, narrow):
        watched.connect(client, since=0, **({"px": 400} if client is wide else {}))
        client.read()
    watched.log(100)
    await watched.tell()
    for client in (wide, narrow):
        client.read()
    await asyncio.sleep(0.1)
    # Nobody reads while 30,000 points come.
    watched.log(30_000)
    await watched.tell()
    assert len(wide.steps()) == len(narrow.steps()) == 100
    for client in (wide, narrow):
        client.reads = True
        client.read()
    await watched.finish()
    await become(lambda: wide.ended and narrow.ended)
    assert narrow.steps() == whole(wide) == list(range(1, 30_101))
    assert len(wide.of("window")) == 2
    assert not narrow.of("window")


async def test_who_comes_with_a_number_that_the_journal_has_not_is_told_so(watched: Watched) -> None:
    watched.log(10)
    await watched.tell()
    # Written, but not read by the server yet: no stranger to it.
    watched.log(5)
    near, far = Client(), Client()
    watched.connect(near, since=14)
    session = watched.connect(far, since=1000)
    await become(lambda: bool(far.of("error")))
    await watched.tell()
    (error,) = far.of("error")
    assert error["field"] == "since"
    assert "at most 16, the last record of this job, but is 1000; subscribe with 0" in error["message"]
    assert (near.steps(), near.of("error"), far.steps()) == ([14, 15], [], [])
    say(session, type="subscribe", since=0)
    await become(lambda: len(far.steps()) == 15)


async def test_mere_progress_is_told_now_and_then_and_all_else_at_once(watched: Watched) -> None:
    client = Client()
    watched.connect(client, since=0)
    await watched.tell()
    for _ in range(15):
        watched.log()
        await watched.tell()
    assert client.steps() == list(range(1, 16)), "points come at once"
    assert len(client.of("state")) <= 4
    watched.journal.append("phase", name="evaluating")
    await watched.tell()
    assert (client.job["phase"], client.job["current_step"]) == ("evaluating", 15)
    watched.log()
    await watched.tell()
    await become(lambda: client.job["current_step"] == 16)


async def test_who_lags_a_little_is_sent_what_the_others_had_and_reads_no_journal(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = Client(), Client()
    for client in (quick, slow):
        watched.connect(client, since=0)
    watched.log()
    await watched.tell()
    assert slow.steps() == [1]

    async def unread(history: History) -> tuple[list[Record], bool]:
        raise AssertionError("the journal was read")

    monkeypatch.setattr(History, "read", unread)
    slow.reads = False
    for _ in range(10):
        watched.log(3)
        await watched.tell()
    assert len(slow.steps()) < 31
    while len(slow.steps()) < 31:
        slow.read()
        await asyncio.sleep(0.01)
    assert slow.steps() == quick.steps() == list(range(1, 32))
    assert set(slow.texts[-5:]) <= set(quick.texts), "the very frames"


async def test_a_series_that_begins_while_a_snapshot_is_made_is_in_it(watched: Watched) -> None:
    watched.log(5000)
    await watched.tell()
    client = Client()
    # Written, but not read by the tracker: the curves that the snapshot is made of go further.
    watched.log(1, late=1.0)
    watched.connect(client, since=0, px=600)
    await become(lambda: client.of("window") and not client.of("window")[-1]["buckets"])
    await watched.tell()
    watched.log(1, late=2.0)
    await watched.tell()
    counted = sum(b["n"] for frame in client.of("window") for b in frame["buckets"].get("late", ()))
    assert counted + len(client.steps("late")) == 2


async def test_who_comes_back_near_the_end_of_a_long_journal_is_sent_what_it_lacks_alone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the journal is not read from its beginning for it."""
    monkeypatch.setattr(ingest, "FLUSH_POINTS", 4096)
    watched.log(35_000)
    await watched.tell()
    await watched.tracker.curves.catch_up()
    pieces = 0
    read = JournalReader.read

    def counted(reader: JournalReader, *arguments: Any) -> list[Record]:
        nonlocal pieces
        pieces += 1
        return read(reader, *arguments)

    monkeypatch.setattr(JournalReader, "read", counted)
    for px in ({}, {"px": 400}):
        client = Client()
        watched.connect(client, since=34_990, **px)
        await become(lambda client=client: bool(client.steps()))
        assert client.steps() == list(range(34_990, 35_001)), "record 34,990 holds step 34,989"
    newcomer = Client()
    watched.connect(newcomer, since=0, px=400)
    await become(lambda: bool(newcomer.of("window")) and not newcomer.of("window")[-1]["buckets"])
    watched.log()
    await watched.tell()
    await become(lambda: whole(newcomer) == list(range(1, 35_002)))
    assert pieces <= 3 * 4, "of a journal of ten"


async def test_newcomers_of_the_same_moment_share_a_snapshot(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.log(5000)
    await watched.tell()
    asked = 0
    read = Curves.read

    async def counted(self: Curves, *arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await read(self, *arguments)

    monkeypatch.setattr(Curves, "read", counted)
    clients = [Client() for _ in range(50)]
    for client in clients:
        watched.connect(client, since=0, px=400)
    await become(lambda: all(client.of("window") for client in clients))
    assert asked == 1


async def test_a_snapshot_is_never_older_than_what_its_client_has(watched: Watched) -> None:
    watched.log(10)
    snapshots = Snapshots(watched.tracker)
    old, _ = await snapshots.get(frozenset(("loss",)), 100, 1)
    watched.log(10)
    assert (await snapshots.get(frozenset(("loss",)), 100, old))[0] == old == 11
    new = await asyncio.gather(*(snapshots.get(frozenset(("loss",)), 100, old + 1) for _ in range(5)))
    assert [seq for seq, _ in new] == [21] * 5


def test_who_is_shown_the_curves_instead_of_all_points() -> None:
    assert not is_long([], 0, 100)
    assert not is_long([4000, 4000], 16 << 20, 100)
    assert is_long([1, 4001], 0, 100)
    assert not is_long([8000], 0, 2000)
    assert is_long([1], (16 << 20) + 1, 100)
    assert not is_far_behind(0.5, 40_000, 2 << 20)
    assert is_far_behind(0.5, 40_010, 0)
    assert is_far_behind(0.5, 0, (2 << 20) + 2)


@pytest.mark.parametrize("px", [{}, {"px": 50}])
async def test_a_client_cut_at_any_moment_has_every_point_once(watched: Watched, px: dict[str, int]) -> None:
    """It leaves after any number of frames, in the middle of a snapshot or of history, and comes back with its seq."""
    have: list[int] = []
    since = 0
    for cut_after in range(2, 18):
        client = Client(reads=False)
        session = watched.connect(client, since=since, **px)
        watched.log(150 if cut_after % 4 else 6000, loss=1.0, other=2.0)
        if cut_after % 3:
            await watched.tell()
        for _ in range(20):
            client.read()
            await asyncio.sleep(0.003)
            if len(client.frames) >= cut_after:
                break
        watched.leave(session)
        have, since = folded(have, since, client)
        assert have == list(range(1, len(have) + 1))
    await watched.tell()
    client = Client()
    watched.connect(client, since=since, **px)
    await become(lambda: folded([], since, client)[1] >= watched.tracker.seq)
    have, since = folded(have, since, client)
    assert have == list(range(1, len(have) + 1))
    assert len(have) > 20_000


def folded(have: list[int], since: int, client: Client) -> tuple[list[int], int]:
    """The steps a client knows, and its seq, after those frames: a snapshot counts when its last frame is there."""
    have, parts = list(have), 0
    for frame in client.frames:
        if frame["type"] == "points":
            assert frame["seq"] > since
            since = frame["seq"]
            have += frame["series"].get("loss", {"step": []})["step"]
        elif frame["type"] == "window":
            parts += sum(bucket["n"] for bucket in frame["buckets"].get("loss", []))
            if not frame["buckets"]:
                have, since, parts = list(range(1, parts + 1)), frame["seq"], 0
    return have, since


# The output.


def test_a_piece_of_the_output_never_cuts_a_character(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    assert read_log(path, 5, 100, final=True) == Piece(0, 0, 0, "")
    text = "añ€😀" * 50
    data = text.encode()
    for written in (*range(1, 12), len(data)):
        path.write_bytes(data[:written])
        for limit in (4, 5, 7, 1000):
            got, offset = "", 0
            while (piece := read_log(path, offset, limit, final=False)).next_offset > offset:
                got, offset = got + piece.text, piece.next_offset
            assert got == data[:written].decode(errors="ignore"), "what is not whole yet waits"
    for offset in range(len(data)):
        piece = read_log(path, offset, 4, final=True)
        assert offset <= piece.offset <= offset + 3
        assert data[piece.offset : piece.next_offset].decode() == piece.text
    path.write_bytes(b"end\xf0\x9f")
    assert read_log(path, 0, 100, final=False).text == "end"
    assert read_log(path, 0, 100, final=True).text == "end�"
    path.write_bytes(b"\x80\x80\xff\xfe binary \xbf")
    assert read_log(path, 0, 100, final=True).next_offset == 13, "what is no text is passed on as far as it can be"
    assert read_log(path, -3, 100, final=True).text == "y �"


async def test_the_output_is_sent_as_it_grows_and_all_of_it_before_the_end(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = watched.job_dir.output_log
    quick = threading.Event()
    quick.set()

    def read(*arguments: Any, **options: Any) -> Piece:
        assert quick.wait(10)
        return read_log(*arguments, **options)

    monkeypatch.setattr(log_tail, "read_log", read)
    all_of_it, the_end_of_it, later = Client(), Client(), Client()
    early = "é" * 10_000
    log.write_text(early)
    watched.connect(all_of_it, log=0)
    watched.connect(the_end_of_it, log=True)
    session = watched.connect(later, since=0)
    await become(lambda: bool(all_of_it.of("log") and the_end_of_it.of("log")))
    with log.open("ab") as file:
        file.write("€".encode()[:2])
        file.flush()
        await asyncio.sleep(0.6)
        file.write("€".encode()[2:] + b"\n")
    say(session, type="subscribe", since=0, log=len(early.encode()))
    await become(lambda: bool(later.of("log")))
    quick.clear()
    with log.open("a") as file:
        file.write("last words" * 30_000)
    await watched.finish()
    assert [client.ended for client in (all_of_it, the_end_of_it, later)] == [False] * 3
    quick.set()
    await become(lambda: all_of_it.ended and the_end_of_it.ended and later.ended)
    expected = early + "€\n" + "last words" * 30_000
    for client, start in ((all_of_it, 0), (the_end_of_it, len(early.encode()) - (16 << 10)), (later, 20_000)):
        offset = start
        for frame in client.of("log"):
            assert frame["offset"] == offset
            assert len(frame["text"].encode()) == frame["next_offset"] - offset <= 64 << 10
            offset = frame["next_offset"]
        assert "".join(frame["text"] for frame in client.of("log")) == expected.encode()[start:].decode()
        assert client.frames[-1]["type"] == "end"


async def test_the_output_is_read_once_for_all_and_not_at_all_for_nobody(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(path: Path, offset: int, limit: int, *, final: bool) -> Piece:
        reads.append(threading.get_ident())
        return read_log(path, offset, limit, final=final)

    monkeypatch.setattr(log_tail, "read_log", counted)
    log = watched.job_dir.output_log
    log.write_text("x")
    clients = [Client() for _ in range(50)]
    sessions = [watched.connect(client, log=0) for client in clients]
    await become(lambda: all(client.of("log") for client in clients))
    with log.open("a") as file:
        file.write("y")
    await become(lambda: all(len(client.of("log")) == 2 for client in clients))
    assert len(reads) <= 8
    assert threading.get_ident() not in reads, "off the loop"
    assert len({client.texts[-1] for client in clients}) == 1
    for session in sessions:
        watched.leave(session)
    await become(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_who_lags_in_the_output_reads_on_by_itself(watched: Watched) -> None:
    log = watched.job_dir.output_log
    slow, quick = Client(reads=False), Client()
    watched.connect(slow, log=0)
    watched.connect(quick, log=0)
    for number in range(4):
        with log.open("a") as file:
            file.write(str(number) * 50_000)
        size = (number + 1) * 50_000
        await become(lambda size=size: sum(len(frame["text"]) for frame in quick.of("log")) == size)
    assert not slow.of("log")
    slow.reads = True
    slow.read()
    await watched.finish()
    await become(lambda: slow.ended and quick.ended)
    for client in (slow, quick):
        assert "".join(frame["text"] for frame in client.of("log")) == "".join(str(n) * 50_000 for n in range(4))
