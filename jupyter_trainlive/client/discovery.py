"""Finding the server that this process belongs to, so that no code needs a URL or a token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from ..protocol.access import Access, access_file, access_files, read_access
from .errors import NoServerError

_ADVICE = (
    "Run this in a notebook of a Jupyter server on this machine that has jupyter_trainlive installed "
    "(`jupyter server extension list` shows it), or start one with `jupyter lab`. "
    "Jobs that were running go on without a server, and it finds them again."
)


def find(environ: Mapping[str, str] = os.environ, runtime_dir: Path | None = None, cwd: Path | None = None) -> Access:
    """The server to talk to: the one that started this kernel, else the only one that runs.

    With several running that show different jobs the one whose root folder is nearest above `cwd` is taken.
    Raises NoServerError, saying what to do, where there is none or the choice is not clear.
    """
    folder = runtime_dir or Path(jupyter_runtime_dir())
    parent = environ.get("JPY_PARENT_PID", "")
    if parent.isdigit() and (access := _read(access_file(folder, int(parent)))):
        return access
    running = [access for file in access_files(folder) if (access := _read(file))]
    if not running:
        raise NoServerError(f"No Jupyter server with jupyter_trainlive is running here. {_ADVICE}")
    if len(running) == 1 or (running[0].jobs_dir and len({access.jobs_dir for access in running}) == 1):
        # Of several with the same jobs any will do: it names the one to ask for changes.
        return running[0]
    return _nearest(running, (cwd or Path.cwd()).resolve())


def of_server(pid: int, runtime_dir: Path | None = None) -> Access | None:
    """The running server of this user with that pid, if there is one."""
    return _read(access_file(runtime_dir or Path(jupyter_runtime_dir()), pid))


def is_running(access: Access, runtime_dir: Path | None = None) -> bool:
    """Whether the server that `access` leads to still runs."""
    return _read(access_file(runtime_dir or Path(jupyter_runtime_dir()), access.pid)) == access


def _nearest(running: list[Access], cwd: Path) -> Access:
    above = [access for access in running if cwd.is_relative_to(access.root_dir)]
    above.sort(key=lambda access: len(Path(access.root_dir).parts), reverse=True)
    if not above or (len(above) > 1 and above[0].root_dir == above[1].root_dir):
        urls = ", ".join(access.url for access in running)
        raise NoServerError(
            f"Several Jupyter servers are running ({urls}) and it is not clear which one is meant. "
            "Change into a folder that only one of them serves, or run this in one of its notebooks."
        )
    return above[0]


def _read(file: Path) -> Access | None:
    """What a running server wrote there; None for a file that is missing, foreign or left behind."""
    try:
        if file.stat().st_uid != os.getuid():
            return None
        access = read_access(file)
    except (OSError, ValueError):
        return None
    try:
        started = psutil.Process(access.pid).create_time()
    except psutil.Error:
        return None
    # A process that is younger than the file only bears the same pid.
    return access if started <= file.stat().st_mtime + 1 else None
