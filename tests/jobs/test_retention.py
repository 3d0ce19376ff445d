"""Housekeeping never takes what is needed, takes no more than it must, and takes it whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_trainlive.jobs.retention import Checkpoint, Kept, Removal, finish_deletions, measure, plan, remove
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id

DAY, GB = 86_400.0, 2**30
NOW = 1_800_000_000.0


def checkpoint(step: int, size_gb: float = 1, complete: bool = True) -> Checkpoint:
    return Checkpoint(f"checkpoints/checkpoint-{step}", step, int(size_gb * GB), complete)


def job(
    name: str,
    *checkpoints: Checkpoint,
    days: float | None = 1,
    size_gb: float = 10,
    ended: bool = True,
    resumable: bool = False,
) -> Kept:
    return Kept(name, ended, resumable, None if days is None else NOW - days * DAY, int(size_gb * GB), checkpoints)


def removed(
    *jobs: Kept, max_age_days: float | None = None, max_total_gb: float | None = None
) -> list[tuple[str, str | None]]:
    removals = plan(jobs, now=NOW, max_age_days=max_age_days, max_total_gb=max_total_gb)
    return [(removal.job_id, removal.path and removal.path.removeprefix("checkpoints/")) for removal in removals]


def test_without_limits_nothing_goes() -> None:
    assert removed(job("a", checkpoint(1), checkpoint(2), days=1e6, size_gb=1e6)) == []


def test_jobs_that_ended_too_long_ago_go_whole_and_others_stay() -> None:
    old, young = job("old", checkpoint(1), days=8), job("young", checkpoint(1), checkpoint(2), days=6.9)
    ahead, unknown = job("ahead of the clock", days=-100), job("of an unknown end", days=None)
    active = job("active", checkpoint(1), checkpoint(2), days=None, ended=False)
    assert removed(old, young, ahead, unknown, active, max_age_days=7) == [("old", None)]


def test_a_job_that_could_go_on_loses_its_superseded_checkpoints_alone() -> None:
    resumable = job("r", checkpoint(30), checkpoint(100), checkpoint(200, complete=False), days=99, resumable=True)
    assert removed(resumable, max_age_days=7) == [("r", "checkpoint-30"), ("r", "checkpoint-200")]
    assert removed(resumable, max_total_gb=0) == [("r", "checkpoint-30"), ("r", "checkpoint-200")]


def test_a_job_without_a_complete_checkpoint_has_nothing_to_go_on_from() -> None:
    assert removed(job("r", days=99, resumable=True), max_age_days=7) == [("r", None)]
    assert removed(job("r", checkpoint(1, complete=False), days=99, resumable=True), max_age_days=7) == [("r", None)]


def test_by_size_superseded_checkpoints_go_first_and_the_oldest_jobs_before_others() -> None:
    older = job("older", checkpoint(1), checkpoint(2), checkpoint(3), days=9)
    newer = job("newer", checkpoint(9), checkpoint(10), days=2)
    active = job("active", checkpoint(1), checkpoint(2), days=None, ended=False)
    everything = (active, newer, older)
    assert removed(*everything, max_total_gb=30) == []
    assert removed(*everything, max_total_gb=29.5) == [("older", "checkpoint-1")]
    assert removed(*everything, max_total_gb=28) == [("older", "checkpoint-1"), ("older", "checkpoint-2")]
    assert removed(*everything, max_total_gb=27)[2:] == [("newer", "checkpoint-9")]
    assert removed(*everything, max_total_gb=26.9) == [("older", None), ("newer", "checkpoint-9")]
    assert removed(*everything, max_total_gb=1) == [("older", None), ("newer", None)]


def test_what_goes_by_age_counts_before_anything_goes_by_size() -> None:
    old, young = job("old", days=30), job("young", checkpoint(1), checkpoint(2), days=1)
    assert removed(old, young, max_age_days=7, max_total_gb=10) == [("old", None)]
    assert removed(old, young, max_age_days=7, max_total_gb=9) == [("old", None), ("young", "checkpoint-1")]


def test_each_removal_says_why_and_how_much_it_frees() -> None:
    old = job("old", checkpoint(1), checkpoint(2, size_gb=3), days=30.04, resumable=True)
    assert plan([old], now=NOW, max_age_days=7, max_total_gb=None) == [
        Removal(
            "old",
            "checkpoints/checkpoint-1",
            GB,
            "checkpoints/checkpoint-1 of job old goes: another one is kept, its job ended 30.0 days ago, "
            "and 7 are the limit.",
        )
    ]
    [removal] = plan([job("done", size_gb=2.5)], now=NOW, max_age_days=None, max_total_gb=1.5)
    assert removal.size_bytes == 2.5 * GB
    assert removal.reason == "Job done goes: the jobs take 2.50 GB, and 1.5 are the limit."


@st.composite
def _jobs(draw: st.DrawFn) -> list[Kept]:
    jobs = []
    for number in range(draw(st.integers(0, 5))):
        steps = draw(st.lists(st.integers(0, 30), unique=True, max_size=4))
        checkpoints = tuple(checkpoint(step, draw(st.integers(0, 4)), draw(st.booleans())) for step in steps)
        size_gb = draw(st.integers(0, 5)) + sum(item.size_bytes for item in checkpoints) / GB
        days = draw(st.none() | st.floats(-5, 50))
        jobs.append(
            job(
                f"job {number}",
                *checkpoints,
                days=days,
                size_gb=size_gb,
                ended=draw(st.booleans()),
                resumable=draw(st.booleans()),
            )
        )
    return jobs


_LIMITS = st.none() | st.floats(0, 40)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(jobs=_jobs(), max_age_days=_LIMITS, max_total_gb=_LIMITS)
@example(jobs=[], max_age_days=0.0, max_total_gb=0.0)
def test_whatever_there_is_the_needed_stays_and_the_limits_are_kept(
    jobs: list[Kept], max_age_days: float | None, max_total_gb: float | None
) -> None:
    removals = plan(jobs, now=NOW, max_age_days=max_age_days, max_total_gb=max_total_gb)
    known = {item.job_id: item for item in jobs}
    whole = {removal.job_id for removal in removals if removal.path is None}
    parts = {(removal.job_id, removal.path) for removal in removals if removal.path is not None}
    assert len(removals) == len(whole) + len(parts), "nothing goes twice"
    assert not whole & {job_id for job_id, _ in parts}, "no part goes of what goes whole"

    freed = 0
    for removal in removals:
        owner = known[removal.job_id]
        assert owner.ended, "an active job is never touched"
        complete = [item for item in owner.checkpoints if item.complete]
        if owner.resumable and complete:
            assert removal.path is not None, "a job that could go on stays"
            assert removal.path != max(complete, key=lambda item: item.step).path, "with what it could go on from"
        sizes = {None: owner.size_bytes, **{item.path: item.size_bytes for item in owner.checkpoints}}
        assert removal.size_bytes == sizes[removal.path]
        freed += removal.size_bytes

    left = sum(item.size_bytes for item in jobs) - freed
    stay = [item for item in jobs if item.ended and item.job_id not in whole]
    free_to_go = [item for item in stay if not (item.resumable and any(one.complete for one in item.checkpoints))]
    spare = [
        one
        for item in stay
        for one in sorted(item.checkpoints, key=lambda one: (one.complete, one.step))[:-1]
        if (item.job_id, one.path) not in parts
    ]
    if max_total_gb is not None:
        assert left <= max_total_gb * GB or not (free_to_go or spare), "it fits, or nothing is left that may go"
    if max_age_days is not None:
        kept_too_long = [
            item for item in free_to_go if item.ended_at is not None and NOW - item.ended_at > max_age_days * DAY
        ]
        assert kept_too_long == []
    if max_age_days is None and max_total_gb is not None and removals:
        smallest = min(removal.size_bytes for removal in removals)
        largest = max(removal.size_bytes for removal in removals)
        assert left + largest > max_total_gb * GB or smallest == 0, "no more goes than must"


@pytest.fixture
def job_dir(tmp_path: Path) -> JobDir:
    (tmp_path / "jobs").mkdir()
    made = JobDir(tmp_path / "jobs" / new_job_id())
    made.create()
    return made


def save(job_dir: JobDir, name: str, size_bytes: int = 100_000) -> Path:
    folder = job_dir.checkpoints / name
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "state").write_bytes(b"x" * size_bytes)
    return folder


def outside(job_dir: JobDir) -> Path:
    """A folder that is not the job's; it is named like one of its checkpoints."""
    folder = job_dir.path.parent.parent / "outside" / "checkpoint-7"
    folder.mkdir(parents=True)
    (folder / "kept").write_bytes(b"x" * 500_000)
    return folder


