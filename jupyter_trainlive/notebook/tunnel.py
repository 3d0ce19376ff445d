"""The requests of a page that cannot reach the server: which of them the kernel makes in its place, and how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx

from ..client import connection
from ..client.errors import NoServerError

METHODS = ("GET", "HEAD", "POST", "DELETE")
MOST_BODY_BYTES = 1 << 20
#: All of it passes through the kernel's messages and the page's memory.
MOST_ANSWER_BYTES = 16 << 20
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What the server said, refusals as they are; of its headers the page needs this one alone."""

    status: int
    content_type: str
    body: bytes


def client() -> httpx.AsyncClient:
    """What `fetch` asks with. Proxies are for the world outside."""
    return httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)


async def fetch(http: httpx.AsyncClient, method: str, path: str, body: str | None = None) -> Answer:
    """The answer to a request under ``{base_url}trainlive/``, made with the kernel's own access.

    Never raises: where the server is not asked, or says nothing, the answer tells why. What changes jobs is asked of
    the server that owns them.
    """
    content = None if body is None else body.encode("utf-8", "replace")
    problem = _problem(method, path, content or b"")
    if problem is not None:
        return _said(*problem)
    try:
        server = connection.current()
        answer = await _ask(http, server, method, path, content)
        owner = server.owner_of_the_jobs(answer.status, answer.body)
        return answer if owner is None else await _ask(http, owner, method, path, content)
    except (NoServerError, httpx.HTTPError):
        # Their words name addresses, which are none of the page's.
        return _said(502, "The Jupyter server does not answer the notebook's kernel.")


def _problem(method: str, path: str, body: bytes) -> tuple[int, str] | None:
    """Why a request is not made; what it may open is the server's to say, this keeps it inside of the interface."""
    if method not in METHODS:
        return 405, "The notebook's kernel passes on no such request."
    segments = unquote(path.partition("?")[0]).replace("\\", "/").split("/")
    if segments[0] != "api" or not path.startswith("api/") or "#" in path or not {".", ".."}.isdisjoint(segments):
        return 403, "The notebook's kernel passes on requests to jupyter_trainlive alone."
    if len(body) > MOST_BODY_BYTES:
        return 413, "The request is too long for the notebook's kernel."
    return None


async def _ask(
    http: httpx.AsyncClient, server: connection.Connection, method: str, path: str, content: bytes | None
) -> Answer:
    headers = {**server.headers, "Content-Type": "application/json"}
    async with http.stream(method, server.address(path), content=content, headers=headers) as response:
        body = b""
        # One that is cut off there would look whole to the page.
        length = response.headers.get("Content-Length", "") if method != "HEAD" else ""
        too_long = length.isdigit() and int(length) > MOST_ANSWER_BYTES
        if not too_long:
            async for chunk in response.aiter_bytes():
                body += chunk
                too_long = len(body) > MOST_ANSWER_BYTES
                if too_long:
                    break
        if too_long:
            most = MOST_ANSWER_BYTES >> 20
            return _said(
                413, f"More than {most} MB do not pass through the notebook's kernel. In Python: job.download()"
            )
        return Answer(response.status_code, response.headers.get("Content-Type", ""), body)


def _said(status: int, message: str) -> Answer:
    words: dict[str, Any] = {"message": message, "reason": httpx.codes.get_reason_phrase(status)}
    return Answer(status, "application/json", json.dumps(words).encode())
