"""The recipe's data: three forms of rows, and for everything else an error with its line."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.dataset import (
    Completion,
    Conversation,
    DatasetError,
    Text,
    check,
    read_rows,
)

GOOD = b'{"text": "one"}\n'


def write(folder: Path, content: bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return path


def test_three_forms_blank_lines_other_keys_and_a_byte_order_mark(tmp_path: Path) -> None:
    content = (
        '\ufeff{"text": "Größe", "id": 3}\r\n'
        "\n  \t\n"
        '{"prompt": "", "completion": "b"}\n'
        '{"messages": [{"role": "user", "content": "hi", "name": "x"}, {"role": "assistant", "content": ""}]}'
    )
    path = write(tmp_path, content.encode())
    assert list(read_rows(path)) == [
        Text("Größe"),
        Completion("", "b"),
        Conversation((("user", "hi"), ("assistant", ""))),
    ]
    assert check(path) == 3


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b'{"text": "a"', "is not JSON (Expecting ',' delimiter at character 13)"),
        (b"hello", "is not JSON"),
        (b"[1, 2]", "holds a JSON list; write JSON Lines"),
        (b"[", "begins JSON that goes over several lines"),
        (b"{", "begins JSON that goes over several lines"),
        (b"3", "is not an object but 3"),
        (b"null", "is not an object but null"),
        (b'{"txt": "a"}', 'has only "txt"; a row must be {"text"'),
        (b"{}", "has no keys"),
        (b'{"text": 3}', '"text" must be a string, not int'),
        (b'{"text": null}', '"text" must be a string, not null'),
        (b'{"text": ""}', '"text" is empty'),
        (b'{"text": " \\n"}', '"text" is empty'),
        (b'{"prompt": "a"}', 'has "prompt" but no "completion"'),
        (b'{"completion": "a"}', 'has "completion" but no "prompt"'),
        (b'{"prompt": "a", "completion": ""}', '"completion" is empty'),
        (b'{"text": "a", "messages": []}', 'has "text" and "messages", so it isn\'t clear'),
        (b'{"messages": []}', '"messages" is empty'),
        (b'{"messages": "hi"}', '"messages" must be a list'),
        (b'{"messages": ["hi"]}', "messages[0] must be"),
        (b'{"messages": [{"role": "user"}]}', 'messages[0] has no "content"'),
        (b'{"messages": [{"role": "user", "content": null}]}', 'messages[0] "content" must be a string'),
        (b'{"messages": [{"role": "", "content": "a"}]}', 'messages[0] "role" is empty'),
        (b'{"text": "gr\xfc\xdf"}', "is not UTF-8 (byte 13 of the line)"),
        (b'{"text": "\\ud800"}', '"text" holds half of a surrogate pair'),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_broken_row_is_told_with_its_line(tmp_path: Path, row: bytes, text: str) -> None:
    path = write(tmp_path, GOOD + b"\n" + row + b"\n" + GOOD)
    with pytest.raises(DatasetError) as raised:
        list(read_rows(path))
    assert raised.value.line == 3
    assert str(raised.value).startswith(f"{path}, line 3: ")
    assert text in str(raised.value)
    assert len(str(raised.value)) < len(str(path)) + 260


def test_a_long_row_is_not_quoted_whole(tmp_path: Path) -> None:
    path = write(tmp_path, b"secret " * 1000)
    with pytest.raises(DatasetError) as raised:
        check(path)
    assert str(raised.value).count("secret") <= 12


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DatasetError, match="is empty; write one row a line"):
        check(write(tmp_path, content))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        check(tmp_path / "nowhere.jsonl")
    with pytest.raises(DatasetError, match="is a folder"):
        check(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="not a regular file"):
        check(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="can't be read"):
        check(tmp_path / ("x" * 300))
    with pytest.raises(DatasetError, match="can't be read"):
        check(tmp_path / "loop" if (tmp_path / "loop").symlink_to("loop") is None else "")


@pytest.fixture
def not_root() -> Iterator[None]:
    """Root may read everything; for a moment we are nobody then."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_file_without_permission(not_root: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), GOOD)
        path.chmod(0)
        with pytest.raises(DatasetError, match="must not be read"):
            check(path)


def test_the_check_reads_only_the_beginning_and_never_all_at_once(tmp_path: Path) -> None:
    row = b'{"text": "' + b"x" * 990 + b'"}\n'
    path = write(tmp_path, row * 20_000 + b"broken\n")
    assert check(path, limit_bytes=1_000_000) == pytest.approx(1000, abs=5)
    tracemalloc.start()
    with pytest.raises(DatasetError) as raised:
        check(path, limit_bytes=1 << 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.line == 20_001
    assert peak < 2_000_000
