"""A place for each fault, and one table of all outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Place
from .table import Table


@pytest.fixture(scope="package")
def table() -> Table:
    return Table()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server that is up, on a folder of its own."""
    ours = Place(tmp_path / "home")
    ours.start()
    yield ours
    ours.close()
    log = (ours.home / "server.log").read_text(errors="replace")
    assert "Traceback" not in log, log[-8000:]


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """No server of pytest-jupyter's: all servers here are processes."""
