"""A process with pretend GPUs behind the real pynvml, and what a test may ask of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import fake_nvml

TESTS = Path(__file__).parents[1]
PROCESS_TIMEOUT_SECONDS = 30

Readings = Callable[..., list[list[dict[str, Any]]]]


@dataclass
class PretendGpus:
    """The library with its settings; a fresh process sees it through the real pynvml."""

    library: Path
    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "settings"

    @property
    def log(self) -> Path:
        return self.folder / "calls"

    def configure(self, **values: object) -> None:
        fake_nvml.configure(self.settings, LOG=self.log, **values)

    def calls(self) -> list[str]:
        """What was called on the library so far."""
        return self.log.read_text().split() if self.log.exists() else []

    def run(self, script: str, *args: object) -> Any:
        """What ``tests/system/<script>`` prints, as JSON, in a process that has these GPUs."""
        command = [sys.executable, str(Path(__file__).parent / script), str(self.settings), str(self.log)]
        done = subprocess.run(
            [*command, *(json.dumps(arg) for arg in args)],
            env=fake_nvml.environment(self.library, self.settings) | {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)
