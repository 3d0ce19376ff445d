"""Fixtures that several folders share: servers and models are made once for all tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .real_server import RealServer, serve

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture(scope="session", autouse=True)
def no_job_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Jobs outlive their servers by design; those of a test that failed end with the session."""
    yield
    ours = str(tmp_path_factory.getbasetemp())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TRAINLIVE_JOB_DIR", "").startswith(ours):
                process.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One real server for all tests that only submit jobs and look at them."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-8000:]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
