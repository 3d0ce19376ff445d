"""What all handlers share: who is let in, where things are, and errors as the contract words them."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import responses
from typing import TYPE_CHECKING, Any, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web

from ...jobs.artifacts import Missing
from ...jobs.database import IndexUnavailable
from ...jobs.errors import InvalidRequest, JobError, NoStorage, NotAllowed, ReadOnly, UnknownJob, Unprocessable
from ...protocol.values import dumps

if TYPE_CHECKING:
    from ..app import Services

#: The resource that the server's authorizer is asked about.
RESOURCE = "trainlive"

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownJob, 404),
    (Missing, 404),
    (NotAllowed, 409),
    (Unprocessable, 422),
    (InvalidRequest, 400),
    (NoStorage, 507),
    (IndexUnavailable, 503),
)
#: Their words are for the client, and are its answer.
_ANSWERED = (JobError, IndexUnavailable)


AnyMethod = TypeVar("AnyMethod", bound=Callable[..., Any])


def allowed(action: str) -> Callable[[AnyMethod], AnyMethod]:
    """Let only those call a method who are known, and whom the authorizer allows that action."""

    def decorate(method: AnyMethod) -> AnyMethod:
        return cast(AnyMethod, web.authenticated(authorized(action=action, resource=RESOURCE)(method)))

    return decorate


class Base(ExtensionHandlerMixin, JupyterHandler):
    """Lets the server's users in, and its own user's processes by their private file.

    Errors are JSON ``{"message", "reason"}``, never a traceback; so is the refusal of a WebSocket before its upgrade.
    """

    auth_resource = RESOURCE

    @property
    def services(self) -> Services:
        services: Services = self.settings["trainlive"]
        return services

    @property
    def identity_provider(self) -> IdentityProvider:
        access = self.services.access
        return access.identity if access.admits(self) else super().identity_provider

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None))[1]
        reason = responses.get(status_code, "Unknown")
        message = reason
        extra: dict[str, str | int | None] = {}
        if isinstance(error, _ANSWERED):
            status_code = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
            message, reason = str(error), responses[status_code]
            if isinstance(error, InvalidRequest):
                extra["field"] = error.field
            elif isinstance(error, ReadOnly):
                extra["owner_pid"] = error.owner_pid
        elif isinstance(error, web.HTTPError):
            message = error.log_message or error.reason or reason
        elif status_code >= 500:
            message = "The server failed on this request; its log says why."
        self.clear()
        self.set_status(status_code)
        self.set_header("Content-Type", "application/json")
        self.finish(dumps({"message": message, "reason": reason, **extra}))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        # What a client did wrong is its own answer, not a fault in the server's log.
        if not isinstance(value, _ANSWERED):
            super().log_exception(typ, value, tb)


class ApiBase(Base, APIHandler):
    """A REST handler."""

    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with a JSON answer."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(dumps(value))

    def json_body(self) -> Any:
        """The request's body; raises InvalidRequest where it is no JSON."""
        try:
            return json.loads(self.request.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("body", f"is not JSON: {error}") from None

    def optional_body(self) -> dict[str, Any]:
        """The request's body, an object; empty where there is none. Raises InvalidRequest."""
        body = self.json_body() if self.request.body else {}
        if not isinstance(body, dict):
            raise InvalidRequest("body", "must be a JSON object")
        return body

    def whole_argument(self, name: str, default: int) -> int:
        """A whole number from the query; raises InvalidRequest."""
        text = self.get_query_argument(name, None)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            raise InvalidRequest(name, "must be a whole number") from None
        if abs(value) > 2**62:
            raise InvalidRequest(name, "is too large")
        return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
