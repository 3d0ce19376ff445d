"""What we compare with on the side of the server, as small Tornado servers: ``reference.py KIND FOLDER SETTINGS``.

``design``: the design this project comes from. The training replaces a progress file, the server reads it every 2 s and
sends what it read to every socket once a second; built once and serialised once, which is kinder than it may have been.
``floor``: a bare Tornado WebSocket that broadcasts frames of a given size at a given rate, nothing else.
Writes its port to FOLDER/port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from tornado.ioloop import PeriodicCallback
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

#: The seconds of the design.
FILE_SECONDS, SOCKET_SECONDS = 2.0, 1.0


class Sockets(WebSocketHandler):
    """All clients of the server; nobody is ever left out."""

    connected: set[Sockets] = set()  # noqa: RUF012 - one for the process

    def check_origin(self, origin: str) -> bool:
        return True

    def open(self) -> None:
        self.connected.add(self)

    def on_close(self) -> None:
        self.connected.discard(self)

    @classmethod
    def broadcast(cls, text: str) -> None:
        for socket in list(cls.connected):
            with contextlib.suppress(WebSocketClosedError):
                socket.write_message(text)


class Design:
    """The progress file, polled, and its content, sent."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "progress.json"
        self._progress: dict[str, Any] | None = None
        self._pollers = [
            PeriodicCallback(self._read, FILE_SECONDS * 1e3),
            PeriodicCallback(self._send, SOCKET_SECONDS * 1e3),
        ]
        for poller in self._pollers:
            poller.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._progress = json.loads(self._file.read_text())

    def _send(self) -> None:
        if self._progress is not None:
            Sockets.broadcast(json.dumps(self._progress))


class Floor:
    """Frames that say only when they were made, filled up to their size."""

    def __init__(self, hz: float, size: int) -> None:
        self._filling = "x" * max(0, size - 40)
        self._poller = PeriodicCallback(self._send, 1e3 / hz)
        self._poller.start()

    def _send(self) -> None:
        Sockets.broadcast(json.dumps({"t": time.time(), "filling": self._filling}))


async def _serve(kind: str, folder: Path, settings: dict[str, Any]) -> None:
    server = Application([("/ws", Sockets)]).listen(0, "127.0.0.1")
    kept = Design(folder) if kind == "design" else Floor(**settings)
    port = next(iter(server._sockets.values())).getsockname()[1]
    (folder / "port.new").write_text(str(port))
    (folder / "port.new").rename(folder / "port")
    await asyncio.Event().wait()
    del kept


@contextlib.contextmanager
def served(kind: str, folder: Path, **settings: Any) -> Iterator[tuple[psutil.Process, str]]:
    """One of them in a process of its own: the process and the URL of its socket."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, __file__, kind, str(folder), json.dumps(settings)])
    try:
        port = folder / "port"
        deadline = time.monotonic() + 30
        while not port.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        yield psutil.Process(process.pid), f"ws://127.0.0.1:{port.read_text()}/ws"
    finally:
        process.kill()
        process.wait()


#: A training of the design, ``TRAINING FOLDER HZ``: the newest step and its time, in a file that is replaced.
TRAINING = """
import json, os, sys, time
folder, hz = sys.argv[1], float(sys.argv[2])
step, due = 0, time.time()
while True:
    step += 1
    due += 1 / hz
    time.sleep(max(0.0, due - time.time()))
    content = {"job_id": "job", "status": "running", "progress": 1.0, "current_epoch": 0.1, "total_epochs": 1,
        "current_step": step, "total_steps": 100000, "loss": 1 / step, "eval_loss": None, "samples_per_second": 10.0,
        "gpu_memory_allocated_gb": None, "gpu_utilization_percent": None, "eta_seconds": 1.0, "timestamp": time.time(),
        "complete": False}
    with open(folder + "/progress.new", "w") as file:
        json.dump(content, file)
    os.replace(folder + "/progress.new", folder + "/progress.json")
"""


@contextlib.contextmanager
def training(folder: Path, hz: float) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", TRAINING, str(folder), str(hz)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
