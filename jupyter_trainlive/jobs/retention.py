"""Retention: which jobs and checkpoints may go, what they take on the disk, and how they are removed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..protocol.checkpoints import checkpoints_in, step_of
from ..protocol.jobdir import JobDir, is_job_id
from ..system.units import BYTES_PER_GB, gigabytes

_DAY_SECONDS = 86_400.0
_DELETED = re.compile(r"\.deleted-(?P<name>.+)-[0-9a-f]{8}")


@dataclass(frozen=True)
class Checkpoint:
    """One folder ``checkpoints/checkpoint-<step>``; `path` is relative to the job directory."""

    path: str
    step: int
    size_bytes: int
    complete: bool


@dataclass(frozen=True)
class Kept:
    """A job as it lies there. `resumable` says that its state allows it to go on, `size_bytes` counts all of it."""

    job_id: str
    ended: bool
    resumable: bool
    ended_at: float | None
    size_bytes: int
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether it is not to be removed: it is active, or could go on from what it saved."""
        return not self.ended or (self.resumable and any(checkpoint.complete for checkpoint in self.checkpoints))

    @property
    def superseded(self) -> list[Checkpoint]:
        """All checkpoints but the newest complete one (the newest of all where none is complete), oldest first."""
        newest = max(self.checkpoints, key=lambda checkpoint: (checkpoint.complete, checkpoint.step), default=None)
        others = (checkpoint for checkpoint in self.checkpoints if checkpoint is not newest)
        return sorted(others, key=lambda checkpoint: checkpoint.step)


@dataclass(frozen=True)
class Removal:
    """What is to go: the whole job where `path` is None, else that checkpoint of it."""

    job_id: str
    path: str | None
    size_bytes: int
    reason: str


def plan(jobs: Sequence[Kept], *, now: float, max_age_days: float | None, max_total_gb: float | None) -> list[Removal]:
    """What must go for the jobs to keep within the limits; None is no limit, a GB is 2**30 bytes.

    An active job is never touched, nor is the newest complete checkpoint of one that could go on from it. By age,
    jobs that ended too long ago go whole, or all but that checkpoint. By size, the superseded checkpoints of ended
    jobs go first, then whole jobs, always those of the oldest first and no more than needed.
    """
    # Whose end isn't known is taken for the newest.
    ended = sorted((job for job in jobs if job.ended), key=lambda job: (job.ended_at is None, job.ended_at or 0.0))
    removals: dict[str, list[Removal]] = {job.job_id: [] for job in ended}
    if max_age_days is not None:
        for job in ended:
            days = 0.0 if job.ended_at is None else (now - job.ended_at) / _DAY_SECONDS
            if days > max_age_days:
                removals[job.job_id] = _aged(job, f"ended {days:.1f} days ago, and {max_age_days:g} are the limit")
    if max_total_gb is not None:
        _fit(jobs, ended, removals, max_total_gb * BYTES_PER_GB)
    return [removal for of_one in removals.values() for removal in of_one]


def _aged(job: Kept, why: str) -> list[Removal]:
    if job.needed:
        return [_without(job, checkpoint, f"its job {why}") for checkpoint in job.superseded]
    return [Removal(job.job_id, None, job.size_bytes, f"Job {job.job_id} goes: it {why}.")]


def _without(job: Kept, checkpoint: Checkpoint, why: str) -> Removal:
    reason = f"{checkpoint.path} of job {job.job_id} goes: another one is kept, {why}."
    return Removal(job.job_id, checkpoint.path, checkpoint.size_bytes, reason)


