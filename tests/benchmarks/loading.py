"""What importing the package and running the extension add to what Jupyter loads by itself."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from .idle import environment
from .measure import Row, measured

RUNS, SERVERS = 15, 10
#: Prints the milliseconds that a statement takes once others are done, and whether torch came along.
_TIMED = "import sys, time; {before}; t = time.perf_counter(); {statement}; print((time.perf_counter() - t) * 1e3, 'torch' in sys.modules)"  # noqa: E501
_JUPYTER = "import jupyter_server.serverapp"
_STATEMENTS = (
    # What it costs to load Jupyter's own server: the measure of the others.
    (_JUPYTER, "pass", _JUPYTER, None),
    ("import jupyter_trainlive", "pass", "import jupyter_trainlive", 100),
    ("jupyter_trainlive.server.app, on top of Jupyter's", _JUPYTER, "import jupyter_trainlive.server.app", 100),
)

#: A full garbage collection takes 0.1 s and more by then, and one module more or less decides whether the first
#: one falls before or after the server's first answer. It is Jupyter's in any case, so neither server has it.
_SERVER = "import gc; gc.disable(); from jupyter_server.serverapp import main; main()"

#: A server that is made ready but does not serve; prints the milliseconds it spent with the extension.
_LOADING = """
import asyncio, os, time
from jupyter_server.extension.manager import ExtensionManager
from jupyter_server.serverapp import ServerApp

milliseconds = 0.0

def timed(method):
    def call(manager, name, *arguments, **options):
        global milliseconds
        began = time.perf_counter()
        result = method(manager, name, *arguments, **options)
        if name == "jupyter_trainlive":
            milliseconds += (time.perf_counter() - began) * 1e3
        return result
    return call

for name in ("add_extension", "link_extension", "load_extension"):
    setattr(ExtensionManager, name, timed(getattr(ExtensionManager, name)))
server = ServerApp()
server.initialize(argv=["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"])
(extension,) = server.extension_manager.extension_apps["jupyter_trainlive"]

async def start():
    began = time.perf_counter()
    await extension._start_jupyter_server_extension(server)
    taken = time.perf_counter() - began
    await extension.stop_extension()
    print(milliseconds + taken * 1e3, flush=True)
    os._exit(0)

asyncio.run(start())
"""


def run(folder: Path) -> list[Row]:
    imports: dict[str, list[float]] = {what: [] for what, *_ in _STATEMENTS}
    for _ in range(RUNS):
        for what, before, statement, _ in _STATEMENTS:
            imports[what].append(_time(before, statement))
    rows = [measured(what, "ms", imports[what], most=most) for what, *_, most in _STATEMENTS]

    loaded = [_load_extension(folder / "in-process") for _ in range(RUNS)]
    rows.append(measured("importing, linking, loading and starting the extension", "ms", loaded, most=100))

    walls: dict[bool, list[float]] = {False: [], True: []}
    processors: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(SERVERS):
        for enabled in (False, True):
            wall, processor = _start_server(folder / "server", enabled)
            walls[enabled].append(wall)
            processors[enabled].append(processor)
    for what, taken in (("until it answers", walls), ("processor time", processors)):
        rows.append(measured(f"server start, {what}", "ms", taken[True]))
        rows.append(measured(f"server start, {what}", "ms", taken[False], who="server without it"))
        added = [one - other for one, other in zip(taken[True], taken[False], strict=True)]
        rows.append(measured(f"added by the extension, {what}", "ms", added, most=100))
    return rows


def _time(before: str, statement: str) -> float:
    code = _TIMED.format(before=before, statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    milliseconds, torch = done.stdout.split()
    assert torch == "False", f"{statement} imports torch"
    return float(milliseconds)


def _load_extension(home: Path) -> float:
    """Milliseconds that a new server spends with the extension until it has started."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADING], env=environment(home, True), capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def _start_server(home: Path, enabled: bool) -> tuple[float, float]:
    """Milliseconds until a new server answers, and of processor time until then."""
    env = environment(home, enabled)
    command = [sys.executable, "-c", _SERVER, "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={home}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        info = _wait_for(home / f"jpserver-{process.pid}.json", process)
        with httpx.Client(trust_env=False) as http:
            http.get(f"{info['url']}api").raise_for_status()
        wall = time.perf_counter() - began
        used = psutil.Process(process.pid).cpu_times()
    finally:
        process.kill()
        process.wait()
    return wall * 1e3, (used.user + used.system) * 1e3


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return dict(json.loads(file.read_text()))
        time.sleep(0.001)
    raise RuntimeError(f"the server wrote no {file.name}")
