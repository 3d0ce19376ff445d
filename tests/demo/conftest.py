"""The demo as a person starts it: a process of its own, with folders of its own for all that Jupyter writes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

#: What is seen of the demo, and how long that may take at most.
END_SECONDS = 240.0
STOP_SECONDS = 30.0


@dataclass
class Demo:
    """A demo that runs, or did."""

    home: Path
    process: subprocess.Popen[bytes]
    screen: int
    _text: bytearray = field(default_factory=bytearray)

    @property
    def folder(self) -> Path:
        return self.home / "demo"

    @property
    def text(self) -> str:
        """All that it printed so far."""
        return self._text.decode(errors="replace")

    def read(self) -> None:
        """Take what it prints, until nobody prints there any more."""
        # The end of a pseudo-terminal is an error on Linux.
        with contextlib.suppress(OSError):
            while data := os.read(self.screen, 1 << 16):
                self._text += data
        os.close(self.screen)

    def until(self, seen: Callable[[str], bool], seconds: float = END_SECONDS) -> None:
        """Wait until what it printed is so."""
        deadline = time.monotonic() + seconds
        while not seen(self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill_training(self) -> None:
        os.kill(int(str(self.records("process")[0]["pid"])), signal.SIGKILL)

    def end(self, seconds: float = END_SECONDS) -> int:
        """Wait for its end; the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running: {self.running()}\n{self.text}")

    def running(self) -> list[psutil.Process]:
        """All processes that it started, directly or not, and that have not ended."""
        mine = str(self.home / "data")
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ended = process.status() == psutil.STATUS_ZOMBIE
                if not ended and process.environ().get("JUPYTER_DATA_DIR") == mine:
                    found.append(process)
        return found

    def is_gone(self, seconds: float = 2.0) -> bool:
        """Whether nothing of it runs; what is just ending has a moment."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.running()

    def job(self) -> Path:
        """The directory of its only job."""
        (spec,) = self.folder.glob("jobs/*/spec.json")
        return spec.parent

    def records(self, journal: str) -> list[dict[str, object]]:
        lines = (self.job() / "journal" / f"{journal}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start a demo, in a terminal or with a pipe for its output; whatever it leaves is ended afterwards."""
    started: list[Demo] = []

    def run(*arguments: str, terminal: bool = False) -> Demo:
        folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER"))},
            **{name: str(tmp_path / folder) for name, folder in folders.items()},
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "COLUMNS": "100",
        }
        screen, its_end = pty.openpty() if terminal else os.pipe()
        command = [str(Path(sys.executable).with_name("jupyter")), "trainlive", "demo", "--folder"]
        process = subprocess.Popen(
            [*command, str(tmp_path / "demo"), *arguments],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=its_end,
            stderr=its_end,
            start_new_session=True,
        )
        os.close(its_end)
        demo = Demo(tmp_path, process, screen)
        threading.Thread(target=demo.read, daemon=True).start()
        started.append(demo)
        return demo

    yield run
    for demo in started:
        for process in demo.running():
            with contextlib.suppress(psutil.Error):
                process.kill()
        demo.process.wait()