def _fit(jobs: Sequence[Kept], ended: Sequence[Kept], removals: dict[str, list[Removal]], limit_bytes: float) -> None:
    """Add removals until what is left takes no more than that."""
    left = sum(job.size_bytes for job in jobs)
    why = f"the jobs take {gigabytes(left):.2f} GB, and {gigabytes(limit_bytes):g} are the limit"
    left -= sum(removal.size_bytes for of_one in removals.values() for removal in of_one)
    untouched = [job for job in ended if not removals[job.job_id]]
    for job in untouched:
        for checkpoint in job.superseded:
            if left <= limit_bytes:
                return
            removals[job.job_id].append(_without(job, checkpoint, why))
            left -= checkpoint.size_bytes
    for job in untouched:
        if left <= limit_bytes:
            return
        if not job.needed:
            left -= job.size_bytes - sum(removal.size_bytes for removal in removals[job.job_id])
            removals[job.job_id] = [Removal(job.job_id, None, job.size_bytes, f"Job {job.job_id} goes: {why}.")]


def measure(job_dir: JobDir, complete: Callable[[Path], bool]) -> tuple[int, tuple[Checkpoint, ...]]:
    """Bytes that a job takes on the disk, and its checkpoints by step; `complete` judges a checkpoint's folder.

    Links are not followed: what they point to is not the job's. What vanishes meanwhile is left out.
    """
    folders = [] if job_dir.checkpoints.is_symlink() else checkpoints_in(job_dir.checkpoints)
    checkpoints = tuple(
        Checkpoint(
            folder.relative_to(job_dir.path).as_posix(), step_of(folder) or 0, _disk_use(folder), complete(folder)
        )
        for folder in folders
    )
    return _disk_use(job_dir.path), checkpoints


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _disk_use(path: Path) -> int:
    """As du counts: allocated blocks, a file with several names once."""
    size, folders, seen = 0, [str(path)], set[tuple[int, int]]()

    def add(status: os.stat_result) -> None:
        nonlocal size
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            size += status.st_blocks * 512

    with contextlib.suppress(OSError):
        status = path.lstat()
        add(status)
        if not stat.S_ISDIR(status.st_mode):
            return size
    while folders:
        for entry in _entries(folders.pop()):
            with contextlib.suppress(OSError):
                add(entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return size


def remove(job_dir: JobDir, path: str | None) -> None:
    """Remove a whole job, or the checkpoint at `path` (relative, as in `Removal`); what is gone already is no error.

    It vanishes for every reader at once, then its files are removed; links are removed, not followed. Raises
    ValueError where that is neither a job nor a checkpoint, OSError where it can't be removed: when some of it is
    left then, `finish_deletions` tries again.
    """
    if path is None:
        if not is_job_id(job_dir.job_id):
            raise ValueError(f"{job_dir.path} is no job's directory")
        target = job_dir.path
    else:
        target = job_dir.checkpoints / path.removeprefix("checkpoints/")
        if step_of(target) is None or path != f"checkpoints/{target.name}" or job_dir.checkpoints.is_symlink():
            raise ValueError(f"{path!r} is no checkpoint of a job")
    deleted = target.with_name(f".deleted-{target.name}-{secrets.token_hex(4)}")
    try:
        target.rename(deleted)
    except FileNotFoundError:
        return
    _remove_tree(deleted)


def finish_deletions(jobs_dir: Path) -> None:
    """Remove what interrupted deletions have left; raises OSError for the first that can't be, the others are gone."""
    failed: OSError | None = None
    folders = [Path(job.path, "checkpoints") for job in _entries(jobs_dir) if is_job_id(job.name)]
    for folder in (jobs_dir, *(folder for folder in folders if not folder.is_symlink())):
        for entry in list(_entries(folder)):
            match = _DELETED.fullmatch(entry.name)
            if match and (is_job_id(match["name"]) or step_of(Path(match["name"])) is not None):
                try:
                    _remove_tree(Path(entry.path))
                except OSError as error:
                    failed = failed or error
    if failed is not None:
        raise failed


def _remove_tree(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    # A folder that its owner may not write keeps its files.
    path.chmod(0o700)
    for place, folders, _ in os.walk(path):
        for name in folders:
            folder = Path(place, name)
            if not folder.is_symlink():
                folder.chmod(0o700)
    shutil.rmtree(path)
