"""Fixtures that several folders share: servers and models are made once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .real_server import RealServer, serve

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One real server for all tests that only submit jobs and look at them."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-8000:]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
