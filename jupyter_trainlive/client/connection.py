"""The connection to one server: HTTP requests, and errors as the server words them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx

from ..protocol.access import SCHEME, Access
from ..protocol.values import dumps
from . import discovery
from .errors import NoServerError, RequestError

_TIMEOUT_SECONDS = 60.0


class Connection:
    """Speaks to one server. Nothing is kept open but idle HTTP connections."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.headers = {"Authorization": f"{SCHEME} {access.secret}"}
        self._http = httpx.Client(
            base_url=self.address(""), headers=self.headers, timeout=_TIMEOUT_SECONDS, trust_env=False
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request under ``{base_url}trainlive/``; raises RequestError or NoServerError."""
        with self._answering():
            response = self._http.request(method, path, **options)
        if response.is_success:
            return response
        owner = self.owner_of_the_jobs(response.status_code, response.content)
        if owner is not None:
            return owner.request(method, path, **options)
        raise _refusal(response)

    @contextlib.contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """The answer to a GET, its body to be read in pieces; raises RequestError or NoServerError, in between too."""
        with self._answering(), self._http.stream("GET", path, **options) as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            yield response

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Says it in the client's words where the server does not answer within."""
        try:
            yield
        except httpx.HTTPError as error:
            raise NoServerError(f"The Jupyter server at {self.access.url} does not answer: {error}") from error

    def owner_of_the_jobs(self, status: int, answer: bytes) -> Connection | None:
        """The server of the same user that this one says owns the jobs: what changes them is asked of it."""
        if status != 409:
            return None
        try:
            pid = json.loads(answer)["owner_pid"]
        except (ValueError, KeyError, TypeError):
            return None
        access = discovery.of_server(pid) if isinstance(pid, int) else None
        return None if access is None or access == self.access else Connection(access)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON answer to a GET; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self.request("GET", path, params=given).json()

    def post(self, path: str, body: dict[str, Any] | None = None, timeout_seconds: float = _TIMEOUT_SECONDS) -> Any:
        """The JSON answer to a POST. NaN travels as a word, so that the server can say which field it was."""
        content, headers = dumps(body or {}).encode(), {"Content-Type": "application/json"}
        return self.request("POST", path, content=content, headers=headers, timeout=timeout_seconds).json()

    def close(self) -> None:
        """Close what is idle; the connection is not used any more."""
        self._http.close()

    def address(self, path: str) -> str:
        """The address of a path under ``{base_url}trainlive/``."""
        return self.access.url.rstrip("/") + "/trainlive/" + path

    def socket_url(self, path: str) -> str:
        """The address of a WebSocket under ``{base_url}trainlive/``."""
        return "ws" + self.address(path).removeprefix("http")


def _refusal(response: httpx.Response) -> RequestError:
    try:
        answer = response.json()
        return RequestError(str(answer["message"]), response.status_code, answer.get("field"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return RequestError(f"The server answered {response.status_code}.", response.status_code)


_current: tuple[int, Connection] | None = None


def current() -> Connection:
    """The connection to the server that this process belongs to; raises NoServerError.

    Found again when that server is gone, as after its restart, and in a forked child.
    """
    global _current
    if _current is not None:
        pid, connection = _current
        if pid == os.getpid():
            if _is_current(connection.access):
                return connection
            connection.close()
    connection = Connection(discovery.find())
    _current = (os.getpid(), connection)
    return connection


def use(access: Access) -> None:
    """Speak to that server from now on."""
    global _current
    _current = (os.getpid(), Connection(access))


def _is_current(access: Access) -> bool:
    return discovery.is_running(access)
