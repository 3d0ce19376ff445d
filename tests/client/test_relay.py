"""What a kernel passes on between a page and the server, what it refuses, and that nothing secret crosses."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.client import connection
from jupyter_trainlive.notebook import relay, tunnel
from jupyter_trainlive.notebook.relay import Relay
from jupyter_trainlive.notebook.relay_thread import Pace

from ..real_server import TOKEN, RealServer

#: A training that goes on until it is stopped.
ENDLESS = (
    "import itertools, time, jupyter_trainlive as t\n"
    "for step in itertools.count(1):\n"
    "    t.log({'loss': 1 / step}, step=step)\n"
    "    time.sleep(0.05)\n"
)


def fetch(method: str, path: str, body: str | None = None) -> tunnel.Answer:
    async def ask() -> tunnel.Answer:
        async with tunnel.client() as http:
            return await tunnel.fetch(http, method, path, body)

    return asyncio.run(ask())


def message_of(answer: tunnel.Answer) -> str:
    return str(json.loads(answer.body)["message"])


class Pages:
    """Where the messages of one widget arrive."""

    def __init__(self, job_id: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.buffers: list[bytes] = []
        self._news = threading.Condition()
        self.relay = Relay(job_id, self._take)

    def _take(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        with self._news:
            self.heard.append(message)
            self.buffers += buffers
            self._news.notify_all()

    def ask(self, what: str, **fields: Any) -> None:
        self.relay.hear({"trainlive": 1, "ask": what, **fields})

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message of which `condition` holds."""
        found: list[dict[str, Any]] = []
        with self._news:
            there = self._news.wait_for(lambda: found.extend(filter(condition, self.heard)) or found, 30)
            assert there, self.heard
        return found[0]

    def frames(self, link: int) -> list[dict[str, Any]]:
        parts = [part for part in list(self.heard) if part["say"] == "frames" and part["link"] == link]
        assert [part["first"] for part in parts] == [True] + [False] * (len(parts) - 1)
        assert [part["k"] for part in parts] == list(range(parts[0]["k"], parts[0]["k"] + len(parts)))
        return [json.loads(text) for part in parts for text in part["frames"]]

    def until_frame(self, link: int, kind: str) -> dict[str, Any]:
        def has(message: dict[str, Any]) -> bool:
            texts = message["frames"] if message["say"] == "frames" and message["link"] == link else []
            return any(json.loads(text)["type"] == kind for text in texts)

        self.until(has)
        return next(frame for frame in self.frames(link) if frame["type"] == kind)


@pytest.fixture(scope="module")
def job(server: RealServer) -> str:
    """A training at work, until the last test here cancels it."""
    job_id = server.submit(ENDLESS)
    server.wait(job_id, "running")
    return job_id


@pytest.mark.parametrize(
    "path",
    [
        *("", "ws/training/job_1", "../api/contents", "/trainlive/api/system", "http://evil.example/api/system"),
        *("api/../../api/contents", "api/%2e%2e/%2e%2e/api/contents", "api/..%2f..%2fapi/contents", "api/.\\..\\x"),
        *("API/system", "%61pi/system", "api", "api/system#fragment", "//evil.example/api/system"),
    ],
)
def test_paths_outside_of_the_interface_are_refused_without_asking(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "current", lambda: pytest.fail("it was asked"))
    assert fetch("GET", path).status == 403


def test_other_methods_and_long_bodies_are_refused_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "current", lambda: pytest.fail("it was asked"))
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "GET /x HTTP/1.1\r\n"):
        assert fetch(method, "api/system").status == 405
    assert fetch("POST", "api/training/jobs", "x" * (tunnel.MOST_BODY_BYTES + 1)).status == 413


