"""What people use instead: in an environment of their own, in pinned versions, driven from here.

``side/`` holds what runs in there. One that can't be installed, or does not work, is told of and fails nothing.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

_REPOSITORY = Path(__file__).parents[2]
_ENVIRONMENT = _REPOSITORY / ".make" / "peers"
_CONSTRAINTS = _REPOSITORY / ".ci" / "bench-constraints.txt"
_SIDE = Path(__file__).parent / "side"

#: Each with the packages it needs.
PEERS = {
    "tensorboard": ("tensorboard", "torch"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "aim": ("aim",),
    "swanlab": ("swanlab",),
}
#: These run beside them, in our own environment.
OURS = ("trainlive", "floor")

#: Nothing of them may look for a network: there is none.
_OFFLINE = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "HF_HUB_OFFLINE": "1",
    "TRACKIO_TELEMETRY": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "AIM_UI_TELEMETRY_ENABLED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "NO_PROXY": "127.0.0.1,localhost",
}


class DoesNotRun(Exception):
    """A peer does not work on this machine; the text says why, in one line."""


@functools.cache
def versions() -> dict[str, str]:
    """The peers that are installed, with their versions; installs them at first need, which takes minutes."""
    stamp = _ENVIRONMENT / "installed.json"
    pinned = _CONSTRAINTS.read_text()
    if stamp.exists():
        known = json.loads(stamp.read_text())
        if known["pinned"] == pinned:
            return dict(known["versions"])
    print(f"Installing the peers into {_ENVIRONMENT} …", flush=True)
    if not _python().exists():
        _ENVIRONMENT.parent.mkdir(exist_ok=True)
        subprocess.run([_REPOSITORY / ".ci" / "venv", sys.executable, _ENVIRONMENT], cwd=_REPOSITORY, check=True)
    pip = [str(_python()), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "-c", str(_CONSTRAINTS)]
    subprocess.run([*pip, "psutil", "requests"], check=True)
    for packages in PEERS.values():
        subprocess.run([*pip, *packages])
    asked = "import importlib.metadata, json, sys; print(json.dumps([*map(importlib.metadata.version, sys.argv[1:])]))"
    found = {}
    for peer, packages in PEERS.items():
        done = subprocess.run([_python(), "-c", asked, *packages], capture_output=True, text=True)
        if done.returncode == 0:
            found[peer] = json.loads(done.stdout)[0]
    stamp.write_text(json.dumps({"pinned": pinned, "versions": found}, indent=1))
    return found


def called(peer: str) -> str:
    """A peer as the table calls it: with its version."""
    return f"{peer} {versions()[peer]}" if peer in versions() else peer


def environment(folder: Path) -> dict[str, str]:
    """Variables for a process of `side`: offline, everything it keeps in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER", "WANDB_"))}
    homes = {name: str(folder) for name in ("HOME", "TRACKIO_DIR", "WANDB_DIR", "XDG_CACHE_HOME", "MPLCONFIGDIR")}
    return {**kept, **_OFFLINE, **homes}


def command(who: str, script: str, *arguments: str) -> list[str]:
    """The command that runs a script of `side` for `who`; raises DoesNotRun where it is not installed."""
    if who in OURS:
        return [sys.executable, str(_SIDE / script), *arguments]
    if who not in versions():
        raise DoesNotRun("it can't be installed with this Python")
    return [str(_python()), str(_SIDE / script), *arguments]


def ask(who: str, script: str, folder: Path, *arguments: str, timeout: float = 120) -> Any:
    """What a script of `side` answers, in JSON on its last line; raises DoesNotRun with its last words."""
    try:
        done = subprocess.run(
            command(who, script, *arguments),
            env=environment(folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise DoesNotRun(f"no answer within {timeout:.0f} s") from None
    if done.returncode:
        raise DoesNotRun(last_words(done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def end_family(process: subprocess.Popen[Any]) -> None:
    """End a process and all that descend from it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


def last_words(text: str) -> str:
    """The last line that says something, short enough for a table."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return said[-1][:160] if said else "it ended without a word"


def _python() -> Path:
    return _ENVIRONMENT / "bin" / "python"
