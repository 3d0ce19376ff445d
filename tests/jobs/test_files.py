"""The files of a job, as its page lists them."""

from __future__ import annotations

from pathlib import Path

from jupyter_trainlive.jobs import files
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id


def test_what_a_job_leaves_is_listed_in_order_and_links_are_not_followed(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    assert files.listing(job_dir) == []
    (job_dir.artifacts / "model").mkdir()
    for name in ("model/b", "model/a", "notes"):
        (job_dir.artifacts / name).write_text(name)
    (job_dir.checkpoints / "state").write_text("1234")
    (job_dir.artifacts / "elsewhere").symlink_to("/etc")
    assert [(file["path"], file["size_bytes"]) for file in files.listing(job_dir)] == [
        ("artifacts/notes", 5),
        ("artifacts/model/a", 7),
        ("artifacts/model/b", 7),
        ("checkpoints/state", 4),
    ]


def test_the_list_has_an_end(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    for number in range(1100):
        (job_dir.artifacts / str(number)).touch()
    assert len(files.listing(job_dir)) == 1000
