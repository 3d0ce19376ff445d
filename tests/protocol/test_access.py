"""The private file by which a server's own user finds it: what is written is read, and nothing else taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.access import Access, access_file, access_files, read_access

CONTENT = {"url": "http://127.0.0.1:8888/", "root_dir": "/home/me", "pid": 12, "secret": "s3cret"}


def test_what_a_server_wrote_is_read(tmp_path: Path) -> None:
    file = access_file(tmp_path, 12)
    file.write_text(json.dumps({**CONTENT, "added later": True}))
    assert read_access(file) == Access("http://127.0.0.1:8888/", "/home/me", 12, "s3cret")
    (tmp_path / "jpserver-12.json").write_text("{}")
    assert access_files(tmp_path) == [file]


def test_the_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(Access(**CONTENT))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{}", b"\xff", *(json.dumps({**CONTENT, key: None}).encode() for key in CONTENT)],
)
def test_anything_else_makes_no_sense(tmp_path: Path, content: bytes) -> None:
    file = access_file(tmp_path, 12)
    with pytest.raises(OSError, match="trainlive-12"):
        read_access(file)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        read_access(file)


def test_there_may_be_no_folder(tmp_path: Path) -> None:
    assert access_files(tmp_path / "none") == []
