"""JupyterLab as a process of ours, from its start to its surely being ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from ..protocol.access import Access, access_file, read_access
from .errors import TrainLiveError

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.1


@contextlib.contextmanager
def jupyterlab(folder: Path, token: str) -> Iterator[Access]:
    """JupyterLab of that folder on a free local port, its jobs in the folder too; ended on leaving.

    It has a session of its own, so that Ctrl-C reaches us first. Raises TrainLiveError where it does not start.
    """
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={_free_port()}", "--ServerApp.port_retries=50"),
        *(f"--ServerApp.root_dir={folder}", f"--TrainLive.jobs_dir={folder / 'jobs'}"),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = folder / "jupyterlab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env={**os.environ, "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _wait_for(server, log)
    finally:
        _end(server)


def _wait_for(server: subprocess.Popen[bytes], log: Path) -> Access:
    file = access_file(Path(jupyter_runtime_dir()), server.pid)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            access = read_access(file)
            if access.pid == server.pid:
                return access
        time.sleep(_POLL_SECONDS)
    raise TrainLiveError(f"JupyterLab did not start with jupyter_trainlive; its log is {log}")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    while server.poll() is None:
        # A second Ctrl-C must not leave it behind.
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            server.wait(max(0.0, deadline - time.monotonic()))
        if time.monotonic() > deadline:
            server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
