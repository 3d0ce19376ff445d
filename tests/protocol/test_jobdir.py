"""Job directories: their names, who may read them, and files that are never seen half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.jobdir import JobDir, is_job_id, new_job_id, write_json


def test_ids_are_unlike_each_other_and_of_one_form() -> None:
    ids = {new_job_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_job_id(job_id) for job_id in ids)


@pytest.mark.parametrize(
    "text",
    [
        *("", "job_", "job_0000000000", "job_00000000000A", "job_0000000000000", "xob_000000000000", "../00000000000"),
        *("job_000000000000\n", "job_00000000000/", "job_00000000000\u0660", " job_000000000000", "job_...........x"),
    ],
)
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_job_id(text)


def test_a_new_directory_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        job_dir = JobDir(tmp_path / new_job_id())
        job_dir.create()
        write_json(job_dir.spec_file, {"kind": "code"})
    finally:
        os.umask(before)
    for path in (job_dir.path, *job_dir.path.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert job_dir.server_journal.parent.is_dir()
    assert job_dir.job_id == job_dir.path.name
    with pytest.raises(FileExistsError):
        job_dir.create()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe"])
def test_a_spec_that_is_none_is_an_error(tmp_path: Path, content: bytes) -> None:
    job_dir = JobDir(tmp_path)
    with pytest.raises(OSError, match=r"spec\.json"):
        job_dir.read_spec()
    job_dir.spec_file.write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        job_dir.read_spec()


def test_a_reader_beside_the_writer_sees_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    write_json(path, {"n": 0, "padding": "x" * 100_000})
    code = """
import sys
from pathlib import Path
from jupyter_trainlive.protocol.jobdir import write_json
for n in range(300):
    write_json(Path(sys.argv[1]), {"n": n, "padding": "x" * (n * 1000)})
"""
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    seen = []
    while writer.poll() is None:
        content = json.loads(path.read_bytes())
        assert set(content) == {"n", "padding"}
        seen.append(content["n"])
    assert writer.returncode == 0
    assert len(set(seen)) > 3
    assert json.loads(path.read_bytes())["n"] == 299
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    write_json(path, {"desired": "running"}, sync=True)
    with pytest.raises(TypeError):
        write_json(path, {"desired": object()})
    assert json.loads(path.read_bytes()) == {"desired": "running"}
    assert list(tmp_path.iterdir()) == [path]
