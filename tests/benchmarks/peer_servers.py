"""The peers' own servers, where they have one that runs without a network; each gives the variables that name it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from . import peers

#: Takes a folder for what the server keeps and the folder that the run is logged to.
Start: TypeAlias = Callable[[Path, Path], contextlib.AbstractContextManager[dict[str, str]]]

_READY_SECONDS = 60.0


@contextlib.contextmanager
def mlflow(home: Path, run: Path) -> Iterator[dict[str, str]]:
    """Its tracking server on SQLite, one worker."""
    port = _free_port()
    store = f"sqlite:///{home}/server.db"
    arguments = ("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", store)
    with _served("mlflow", home, port, "mlflow", *arguments) as url:
        yield {"BENCH_MLFLOW": url}


@contextlib.contextmanager
def tensorboard(home: Path, run: Path) -> Iterator[dict[str, str]]:
    """As it comes: it reloads every 5 s."""
    port = _free_port()
    arguments = ("--logdir", str(run / "tb"), "--host", "127.0.0.1", "--port", str(port))
    with _served("tensorboard", home, port, "tensorboard.main", *arguments) as url:
        yield {"BENCH_TENSORBOARD": url}


@contextlib.contextmanager
def _served(who: str, home: Path, port: int, module: str, *arguments: str) -> Iterator[str]:
    home.mkdir(parents=True, exist_ok=True)
    python, *_ = peers.command(who, "")
    url = f"http://127.0.0.1:{port}"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", module, *arguments],
            env=peers.environment(home),
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise peers.DoesNotRun(peers.last_words((home / "server.log").read_text(errors="replace")))
            time.sleep(0.2)
        yield url
    finally:
        peers.end_family(process)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