def test_what_a_job_takes_is_what_du_counts(job_dir: JobDir) -> None:
    save(job_dir, "checkpoint-100", 300_000)
    save(job_dir, "checkpoint-20")
    save(job_dir, "tmp-checkpoint-300")
    (job_dir.checkpoints / "checkpoint-x").mkdir()
    (job_dir.checkpoints / "checkpoint-5").write_bytes(b"a file")
    elsewhere = outside(job_dir)
    (job_dir.checkpoints / "checkpoint-7").symlink_to(elsewhere)
    (job_dir.artifacts / "model").symlink_to(elsewhere.parent)
    with (job_dir.artifacts / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (job_dir.artifacts / "again").hardlink_to(job_dir.checkpoints / "checkpoint-100" / "optimizer" / "state")

    def du(path: Path) -> int:
        return int(subprocess.check_output(["du", "--block-size=1", "--summarize", path]).split()[0])

    asked: list[Path] = []

    def complete(path: Path) -> bool:
        asked.append(path)
        return path.name == "checkpoint-20"

    size, checkpoints = measure(job_dir, complete)
    assert size == du(job_dir.path)
    folders = [job_dir.checkpoints / "checkpoint-20", job_dir.checkpoints / "checkpoint-100"]
    assert checkpoints == (
        Checkpoint("checkpoints/checkpoint-20", 20, du(folders[0]), True),
        Checkpoint("checkpoints/checkpoint-100", 100, du(folders[1]), False),
    )
    assert asked == folders


def test_a_job_that_vanishes_takes_nothing(job_dir: JobDir) -> None:
    shutil.rmtree(job_dir.path)
    assert measure(job_dir, lambda path: True) == (0, ())


def test_a_linked_checkpoints_folder_is_nobodys_business(job_dir: JobDir) -> None:
    elsewhere = outside(job_dir)
    job_dir.checkpoints.rmdir()
    job_dir.checkpoints.symlink_to(elsewhere.parent)
    size, checkpoints = measure(job_dir, lambda path: True)
    assert size < 500_000
    assert checkpoints == ()
    with pytest.raises(ValueError, match="no checkpoint"):
        remove(job_dir, "checkpoints/checkpoint-7")
    leftover = elsewhere.rename(elsewhere.with_name(".deleted-checkpoint-7-0123abcd"))
    finish_deletions(job_dir.path.parent)
    assert (leftover / "kept").exists()


def test_a_removed_job_is_gone_with_its_files_and_links_are_not_followed(job_dir: JobDir) -> None:
    elsewhere = outside(job_dir)
    save(job_dir, "checkpoint-1")
    (job_dir.artifacts / "folder").symlink_to(elsewhere)
    (job_dir.artifacts / "file").symlink_to(elsewhere / "kept")
    (job_dir.artifacts / "nowhere").symlink_to("nowhere")
    mode = elsewhere.stat().st_mode
    remove(job_dir, None)
    assert list(job_dir.path.parent.iterdir()) == []
    assert (elsewhere / "kept").exists()
    assert elsewhere.stat().st_mode == mode
    remove(job_dir, None)


def test_a_job_that_is_a_link_is_unlinked_and_what_it_points_to_stays(job_dir: JobDir) -> None:
    real = job_dir.path.rename(job_dir.path.parent.parent / "real")
    job_dir.path.symlink_to(real)
    remove(job_dir, None)
    assert list(job_dir.path.parent.iterdir()) == []
    assert (real / "artifacts").is_dir()


def test_one_checkpoint_is_removed_alone(job_dir: JobDir) -> None:
    elsewhere = outside(job_dir)
    for name in ("checkpoint-1", "checkpoint-11"):
        save(job_dir, name)
    (job_dir.checkpoints / "checkpoint-7").symlink_to(elsewhere)
    for name in ("checkpoint-1", "checkpoint-7", "checkpoint-404"):
        remove(job_dir, f"checkpoints/{name}")
    assert [path.name for path in job_dir.checkpoints.iterdir()] == ["checkpoint-11"]
    assert (elsewhere / "kept").exists()


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "checkpoints",
        "checkpoints/",
        "checkpoints/checkpoint-",
        "checkpoints/checkpoint-1/",
        "checkpoints/checkpoint-1/optimizer",
        "checkpoints/checkpoint-1\n",
        "checkpoints/checkpoint-1/../../artifacts",
        "checkpoints/../checkpoints/checkpoint-1",
        "checkpoints/checkpoint-١",
        "checkpoints//checkpoint-1",
        "checkpoint-1",
        "./checkpoints/checkpoint-1",
        "artifacts/checkpoint-1",
        "/checkpoints/checkpoint-1",
    ],
)
def test_what_is_not_exactly_a_checkpoint_is_refused(job_dir: JobDir, path: str) -> None:
    save(job_dir, "checkpoint-1")
    before = sorted(job_dir.path.rglob("*"))
    with pytest.raises(ValueError, match="no checkpoint"):
        remove(job_dir, path)
    assert sorted(job_dir.path.rglob("*")) == before


