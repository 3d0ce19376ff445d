"""A script as a job: it runs as ``__main__``, as `python train.py` would run it, wherever it finds itself."""

from __future__ import annotations

import contextlib
import importlib.machinery
import linecache
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..protocol.jobdir import JobDir
from . import plain_python
from .recorder import warn


def run(spec: Mapping[str, Any], job_dir: JobDir) -> None:
    """Run the job's script as it was when it was submitted; raises what it raises, SystemExit too."""
    path, args = script_of(spec)
    run_as_main(path, args, as_submitted(path, job_dir))


def script_of(spec: Mapping[str, Any]) -> tuple[Path, list[str]]:
    """Where the script lies, and its arguments; raises ValueError where the spec does not say."""
    path, args = spec.get("path"), spec.get("args")
    if not isinstance(path, str) or not isinstance(args, list):
        raise ValueError("spec.json has no path of a script and its args")
    return Path(path), [str(arg) for arg in args]


def as_submitted(path: Path, job_dir: JobDir) -> bytes:
    """The script as it was when the job was submitted; says so in the log where it is another one by now."""
    source = (job_dir.inputs / path.name).read_bytes()
    try:
        changed = path.read_bytes() != source
    except OSError:
        changed = True
    if changed:
        warn(f"{path} has changed since the job was submitted, and runs as it was then (inputs/{path.name})")
        # For tracebacks, and for whoever looks at sources. Without a time it is never taken for out of date.
        lines = source.decode("utf-8", "replace").splitlines(keepends=True)
        linecache.cache[str(path)] = (len(source), None, lines, str(path))
    return source


def run_as_main(path: Path, args: Sequence[str], source: bytes) -> None:
    """Run `source`, the content of the script `path`, as ``__main__`` with those arguments; raises what it raises.

    Its folder comes first in `sys.path`. In a kernel its names are those of the kernel afterwards, and while it runs
    nothing tells it that it isn't run by a plain Python.
    """
    code = compile(source, str(path), "exec", dont_inherit=True)
    sys.argv = [str(path), *args]
    if not getattr(sys.flags, "safe_path", False):
        if sys.path[:1] == [""]:
            del sys.path[0]
        sys.path.insert(0, str(path.parent))
    with plain_python.pretended(), _main(path) as namespace:
        exec(code, namespace)


@contextlib.contextmanager
def _main(path: Path) -> Iterator[dict[str, Any]]:
    """The namespace of ``__main__`` with what a script finds there and nothing else.

    In a kernel it is the user's, whose own names come back behind those of the script.
    """
    shell = plain_python.shell()
    if shell is None:
        # Whoever runs us may be the present one, and needs its names.
        sys.modules["__main__"] = types.ModuleType("__main__")
    namespace = vars(sys.modules["__main__"] if shell is None else shell.user_module)
    before = dict(namespace)
    namespace.clear()
    namespace.update(
        __name__="__main__",
        __doc__=None,
        __package__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", str(path)),
        # None, so that processes which are spawned find the script by its file.
        __spec__=None,
        __builtins__=before.get("__builtins__", __builtins__),
        __file__=str(path),
        __cached__=None,
    )
    try:
        yield namespace
    finally:
        for name, value in before.items():
            namespace.setdefault(name, value)
