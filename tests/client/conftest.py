"""This very process as a client of the shared server, which it finds as a notebook would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_trainlive.client import connection

from ..real_server import RealServer


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Look for servers in that home, and in no other."""

    def look_in(home: Path) -> None:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home / "runtime"))
        monkeypatch.delenv("JPY_PARENT_PID", raising=False)
        monkeypatch.setattr(connection, "_current", None)

    yield look_in
    if connection._current is not None:
        connection._current[1].close()


@pytest.fixture
def client(server: RealServer, at: Callable[[Path], None]) -> RealServer:
    at(server.home)
    return server
