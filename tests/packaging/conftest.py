"""What pip makes of this checkout, and an environment into which nothing else was installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the variables to use it with, none of Jupyter's among them."""

    folder: Path
    variables: dict[str, str]

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *command: str) -> str:
        """What a command of this environment says; it must succeed.

        Its folder is not the checkout, from which Python would import instead.
        """
        done = run(str(self.folder / "bin" / command[0]), *command[1:], cwd=self.folder, env=self.variables)
        return done.stdout + done.stderr


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def build(source: Path, target: str, folder: Path) -> Path:
    """Build the wheel or the sdist of that source tree with this very environment; its path."""
    run(sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder), cwd=source)
    return next(folder.glob("*.whl" if target == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip install .` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", str(folder), str(REPOSITORY))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def unpacked_sdist(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked. Made after the wheel: what that had to build is there."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(REPOSITORY, "sdist", folder)) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel, what it depends on, and no extra."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home / "venv", symlinks=True)
    python = str(home / "venv" / "bin" / "python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", str(wheel))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER"))}
    own = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    return Environment(home / "venv", {**inherited, **own})
