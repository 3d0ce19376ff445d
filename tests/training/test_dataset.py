"""The recipe's data: rows of each format and form, and for everything else an error with its place."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol import text_files
from jupyter_trainlive.protocol.dataset import (
    Completion,
    Conversation,
    DatasetError,
    Labelled,
    Source,
    Text,
    check,
    locate,
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
    with pytest.raises(DatasetError, match=r"holds no text in files named \.txt or \.md; give one"):
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


ROWS = [Completion("Größe?", "1,80 m"), Completion("", 'He said "no"\nand left')]
SAME_ROWS = {
    "rows.jsonl": '{"prompt": "Größe?", "completion": "1,80 m"}\n'
    '{"prompt": "", "completion": "He said \\"no\\"\\nand left"}',
    "rows.json": '\ufeff [\n{"prompt": "Größe?",\n "completion": "1,80 m"} ,\n\n'
    ' {"prompt": "", "completion": "He said \\"no\\"\\nand left", "more": [{"a": "]"}]}]\n',
    "lines.json": '{"prompt": "Größe?", "completion": "1,80 m"}\n\n'
    '{"prompt": "", "completion": "He said \\"no\\"\\nand left"}\n',
    "rows.csv": '\ufeff,prompt,completion\r\n0,Größe?,"1,80 m"\r\n\r\n1,,"He said ""no""\nand left"\r\n',
    "rows.TSV": 'completion\tprompt\n1,80 m\tGröße?\n"He said ""no""\nand left"\t""',
}


@pytest.mark.parametrize("name", SAME_ROWS)
def test_the_same_rows_in_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(SAME_ROWS[name].encode())
    assert list(read_rows(path)) == ROWS
    assert check(path) == 2


@pytest.mark.parametrize(
    ("name", "content", "place", "text"),
    [
        ("a.json", "[]", "", "is empty"),
        ("a.json", "", "", "is empty"),
        ("a.json", '[{"text": "a"},\n 3]', ", row 2 (line 2)", "is not an object but 3]"),
        ("a.json", '[{"text": "a"}\n {"text": "b"}]', ", row 1 (line 2)", "is not followed by a comma"),
        ("a.json", '[{"text": "a"},\n]', ", row 2 (line 2)", "is not an object but ]"),
        ("a.json", '[{"text": "a"},\n\n {"text": "b"\n "c": 1}]', ", row 2 (line 4)", "is not JSON (Expecting ','"),
        ("a.json", '[{"text": "a"},\n {"text": "b', ", row 2 (line 2)", "is not JSON"),
        ("a.json", '[{"text": "a"}', ", row 1 (line 1)", "is not followed by a comma or the end"),
        ("a.json", '[{"text": "a"}] {"text": "b"}', ", row 1 (line 1)", "behind it there is more"),
        ("a.json", '[{"text": "a"},\n{"text": 3}]', ", row 2 (line 2)", '"text" must be a string, not int'),
        ("a.json", "[" + '{"a":' * 100_000, ", row 1 (line 1)", "is nested too deeply"),
        ("a.json", b'[{"text": "gr\xfc\xdf"}]', "", "is not UTF-8 (near byte 14)"),
        ("a.json", '{\n"text": "a"}', ", line 1", "begins JSON that goes over several lines"),
        ("a.csv", "", "", "is empty"),
        ("a.csv", "text\n", "", "is empty"),
        ("a.csv", "text;label\na;b", ", line 1", "has its columns separated by semicolons; write it with commas"),
        ("a.tsv", "text,label\na,b", ", line 1", "has its columns separated by commas; write it with tabs"),
        ("a.csv", "text,text\na,b", ", line 1", 'names the column "text" twice'),
        ("a.csv", "id,text\n1,a\n2,b,c", ", row 2 (line 3)", "has 3 fields, but the first line names 2 columns"),
        ("a.csv", 'id,text\n1,"a\nb"\n,\n2," "', ", row 2 (line 5)", '"text" is empty'),
        ("a.csv", 'id,text\n1,a\n2,"b\n', ", line 3", "a quote that begins there is never closed"),
        ("a.csv", 'id,text\n1,"a"b\n', ", line 2", 'written twice ("")'),
        ("a.csv", "id,text\r1,a\r2,b", ", line 1", "as on an old Mac"),
        ("a.csv", b"id,text\n1,gr\xfc\xdf", ", line 2", "is not UTF-8 (byte 5 of the line)"),
        ("a.csv", "id,txt\n1,a", ", row 1 (line 2)", 'has only "id", "txt"; a row must be {"text"'),
        ("a.txt", " \n", "", "is empty"),
        ("a.txt", b"one\ntwo\ngr\xfc\xdf", ", line 3", "is not UTF-8"),
        ("a.xlsx", "PK", "", "is a spreadsheet; save it as CSV"),
        ("a.jsonl.gz", "x", "", "is packed; unpack it"),
        ("a.parquet", "PAR1", "", "is no whole Parquet file"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, place: str, text: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError) as raised:
        check(path)
    assert str(raised.value).startswith(f"{path}{place}: ")
    assert text in str(raised.value)
    assert len(str(raised.value)) < len(str(path)) + 300


MAPPED: list[tuple[str, dict[str, str] | None, str, Any]] = [
    ("causal-lm", {"text": "q"}, '{"q": "a", "text": "b"}', Text("a")),
    ("causal-lm", {"prompt": "q"}, '{"q": "a", "completion": "b", "text": "c"}', Completion("a", "b")),
    ("causal-lm", {"completion": "q"}, '{"q": "a"}', 'has no "prompt", but only "q"; a row must be {"text"'),
    ("causal-lm", {"messages": "talk"}, '{"talk": [{"role": "user"}]}', 'talk[0] has no "content"'),
    ("causal-lm", {"text": "q"}, '{"text": "b"}', 'has no "q", but only "text"'),
    ("sequence-classification", None, '{"text": "a", "label": 3.0, "prompt": "x"}', Labelled("a", 3)),
    ("sequence-classification", None, '{"text": "a", "label": true}', Labelled("a", "true")),
    ("sequence-classification", None, '{"text": "a", "label": " b ", "text_pair": "c"}', Labelled("a", "b", "c")),
    ("sequence-classification", {"label": "stars"}, '{"text": "a", "stars": 5}', Labelled("a", 5)),
    ("sequence-classification", {"text_pair": "b"}, '{"text": "a", "label": 1}', 'has no "b"'),
    (
        "sequence-classification",
        None,
        '{"text": "a"}',
        'has no "label", but only "text"; a row must be {"text": "…", "l',
    ),
    ("sequence-classification", None, '{"text": "a", "label": 0.5}', "not a number with a fraction"),
    ("sequence-classification", None, '{"text": "a", "label": null}', '"label" is null'),
    ("sequence-classification", None, '{"text": "a", "label": ["x"]}', "not a list; each row has one class"),
    ("seq2seq", None, '{"prompt": "a", "completion": "b", "text": "c"}', Completion("a", "b")),
    ("seq2seq", {"prompt": "en", "completion": "de"}, '{"en": "a", "de": "b"}', Completion("a", "b")),
    ("seq2seq", None, '{"prompt": "", "completion": "b"}', '"prompt" is empty'),
]


@pytest.mark.parametrize(("task", "mapping", "row", "expected"), MAPPED)
def test_columns_by_task_and_mapping(
    tmp_path: Path, task: str, mapping: dict[str, str] | None, row: str, expected: Any
) -> None:
    path = write(tmp_path, row.encode())
    if not isinstance(expected, str):
        assert list(read_rows(path, task=task, column_mapping=mapping)) == [expected]
        return
    with pytest.raises(DatasetError) as raised:
        check(path, task=task, column_mapping=mapping)
    assert expected in str(raised.value)


def test_a_folder_of_text_is_read_in_order_and_a_long_document_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_PIECE", 10)
    for name, content in {
        "b.md": "\ufeffsecond\r\n",
        "a/z.txt": "0123456789abc\nfourteen\nend",
        "a/blank.txt": " \n",
        ".hidden.txt": "no",
        ".ipynb_checkpoints/b.md": "no",
        "data.csv": "no",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    assert list(read_rows(tmp_path)) == [
        Text("0123456789abc\n", ends=False),
        Text("fourteen\nend\n"[:-1], begins=False),
        Text("second\n"),
    ]
    assert list(read_rows(tmp_path / "b.md")) == [Text("second\n")]
    with pytest.raises(DatasetError, match="is plain text, but task seq2seq needs rows like"):
        check(tmp_path, task="seq2seq")
    (tmp_path / "c.txt").write_bytes(b"a\n\xff")
    with pytest.raises(DatasetError, match=r"c\.txt, line 2: is not UTF-8"):
        check(tmp_path)
    assert check(tmp_path, limit_bytes=20) == 2
    monkeypatch.setattr(text_files, "_FEW_ENTRIES", 2)
    (tmp_path / "none").mkdir()
    for name in ("1", "2", "3"):
        (tmp_path / "none" / name).mkdir()
    with pytest.raises(DatasetError, match="no text among its first 2 files; name a folder in it"):
        check(tmp_path / "none")
    monkeypatch.undo()
    (tmp_path / "none" / "rows.jsonl").touch()
    with pytest.raises(
        DatasetError, match=r"holds no text in files named \.txt or \.md, but rows\.jsonl; name the file"
    ):
        check(tmp_path / "none")


def test_what_is_there_is_meant_before_what_the_hub_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "owner" / "data").mkdir(parents=True)
    (tmp_path / "rows.data").touch()
    assert locate("owner/data", tmp_path) == Source(str(tmp_path / "owner/data"), "folder")
    assert locate("~/rows.data") == Source(str(tmp_path / "rows.data"), "jsonl")
    assert locate("owner/other", tmp_path) == Source("owner/other", "hub")
    assert check("owner/other") == 0
    for name in ("./other", "rows.jsonl", "a/b/c", "~/x", "~nobody-there/x"):
        with pytest.raises(DatasetError, match=r"does not exist|can't be read"):
            locate(name, tmp_path)


@pytest.mark.parametrize("name", ["rows.json", "rows.csv"])
def test_each_format_is_read_without_holding_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    row = "x" * 990
    if name == "rows.json":
        path.write_text("[" + ",\n".join([f'{{"text": "{row}"}}'] * 10_000) + ", broken]")
    else:
        path.write_text("text\n" + f'"{row}"\n' * 10_000 + "a,b")
    # What a piece of the file holds is read on.
    assert check(path, limit_bytes=1_000_000) == pytest.approx(1000, abs=70)
    tracemalloc.start()
    with pytest.raises(DatasetError) as raised:
        check(path, limit_bytes=1 << 40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.row == 10_001
    assert peak < 2_000_000
