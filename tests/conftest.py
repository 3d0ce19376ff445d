"""Fixtures that several folders share: servers and models are made once for all tests."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from .real_server import RealServer, serve

# What a script starts in the background ignores interrupts, and under nohup hangups: so would all the tests signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Trainings run side by side here, and threads of theirs that wait for each other while others compute cost minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, however slow the machine is.
settings.register_profile("here", derandomize=True, deadline=None)
settings.load_profile("here")

pytest_plugins = ["pytest_jupyter.jupyter_server"]

#: Files that take long begin first, else all would wait for one of them in the end; those that compute and those that
#: rather wait alternate, so that not all compute at once.
_LONG = (
    *("demo/test_demo.py", "faults/test_faults.py", "browser/test_saved_notebooks.py"),
    *("server/test_pause.py", "server/test_stream.py", "browser/test_connection.py"),
    *("browser/test_controls.py", "server/test_queue.py", "browser/test_lab.py"),
    *("notebooks/test_notebooks.py", "packaging/test_fresh_install.py", "browser/test_accessibility.py"),
    *("browser/test_quickstart.py", "browser/test_kept.py", "browser/test_form.py"),
    *("browser/test_demo_page.py", "jobs/test_servers.py", "browser/test_widget.py"),
    *("training/test_ranks.py", "browser/test_hostile.py", "browser/test_charts.py"),
    *("server/test_finetune.py", "browser/test_job_view.py", "browser/test_compare.py"),
    *("browser/test_long_curves.py", "browser/test_track.py"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-faults", action="store_true", help="put the table of tests/faults into CONTRIBUTING.md")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    place = {here / name: at for at, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


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