def test_answers_come_as_they_are_refusals_too(client: RealServer, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    detail = fetch("GET", f"api/training/jobs/{job}")
    assert (detail.status, json.loads(detail.body)["job_id"]) == (200, job)
    unknown = fetch("GET", "api/training/jobs/job_000000000000")
    assert (unknown.status, unknown.content_type) == (404, "application/json")
    assert "job_000000000000" in message_of(unknown)
    assert fetch("DELETE", f"api/training/jobs/{job}").status == 409
    assert fetch("POST", f"api/training/jobs/{job}/pause", '{"release": false}').status == 202
    assert fetch("POST", f"api/training/jobs/{job}/resume").status == 202
    assert fetch("HEAD", f"api/training/jobs/{job}/archive?path=").body == b""
    monkeypatch.setattr(tunnel, "MOST_ANSWER_BYTES", 100)
    for path in (f"api/training/jobs/{job}", f"api/training/jobs/{job}/metrics.csv"):
        long = fetch("GET", path)
        assert long.status == 413
        assert "job.download()" in message_of(long)


def test_a_server_that_is_gone_is_an_answer_that_names_no_address(at: Callable[[Path], None], tmp_path: Path) -> None:
    at(tmp_path)
    gone = fetch("GET", "api/system")
    assert gone.status == 502
    assert message_of(gone) == "The Jupyter server does not answer the notebook's kernel."


def test_old_requests_are_not_made_and_what_makes_no_sense_is_passed_over(client: RealServer, job: str) -> None:
    pages = Pages(job)
    for message in (None, [], "frames", {"ask": "frames", "link": 1}, {"trainlive": 1}, {"trainlive": 1, "ask": {}}):
        pages.relay.hear(message)
    pages.ask("frames", link="1")
    pages.ask("pass", link=1, text="{}")
    pages.ask("close", link=9)
    cancel: dict[str, Any] = {"path": f"api/training/jobs/{job}/cancel", "method": "POST", "body": None}
    for old in (time.monotonic() - relay.FRESH_SECONDS - 1, "now", None, math.nan, -math.inf, math.inf):
        pages.ask("request", n=1, at=old, **cancel)
    pages.ask("here", n=2)
    assert pages.until(lambda message: message["say"] == "answer")["n"] == 2
    assert [message["say"] for message in pages.heard] == ["answer"]
    assert client.job(job)["status"] == "running"
    pages.relay.close()


def test_a_kernel_at_work_tells_unasked_until_a_page_declines(
    client: RealServer, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(relay, "FIRST_CYCLE_SECONDS", 0.5)
    pages = Pages(job)
    pages.relay._thread.call(pages.relay._thread.at_work)
    pages.until(lambda message: message["say"] == "frames" and message["link"] is None and not message["first"])
    begins = [message for message in pages.heard if message["say"] == "frames" and message["first"]]
    assert json.loads(begins[0]["frames"][0])["type"] == "hello"
    pages.until(lambda message: message.get("first") is True and message["t"] > begins[0]["t"])
    pages.ask("nothing")
    pages.until(lambda message: message["say"] == "closed" and message["link"] is None)
    pages.ask("here", n=1)
    pages.until(lambda message: message["say"] == "answer")
    assert pages.heard[-1]["say"] == "answer"
    pages.relay.close()


def test_a_short_cell_makes_a_kernel_tell_nothing(client: RealServer, job: str) -> None:
    pages = Pages(job)
    pages.relay._thread.call(pages.relay._thread.at_work)
    pages.relay._thread.call(pages.relay._thread.at_rest)
    pages.ask("here", n=1)
    pages.until(lambda message: message["say"] == "answer")
    assert pages.relay._unasked is None
    assert [message["say"] for message in pages.heard] == ["answer"]
    pages.relay.close()


def test_the_pace_is_bounded_however_many_send() -> None:
    now = 100.0
    pace = Pace(1000, lambda: now)
    assert [pace.wait_for(500) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    now += 10
    assert pace.wait_for(500) == 0.0


def test_a_page_hears_of_its_job_asks_and_obeys_and_nothing_secret_crosses(client: RealServer, job: str) -> None:
    pages = Pages(job)
    pages.ask("frames", link=7)
    assert pages.until_frame(7, "hello")["job"]["job_id"] == job
    pages.ask("frames", link=7)
    pages.until(lambda message: message["say"] == "here")
    pages.ask("pass", link=7, text=json.dumps({"type": "subscribe", "since": 3, "series": "*", "log": False}))
    assert pages.until_frame(7, "points")["series"]["loss"]["step"][0] == 3

    pages.ask("request", n=1, path=f"api/training/jobs/{job}", method="GET", body=None, at=time.monotonic())
    answer = pages.until(lambda message: message["say"] == "answer" and not message["more"])
    assert (answer["n"], answer["k"], answer["status"]) == (1, 0, 200)
    assert json.loads(b"".join(pages.buffers))["job_id"] == job
    assert [message["n"] for message in pages.heard if message["say"] == "taken"] == [1]

    pages.ask("request", n=2, path=f"api/training/jobs/{job}/cancel", method="POST", body=None, at=time.monotonic())
    pages.until_frame(7, "end")
    pages.until(lambda message: message["say"] == "closed" and message["link"] == 7)
    (file,) = client.home.glob("runtime/trainlive-*.json")
    crossed = json.dumps(pages.heard).encode() + b"".join(pages.buffers)
    for secret in (TOKEN, json.loads(file.read_text())["secret"], client.url, "Authorization"):
        assert secret.encode() not in crossed
    pages.relay.close()
