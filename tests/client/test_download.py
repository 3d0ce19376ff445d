"""A job's files are taken home whole, over connections that break, and never over what is there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jupyter_trainlive.client import connection, download
from jupyter_trainlive.client.errors import RequestError, TrainLiveError
from jupyter_trainlive.client.job import Job
from jupyter_trainlive.protocol.jobdir import JobDir

from ..real_server import RealServer

ODD = "<b>ñ😀 \u202e%41;.bin"
WEIGHTS = os.urandom(1 << 20) * 3


@pytest.fixture(scope="module")
def job_id(server: RealServer) -> str:
    job_id = server.submit("print('said')", name="leaves files")
    server.wait(job_id, "completed")
    return job_id


@pytest.fixture
def job(client: RealServer, job_id: str) -> Job:
    """A completed job that left a model, a link and an empty file."""
    model = JobDir(client.jobs_dir / job_id).artifacts / "model"
    shutil.rmtree(model, ignore_errors=True)
    (model / "deep").mkdir(parents=True)
    (model / "weights.bin").write_bytes(WEIGHTS)
    (model / "deep" / ODD).write_text("odd")
    (model / "empty").touch()
    (model / "link").symlink_to("/etc/passwd")
    return Job(job_id)


@contextmanager
def cutting(server: RealServer, home: Path, at: Callable[[Path], None], *cuts: int) -> Iterator[list[bytes]]:
    """A way to the server that breaks: its first long answers are cut behind so many bytes. What was asked of it."""
    address = urlsplit(server.url)
    left, asked = list(cuts), []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(client: socket.socket) -> None:
        with client, socket.create_connection((address.hostname or "", address.port or 0)) as upstream:
            while request := client.recv(65_536):
                asked.append(request)
                upstream.sendall(request)
                if not answer(client, upstream, request):
                    return

    def answer(client: socket.socket, upstream: socket.socket, request: bytes) -> bool:
        head = b""
        while b"\r\n\r\n" not in head and (piece := upstream.recv(65_536)):
            head += piece
        lines = head.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        body = 0 if request.startswith(b"HEAD") else length
        sent, whole = 0, len(head.partition(b"\r\n\r\n")[0]) + 4 + body
        limit = left.pop(0) if body > 1 << 19 and left else whole
        while head and sent < limit:
            client.sendall(head[: limit - sent])
            sent += len(head)
            head = upstream.recv(65_536) if sent < whole else b""
        return limit == whole

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=carry, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    runtime = home / "runtime"
    runtime.mkdir()
    (access_file,) = (server.home / "runtime").glob("trainlive-*.json")
    access = json.loads(access_file.read_text())
    access["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}{address.path}"
    shutil.copy(access_file, runtime)
    (runtime / access_file.name).write_text(json.dumps(access))
    at(home)
    try:
        yield asked
    finally:
        listener.close()


def test_a_folder_comes_with_all_that_is_in_it_and_once(job: Job, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    place = job.download("artifacts/model", tmp_path / "new" / "home", lambda done, total: told.append((done, total)))
    assert place == tmp_path / "new" / "home" / "model"
    found = {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}
    assert found == {"weights.bin": WEIGHTS, f"deep/{ODD}": b"odd", "empty": b""}, "no link, and nothing half-done"
    assert told[-1] == (len(WEIGHTS) + 3, len(WEIGHTS) + 3)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    changed_at = (place / "weights.bin").stat().st_ctime_ns
    assert job.download(to=tmp_path) == tmp_path / "artifacts"
    job.download("artifacts/model/", tmp_path / "new" / "home")
    assert (place / "weights.bin").stat().st_ctime_ns == changed_at, "what is there is not fetched again"
    assert job.download("output.log", tmp_path).read_text().endswith("said\n")
    assert {"path": "artifacts/model/empty", "size_bytes": 0} in job.files()


def test_nothing_is_written_over_nor_out_of_the_folder(job: Job, tmp_path: Path) -> None:
    mine = tmp_path / "model" / "weights.bin"
    mine.parent.mkdir()
    mine.write_text("my own")
    with pytest.raises(TrainLiveError, match=r"to: .*weights\.bin is there already, and is not the same"):
        job.download("artifacts/model", tmp_path)
    assert mine.read_text() == "my own"
    (tmp_path / "empty").symlink_to(tmp_path / "nothing")
    with pytest.raises(TrainLiveError, match=r"to: .*empty is there already"):
        job.download("artifacts/model/empty", tmp_path)
    assert (tmp_path / "empty").is_symlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home" / "model").mkdir(parents=True)
    (tmp_path / "home" / "model" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrainLiveError, match="is a link out of"):
        job.download("artifacts/model", tmp_path / "home")
    assert not list((tmp_path / "elsewhere").iterdir())
    with pytest.raises(RequestError, match="no file or folder that the job left: 'artifacts/nothing'"):
        job.download("artifacts/nothing", tmp_path)
    with pytest.raises(TrainLiveError, match=r"path: job_\w+ has left nothing in checkpoints"):
        job.download("checkpoints", tmp_path)
    for path in ("../spec.json", "/etc/passwd", "artifacts//model", "", "a\0", "a\ud800"):
        with pytest.raises(TrainLiveError, match="path: must be a file or folder"):
            job.download(path, tmp_path)
    with pytest.raises(TrainLiveError, match=r"to: .* can't be written"):
        job.download("artifacts/model", mine)


@pytest.mark.parametrize("path", ["artifacts/../../etc/passwd", "elsewhere/file", "artifacts/model/../../../file"])
def test_a_server_names_no_place_outside(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def names(*_: object, **__: object) -> object:
        return type("Answer", (), {"json": lambda _: {"files": [{"path": path, "size_bytes": 1}]}})()

    monkeypatch.setattr(connection.current(), "request", names)
    with pytest.raises(TrainLiveError, match="that are not in it"):
        job.download("artifacts", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_broken_download_goes_on_where_it_was(
    job: Job, client: RealServer, tmp_path: Path, at: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RETRY_SECONDS", (0.0, 0.0))
    with cutting(client, tmp_path, at, 1 << 20, 1 << 19) as asked:
        place = job.download("artifacts/model", tmp_path / "home")
    assert (place / "weights.bin").read_bytes() == WEIGHTS
    ranges = [line for request in asked for line in request.decode().split("\r\n") if line.lower().startswith("range")]
    starts = [int(line.partition("=")[2].rstrip("-")) for line in ranges]
    assert len(starts) == 2
    assert 0 < starts[0] < 1 << 20 < starts[1] < 3 << 19
    assert not list(place.rglob(".*")), "nothing half-done is left"


def test_a_file_that_was_changed_between_two_calls_begins_anew(
    job: Job, client: RealServer, tmp_path: Path, at: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RETRY_SECONDS", ())
    home = tmp_path / "home"
    with cutting(client, tmp_path, at, 1 << 20), pytest.raises(TrainLiveError):
        job.download("artifacts/model", home)
    (part,) = (home / "model").glob(".*.part")
    assert 0 < part.stat().st_size < 1 << 20
    at(client.home)
    with part.open("ab") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(TrainLiveError, match=r"to: .* is being downloaded already"):
            job.download("artifacts/model", home)
    half = part.read_bytes()
    part.unlink()
    part.symlink_to(mine := tmp_path / "mine")
    mine.write_bytes(half)
    with pytest.raises(TrainLiveError, match=r"to: .* can't be written"):
        job.download("artifacts/model", home)
    assert mine.read_bytes() == half
    part.unlink()
    part.write_bytes(half)
    other = bytes(reversed(WEIGHTS))
    (JobDir(client.jobs_dir / job.job_id).artifacts / "model" / "weights.bin").write_bytes(other)
    assert (job.download("artifacts/model", home) / "weights.bin").read_bytes() == other
    assert not list(home.rglob(".*.part"))


def test_from_a_terminal(job: Job, client: RealServer, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jupyter_trainlive.client.cli", *arguments]
        return subprocess.run(command, env=client.env, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    listed = run("files", job.job_id)
    assert listed.returncode == 0
    assert "3.0 MB  artifacts/model/weights.bin" in listed.stdout
    assert "\u202e" not in listed.stdout
    done = run("download", job.job_id, "artifacts/model", "--to", "home")
    assert (done.returncode, done.stdout, done.stderr) == (0, "home/model\n", "")
    assert (tmp_path / "home" / "model" / "weights.bin").read_bytes() == WEIGHTS
    (tmp_path / "home" / "model" / "empty").write_text("mine")
    refused = run("download", job.job_id, "artifacts/model", "--to", "home")
    assert refused.returncode == 1
    assert refused.stderr.startswith("jupyter trainlive: to: home/model/empty is there already")
