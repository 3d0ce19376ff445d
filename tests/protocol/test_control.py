"""control.json: what the server wants is seen at the next look, and garbage changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.control import ControlReader, Desired, write_desired


def test_a_new_wish_is_seen_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    assert reader.desired() is Desired.RUNNING
    write_desired(path, Desired.RUNNING)
    assert reader.desired() is Desired.RUNNING
    write_desired(path, Desired.CANCELLED)
    assert reader.desired() is Desired.CANCELLED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"desired": "dancing"}', b'{"desired": []}', b"\xff"])
def test_garbage_leaves_the_last_wish_standing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    write_desired(path, Desired.CANCELLED)
    assert reader.desired() is Desired.CANCELLED
    path.write_bytes(content)
    assert reader.desired() is Desired.CANCELLED
    path.unlink()
    assert reader.desired() is Desired.CANCELLED


def test_a_wish_that_could_not_be_read_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    write_desired(path, Desired.CANCELLED)

    def too_many_open_files(path: Path) -> bytes:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", too_many_open_files)
        assert reader.desired() is Desired.RUNNING
    assert reader.desired() is Desired.CANCELLED


def test_looking_costs_a_stat_while_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    write_desired(path, Desired.RUNNING)
    reader = ControlReader(path)
    reader.desired()
    # The content behind an unchanged stat is not looked at.
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b'{"desired":"cancelled"}')
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert reader.desired() is Desired.RUNNING
