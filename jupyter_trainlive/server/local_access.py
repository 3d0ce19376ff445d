"""How a process of the server's own user finds the server and is let in, without token or password.

The server leaves a file in Jupyter's runtime folder that its user alone can read. It holds the address and
a secret made for this run of the server, which opens the routes of this extension and nothing else.
"""

from __future__ import annotations

import getpass
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_dir_exists
from jupyter_server.auth.identity import IdentityProvider, User
from tornado.web import RequestHandler

from ..protocol.access import SCHEME, access_file
from ..protocol.jobdir import write_json


class LocalAccess:
    """The secret of one server run and the file that tells it to its user's processes."""

    def __init__(self, runtime_dir: Path) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._file = access_file(runtime_dir, os.getpid())
        self.identity = LocalIdentity()

    def publish(self, *, url: str, root_dir: str, jobs_dir: str) -> None:
        """Write the file, readable by its owner alone; raises OSError."""
        ensure_dir_exists(str(self._file.parent), mode=0o700)
        content = {"url": url, "root_dir": root_dir, "jobs_dir": jobs_dir, "pid": os.getpid(), "secret": self._secret}
        write_json(self._file, content)

    def withdraw(self) -> None:
        self._file.unlink(missing_ok=True)

    def admits(self, handler: RequestHandler) -> bool:
        """Whether the request bears the secret, in its Authorization header."""
        scheme, _, presented = handler.request.headers.get("Authorization", "").partition(" ")
        return scheme == SCHEME and hmac.compare_digest(presented.strip().encode(), self._secret.encode())


class LocalIdentity(IdentityProvider):
    """Knows one user: the owner of the server, whose file the secret came from."""

    def get_user(self, handler: Any) -> User:
        # What is read from a private file is explicit, as a token is: no cookie, no forgery across sites.
        handler._token_authenticated = True
        return User(username=os.environ.get("JUPYTERHUB_USER") or getpass.getuser())
