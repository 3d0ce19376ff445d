"""What the extension costs when there is nothing to do: two servers, one without it, left alone side by side."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from .crowd import cpu_seconds, uss_mb
from .measure import Row, amount

ROUNDS, SECONDS = 2, 30.0
#: Until a new server has done what it does in its first seconds.
_WARM_SECONDS = 8.0


def run(folder: Path) -> list[Row]:
    with bare_server(folder / "with", enabled=True) as ours, bare_server(folder / "without", enabled=False) as other:
        time.sleep(_WARM_SECONDS)
        memory = {process: uss_mb(process) for process in (ours, other)}
        spent: dict[psutil.Process, float] = dict.fromkeys((ours, other), 0.0)
        for _ in range(ROUNDS):
            before = {process: cpu_seconds(process) for process in spent}
            time.sleep(SECONDS)
            for process in spent:
                spent[process] += cpu_seconds(process) - before[process]
    what = f"no job, no watcher: processor time in {SECONDS:.0f} s"
    per_round = {process: seconds / ROUNDS * 1e3 for process, seconds in spent.items()}
    added = max(0.0, per_round[ours] - per_round[other])
    return [
        amount(what, "ms", per_round[ours], samples=ROUNDS),
        amount(what, "ms", per_round[other], who="server without it", samples=ROUNDS),
        amount("added by the extension", "ms", added, most=30, note="30 ms in 30 s are 0.1 % of a core"),
        amount("no job, no watcher: memory (USS)", "MB", memory[ours]),
        amount("no job, no watcher: memory (USS)", "MB", memory[other], who="server without it"),
    ]


def environment(home: Path, enabled: bool) -> dict[str, str]:
    """The variables of a server with all its folders in `home`, and with or without the extension."""
    home.mkdir(parents=True, exist_ok=True)
    # Everything else that is installed beside us stays as it is.
    config = {"ServerApp": {"jpserver_extensions": {"jupyter_trainlive": enabled}}}
    (home / "jupyter_server_config.json").write_text(json.dumps(config))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER"))}
    return env | {f"JUPYTER_{name}_DIR": str(home) for name in ("CONFIG", "DATA", "RUNTIME")}


@contextlib.contextmanager
def bare_server(home: Path, *, enabled: bool) -> Iterator[psutil.Process]:
    """A server that is up, as one starts it, with or without the extension."""
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={home}"]
    env = environment(home, enabled)
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        up, deadline = home / f"jpserver-{process.pid}.json", time.monotonic() + 60
        while not up.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server in {home} did not start")
            time.sleep(0.05)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
