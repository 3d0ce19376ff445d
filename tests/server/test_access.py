"""Who is let in: every route without credentials, from a foreign page, and for who may only look."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from tornado.httpclient import HTTPClientError

from jupyter_trainlive.server.handlers import ROUTES

from ..real_server import TOKEN, RealServer

JOB_ID = "job_000000000000"

#: Every route with every method that its handler has. A handler added without protection fails here.
CALLS = [
    (
        path.replace(r"(?P<job_id>[^/]+)", JOB_ID)
        .replace("(?P<path>.+)", "artifacts/model.bin")
        .replace("\\", "")
        .removeprefix("/trainlive/"),
        method,
    )
    for path, handler in ROUTES
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    if method.lower() in vars(handler)
]
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


def test_the_walk_sees_all_routes() -> None:
    assert len(CALLS) > len(ROUTES)
    assert {path for path, _ in CALLS if "(" in path} == set()


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_without_credentials_nothing_is_told(server: RealServer, path: str, method: str) -> None:
    for headers in (
        {"User-Agent": "test"},
        {"Authorization": "token wrong"},
        {"Authorization": "trainlive wrong"},
        {"Authorization": "trainlive"},
    ):
        with server.http(**headers) as http:
            answer = http.request(method, path, content=b"{}")
        assert answer.status_code == 403, (path, headers)
        assert "job" not in answer.text.lower() or path.startswith("ws/")


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_a_foreign_page_is_refused_though_its_reader_has_a_cookie(server: RealServer, path: str, method: str) -> None:
    with server.http() as http:
        cookies = http.get("api/hello").cookies
    with server.http(Origin="https://elsewhere.example", Referer="https://elsewhere.example/page") as http:
        http.cookies = cookies
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        if path.startswith("ws/"):
            job_id = server.submit("pass")
            path = path.replace(JOB_ID, job_id)
            headers["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        answer = http.request(method, path, content=b"{}", headers=headers if path.startswith("ws/") else {})
    assert answer.status_code in (403, 404)
    assert "kinds" not in answer.text


class OnlyLooking(Authorizer):
    """Lets everybody look and nobody touch; remembers what it was asked."""

    asked: list[tuple[str, str]]

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        if resource == "trainlive":
            self.__dict__.setdefault("asked", []).append((action, resource))
        return action == "read"


@pytest.fixture
def jp_server_config(tmp_path: Any) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_trainlive": True},
            "authorizer_class": OnlyLooking,
        },
        "TrainLive": {"jobs_dir": str(tmp_path / "jobs")},
    }


async def test_who_may_only_look_can_look_and_not_touch(jp_serverapp: Any, jp_fetch: Any) -> None:
    await jp_serverapp._post_start()
    for path, method in CALLS:
        if path.startswith("ws/"):
            continue
        asked = jp_serverapp.authorizer.__dict__.setdefault("asked", [])
        asked.clear()
        try:
            body = "{}" if method in WRITES else None
            options = {"body": body, "allow_nonstandard_methods": True}
            code = (await jp_fetch("trainlive", *path.split("/"), method=method, **options)).code
        except HTTPClientError as error:
            code = error.code
        expected = "write" if method in WRITES else "read"
        assert asked == [(expected, "trainlive")], path
        if method in WRITES:
            assert code == 403, path
        else:
            assert code in (200, 404), path


class NoLooking(Authorizer):
    """Lets nobody do anything with jobs."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "trainlive"


async def test_the_socket_asks_the_authorizer_before_the_upgrade(jp_serverapp: Any, jp_ws_fetch: Any) -> None:
    await jp_serverapp._post_start()
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("trainlive", "ws", "training", JOB_ID)
    assert refused.value.code == 404, "who may look hears that there is no such job"
    jp_serverapp.web_app.settings["authorizer"] = NoLooking(parent=jp_serverapp)
    with pytest.raises(HTTPClientError) as refused:
        await jp_ws_fetch("trainlive", "ws", "training", JOB_ID)
    assert refused.value.code == 403, "who may not hears nothing"


def test_the_private_file_lets_its_owner_in_and_is_readable_by_nobody_else(server: RealServer) -> None:
    (file,) = (server.home / "runtime").glob("trainlive-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = json.loads(file.read_text())["secret"]
    with server.http(Authorization=f"trainlive {secret}") as http:
        assert http.get("api/hello").status_code == 200
        # A token is explicit, so no cookie or XSRF header is asked for.
        assert http.post("api/training/jobs", json={}).status_code == 400
    with server.http(Authorization=f"trainlive {secret}") as http:
        # It opens our routes, not the server.
        assert http.get(server.url + "api/contents").status_code == 403
    assert secret not in server.log
    assert TOKEN not in file.read_text()
