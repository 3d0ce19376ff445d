"""What a job left behind, taken home: whole, in parts, as an archive; and nothing else than that."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from jupyter_trainlive.jobs import artifacts
from jupyter_trainlive.protocol.jobdir import JobDir

from ..real_server import RealServer

ODD = 'a "b" %41;\nñ😀 <b>.bin'
LONG = "folder " * 20
WEIGHTS = bytes(range(256)) * 9_000
CODE = f"""
import os, pathlib
left = pathlib.Path(os.environ["TRAINLIVE_JOB_DIR"]) / "artifacts"
(left / "model" / {LONG!r}).mkdir(parents=True)
(left / "model" / "weights.bin").write_bytes(bytes(range(256)) * 9_000)
(left / "model" / {LONG!r} / {ODD!r}).write_text("odd")
(left / "model" / "empty").touch()
(left / "outside").symlink_to("/etc")
(left / "passwd").symlink_to("/etc/passwd")
(left / "model" / "spec").symlink_to("../../spec.json")
os.mkfifo(left / "pipe")
print("said")
"""


@pytest.fixture(scope="module")
def job_id(server: RealServer) -> str:
    job_id = server.submit(CODE, name="leaves files")
    assert server.wait(job_id)["status"] == "completed"
    return job_id


@pytest.fixture
def http(server: RealServer, job_id: str) -> Iterator[httpx.Client]:
    with server.http() as http:
        http.base_url = http.base_url.join(f"api/training/jobs/{job_id}/")
        yield http


def test_a_file_is_given_whole_or_in_part_and_told_from_a_later_one(http: httpx.Client) -> None:
    whole = http.get("files/artifacts/model/weights.bin")
    assert (whole.status_code, whole.content) == (200, WEIGHTS)
    assert whole.headers["Content-Disposition"].startswith('attachment; filename="weights.bin"')
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    head = http.head("files/artifacts/model/weights.bin")
    assert (head.headers["Content-Length"], head.content) == (str(len(WEIGHTS)), b"")
    etag = head.headers["ETag"]
    assert http.get("files/artifacts/model/weights.bin", headers={"If-None-Match": etag}).status_code == 304

    for asked, part in (
        ("bytes=5-9", WEIGHTS[5:10]),
        ("bytes=2303990-", WEIGHTS[2303990:]),
        ("bytes=-7", WEIGHTS[-7:]),
    ):
        answer = http.get("files/artifacts/model/weights.bin", headers={"Range": asked, "If-Range": etag})
        assert (answer.status_code, answer.content) == (206, part), asked
        assert answer.headers["Content-Range"].endswith(f"/{len(WEIGHTS)}")
    changed = http.get("files/artifacts/model/weights.bin", headers={"Range": "bytes=5-9", "If-Range": '"older"'})
    assert (changed.status_code, changed.content) == (200, WEIGHTS)
    assert http.get("files/artifacts/model/weights.bin", headers={"Range": "bytes=9999999-"}).status_code == 416
    assert http.get("files/artifacts/model/weights.bin", headers={"Range": "lines=1-2"}).content == WEIGHTS
    assert http.get("files/artifacts/model/empty", headers={"Range": "bytes=0-"}).status_code in (200, 416)
    assert http.get("files/output.log").text.endswith("said\n")


def test_names_may_be_anything(http: httpx.Client) -> None:
    path = f"artifacts/model/{LONG}/{ODD}"
    assert path in [file["path"] for file in http.get("files").json()["files"]]
    answer = http.get("files/" + quote(path))
    assert answer.text == "odd"
    assert answer.headers["Content-Disposition"].endswith("filename*=UTF-8''" + quote(ODD, safe=""))


@pytest.mark.parametrize(
    "path",
    [
        *("artifacts/passwd", "artifacts/outside/passwd", "artifacts/model/spec", "artifacts/pipe", "artifacts/model"),
        *("spec.json", "kernel/connection.json", "journal/server.jsonl", "artifacts/../spec.json", "artifacts//model"),
        *("/etc/passwd", "artifacts/nothing", "artifacts/model/weights.bin/", "artifacts/\0", "artifacts/..", "%41"),
    ],
)
def test_nothing_else_is_given(http: httpx.Client, path: str) -> None:
    answer = http.get("files/" + quote(path, safe=""))
    assert answer.status_code == 404, answer.content[:100]
    assert answer.json()["field"] == "path"
    for route in ("archive", "files"):
        assert http.get(route, params={"path": path}).status_code == (200 if path == "artifacts/model" else 404)


def test_all_of_a_folder_is_listed_and_no_link(http: httpx.Client) -> None:
    found = {
        file["path"]: file["size_bytes"] for file in http.get("files", params={"path": "artifacts"}).json()["files"]
    }
    inside = {"weights.bin": len(WEIGHTS), "empty": 0, f"{LONG}/{ODD}": 3}
    assert found == {f"artifacts/model/{name}": size for name, size in inside.items()}


def test_a_folder_is_one_archive_whose_length_is_known_beforehand(http: httpx.Client) -> None:
    answer = http.get("archive", params={"path": "artifacts/model"})
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert 'filename="model.tar"' in answer.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert set(archive.getnames()) == {"model/weights.bin", "model/empty", f"model/{LONG}/{ODD}"}
        assert all(member.isreg() for member in archive)
        weights = archive.extractfile("model/weights.bin")
        assert weights is not None
        assert weights.read() == WEIGHTS
    with tarfile.open(fileobj=io.BytesIO(http.get("archive", params={"path": "artifacts"}).content)) as archive:
        assert len(archive.getnames()) == 3
    assert http.get("archive").json()["field"] == "path"
    assert http.get("archive", params={"path": "checkpoints"}).status_code in (200, 404)


def test_what_shrinks_meanwhile_is_not_passed_off_as_whole(server: RealServer, job_id: str) -> None:
    job_dir = JobDir(server.jobs_dir / job_id)
    growing = job_dir.path / "artifacts" / "log.txt"
    growing.write_text("a" * 1000)
    archive = artifacts.Archive(job_dir, "artifacts")
    growing.write_text("a" * 2000)
    assert sum(map(len, archive.chunks())) == archive.size_bytes, "what grew is as long as it was told"
    os.truncate(growing, 10)
    with pytest.raises(artifacts.Changed):
        list(archive.chunks())
    growing.unlink()
    with pytest.raises(artifacts.Missing):
        list(archive.chunks())
