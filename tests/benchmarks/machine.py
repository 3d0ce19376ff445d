"""What the numbers were measured on: the machine, its load before, versions and commit."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_REPOSITORY = Path(__file__).parents[2]
_OF_INTEREST = ("jupyter_server", "tornado", "jupyterlab", "websockets", "numpy", "orjson", "httpx", "playwright")


def state() -> dict[str, Any]:
    """The machine and what runs on it, as it is now."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
        "measured_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def described(states: dict[str, dict[str, Any]]) -> list[str]:
    """Lines that say it for all parts; what they share is said once."""
    if not states:
        return []
    newest = max(states.values(), key=lambda each: each["measured_at"])
    versions = ", ".join(f"{name} {number}" for name, number in newest["versions"].items())
    parts = [f"{name} {each['measured_at']} ({each['commit']}, load {each['load']})" for name, each in states.items()]
    return [
        f"{newest['system']}, {newest['processor']}, {newest['cores']} cores, {newest['memory_gb']} GB, "
        f"Python {newest['python']}; {versions}.",
        "",
        f"Measured: {'; '.join(parts)}.",
        "",
        "A core is 100 %. Times are from one machine-wide clock; sizes are in kB of 1,000 bytes. "
        "× ours: the median as a multiple of trainlive's in the same run.",
    ]


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _versions() -> dict[str, str]:
    found = {}
    for name in _OF_INTEREST:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=_REPOSITORY, capture_output=True, text=True).stdout.strip()

    changed = "+ changes" if git("status", "--porcelain", "--", "jupyter_trainlive", "js") else ""
    return " ".join(filter(None, (git("rev-parse", "--short", "HEAD"), changed)))
