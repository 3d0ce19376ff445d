"""What a job leaves behind: the files in its artifacts and checkpoints, the last it said, and what it ran in."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..protocol.jobdir import JobDir

#: A list is for looking at; a job may leave more files than anybody looks at.
_MOST = 1000
_TAIL_LINES, _TAIL_BYTES = 20, 8192
#: A few hundred packages are 20 kB.
_ENVIRONMENT_LIMIT_BYTES = 1 << 20


def listing(job_dir: JobDir) -> list[dict[str, Any]]:
    """[{"path", "size_bytes"}], paths relative to the job directory and in order, 1,000 at the most.

    Links are not followed: what they point to is not the job's. What vanishes meanwhile is left out.
    """
    found = itertools.chain(walk(job_dir, job_dir.artifacts), walk(job_dir, job_dir.checkpoints))
    return [{"path": path, "size_bytes": known.st_size} for path, known in itertools.islice(found, _MOST)]


def walk(job_dir: JobDir, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What lies in a folder of the job, in order: paths relative to the job directory, and what is known of each."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)  # noqa: PTH118 - os.walk gives strings, perhaps a million
            try:
                known = os.lstat(path)
            except OSError:
                continue
            yield os.path.relpath(path, job_dir.path), known


def environment(job_dir: JobDir) -> dict[str, Any] | None:
    """In what the job's latest attempt runs or ran, as its training process found it; None where it has not said."""
    try:
        with job_dir.environment_file.open("rb") as file:
            data = file.read(_ENVIRONMENT_LIMIT_BYTES + 1)
        found = json.loads(data) if len(data) <= _ENVIRONMENT_LIMIT_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def last_lines(log: Path) -> str:
    """The last 20 lines of an output, or what of them lies in its last 8 KiB; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            data = file.read()
    except OSError:
        return ""
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:])