def test_a_folder_that_is_no_job_is_refused(tmp_path: Path) -> None:
    (tmp_path / "somebody's").mkdir()
    with pytest.raises(ValueError, match="no job's directory"):
        remove(JobDir(tmp_path / "somebody's"), None)
    assert (tmp_path / "somebody's").is_dir()


_DIES_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from jupyter_trainlive.jobs import retention
from jupyter_trainlive.protocol.jobdir import JobDir

unlink = os.unlink
def unlink_and_die(*args, **kwargs):
    unlink(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
os.unlink = unlink_and_die
retention.remove(JobDir(Path(sys.argv[1])), sys.argv[2] or None)
"""


@pytest.mark.parametrize("path", [None, "checkpoints/checkpoint-1"])
def test_an_interrupted_deletion_shows_nobody_half_a_job_and_is_finished_later(
    job_dir: JobDir, path: str | None
) -> None:
    for name in ("checkpoint-1", "checkpoint-2"):
        save(job_dir, name)
    for name in ("a", "b"):
        (job_dir.checkpoints / "checkpoint-1" / name).touch()
    jobs_dir = job_dir.path.parent
    others = [jobs_dir / ".deleted-notes-0123abcd", jobs_dir / ".deleted-by-hand"]
    for other in others:
        other.mkdir()
    assert subprocess.run([sys.executable, "-c", _DIES_HALF_WAY, job_dir.path, path or ""]).returncode == -9
    assert not (job_dir.path / (path or "")).exists()
    assert len(list(jobs_dir.rglob(".deleted-*"))) == len(others) + 1
    finish_deletions(jobs_dir)
    assert sorted(jobs_dir.rglob(".deleted-*")) == sorted(others)
    assert job_dir.path.exists() is (path is not None)
    if path is not None:
        assert [folder.name for folder in job_dir.checkpoints.iterdir()] == ["checkpoint-2"]


def test_there_may_be_nothing_to_finish(tmp_path: Path) -> None:
    finish_deletions(tmp_path)
    finish_deletions(tmp_path / "not there")


def test_folders_that_may_not_be_written_are_removed_as_well() -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from jupyter_trainlive.jobs.retention import remove\n"
        "from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id\n"
        # Permissions don't hold for root.
        "if os.getuid() == 0:\n"
        "    os.chown('.', 65534, 65534)\n"
        "    os.setgroups([])\n"
        "    os.setgid(65534)\n"
        "    os.setuid(65534)\n"
        "job_dir = JobDir(Path(new_job_id()).absolute())\n"
        "job_dir.create()\n"
        "deep = job_dir.artifacts / 'a' / 'b'\n"
        "deep.mkdir(parents=True)\n"
        "(deep / 'file').touch()\n"
        "for folder in (deep, deep.parent, job_dir.path):\n"
        "    folder.chmod(0o500 if folder == deep else 0)\n"
        "remove(job_dir, None)\n"
    )
    # Not in the folders of pytest, which only their owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
        assert list(Path(folder).iterdir()) == []
