"""A process finds the server it belongs to, and never one that is gone or somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_trainlive.client.discovery import find, is_running
from jupyter_trainlive.client.errors import NoServerError
from jupyter_trainlive.protocol.access import Access, access_file

CWD = Path("/home/me/project")


@pytest.fixture
def pids() -> Iterator[list[int]]:
    """Three processes that run."""
    processes = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    yield [process.pid for process in processes]
    for process in processes:
        process.kill()
        process.wait()


def publish(folder: Path, pid: int, root_dir: str = "/srv") -> Access:
    content = {"url": f"http://127.0.0.1:{pid}/", "root_dir": root_dir, "pid": pid, "secret": "s"}
    access_file(folder, pid).write_text(json.dumps(content))
    return Access(**content)  # type: ignore[arg-type]


def test_a_kernel_finds_the_server_that_started_it(tmp_path: Path, pids: list[int]) -> None:
    publish(tmp_path, pids[0], "/home/me/project")
    mine = publish(tmp_path, pids[1], "/elsewhere")
    assert find({"JPY_PARENT_PID": str(pids[1])}, tmp_path, CWD) == mine


@pytest.mark.parametrize("parent", ["", "1", "x", "-1", "\u0663", "99999999999999999999"])
def test_without_a_server_as_parent_the_only_one_is_found(tmp_path: Path, pids: list[int], parent: str) -> None:
    only = publish(tmp_path, pids[0])
    assert find({"JPY_PARENT_PID": parent}, tmp_path, CWD) == only
    assert find({}, tmp_path, CWD) == only


def test_of_several_the_one_that_serves_this_folder_most_closely_is_found(tmp_path: Path, pids: list[int]) -> None:
    publish(tmp_path, pids[0], "/home")
    nearest = publish(tmp_path, pids[1], "/home/me")
    publish(tmp_path, pids[2], "/home/me/project/deeper")
    assert find({}, tmp_path, CWD) == nearest


@pytest.mark.parametrize("roots", [("/elsewhere", "/home/me/proj"), ("/home/me", "/home/me")])
def test_where_the_choice_is_not_clear_the_error_says_what_to_do(
    tmp_path: Path, pids: list[int], roots: tuple[str, str]
) -> None:
    servers = [publish(tmp_path, pid, root) for pid, root in zip(pids, roots, strict=False)]
    with pytest.raises(NoServerError, match="Change into a folder that only one of them serves") as refused:
        find({}, tmp_path, CWD)
    assert all(server.url in str(refused.value) for server in servers)


def test_none_is_found_where_there_is_none_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "no such folder"):
        with pytest.raises(NoServerError, match="start one with `jupyter lab`"):
            find({"JPY_PARENT_PID": "1"}, folder, CWD)


def test_what_a_dead_server_left_is_passed_over(tmp_path: Path, pids: list[int]) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = publish(tmp_path, dead.pid)
    with pytest.raises(NoServerError):
        find({"JPY_PARENT_PID": str(dead.pid)}, tmp_path, CWD)
    assert not is_running(left, tmp_path)
    running = publish(tmp_path, pids[0])
    assert find({"JPY_PARENT_PID": str(dead.pid)}, tmp_path, CWD) == running
    assert is_running(running, tmp_path)


def test_a_process_that_only_bears_the_same_pid_is_no_server(tmp_path: Path, pids: list[int]) -> None:
    access = publish(tmp_path, pids[0])
    os.utime(access_file(tmp_path, pids[0]), (time.time() - 3600,) * 2)
    with pytest.raises(NoServerError):
        find({"JPY_PARENT_PID": str(pids[0])}, tmp_path, CWD)
    assert not is_running(access, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_another_user_put_there_is_not_trusted(tmp_path: Path, pids: list[int]) -> None:
    publish(tmp_path, pids[0])
    os.chown(access_file(tmp_path, pids[0]), 12345, -1)
    with pytest.raises(NoServerError):
        find({"JPY_PARENT_PID": str(pids[0])}, tmp_path, CWD)


def test_garbage_is_passed_over(tmp_path: Path, pids: list[int]) -> None:
    access_file(tmp_path, pids[0]).write_bytes(b"\xff{")
    (tmp_path / "trainlive-x.json").write_text("[]")
    access_file(tmp_path, pids[1]).mkdir()
    only = publish(tmp_path, pids[2])
    assert find({"JPY_PARENT_PID": str(pids[0])}, tmp_path, CWD) == only
