"""Builds the stand-in for NVIDIA's libnvidia-ml, has a process load it, and changes its mind.

What it can be told to do stands at the head of ``tests/system/fake_nvml.c``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "system" / "fake_nvml.c"


def has_compiler() -> bool:
    """Whether there is a C compiler to build it with."""
    return shutil.which("cc") is not None


def build(tmp_dir: Path) -> Path:
    """Compile ``libnvidia-ml.so.1`` into ``tmp_dir`` and return its path. Raises CalledProcessError."""
    library = tmp_dir / "libnvidia-ml.so.1"
    command = ["cc", "-shared", "-fPIC", "-fvisibility=hidden", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE), "-lm"], check=True)
    return library


def environment(library: Path, settings: Path | None = None) -> dict[str, str]:
    """This process's environment, changed so that a new process loads ``library``, told by `configure`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("NVML_FAKE_")}
    env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(library.parent), env.get("LD_LIBRARY_PATH")]))
    return env if settings is None else env | {"NVML_FAKE_FILE": str(settings)}


def configure(settings: Path, **values: object) -> None:
    """Write the whole settings file, at once for processes that run: `configure(file, COUNT=1)`."""
    draft = settings.with_suffix(".draft")
    draft.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    draft.replace(settings)
