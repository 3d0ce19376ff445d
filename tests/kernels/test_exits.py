"""What is kept of the output when nothing else tells why a process ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_trainlive.kernels.exits import last_lines

from .conftest import Shims


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        (b"", ""),
        (b"one\n\n  \ntwo\n\n", "one\ntwo"),
        (b"1\n2\n3\n4\n5\n6\nno line end", "3\n4\n5\n6\nno line end"),
        (b"\x1b[31mValueError\x1b[0m: \x07no\x00\tgood\x1b]0;title\x07\r\n", "ValueError: no good"),
        ("naïve ☃ \u202eright to left\n".encode(), "naïve ☃ right to left"),
        (b"  0%|   |\r 50%|## |\r100%|###|\nsaved\n", "100%|###|\nsaved"),
        (b"half a letter: \xe2\x98", "half a letter: �"),
        (b"a" * 600 + b"\n" + b"b" * 600 + b"\n", "b" * 600),
        (b"before\n" + b"a" * 5000 + b"\n", "a" * 999 + "…"),
        (b"x\n" * 100_000 + b"end\n", "x\nx\nx\nx\nend"),
    ],
)
def test_the_last_lines_are_kept_as_a_person_would_read_them(tmp_path: Path, output: bytes, kept: str) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(output)
    assert last_lines(log) == kept


def test_a_log_that_can_not_be_read_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == ""
    assert last_lines(tmp_path) == ""


START = '{"seq": 2, "t": 1.0, "kind": "start", "attempt": 2}'


def test_the_output_is_kept_of_a_process_that_never_began(shims: Shims) -> None:
    job_dir = shims.job_dir()
    exited = shims.run(job_dir, "/bin/sh", "-c", "echo on its way; echo 'No module named x' >&2; exit 1")
    assert exited["output"] == "on its way\nNo module named x"


def test_the_output_is_kept_of_a_process_that_died_of_a_signal(shims: Shims) -> None:
    job_dir = shims.job_dir()
    begin = f"echo '{START}' >> journal/training.jsonl"
    assert "output" not in shims.run(job_dir, "/bin/sh", "-c", f"{begin}; echo here; exit 1")
    assert shims.run(job_dir, "/bin/sh", "-c", f"{begin}; echo here; kill -SEGV $$")["output"] == "here"


def test_only_this_attempts_output_and_records_tell_about_it(shims: Shims) -> None:
    job_dir = shims.job_dir()
    job_dir.training_journal.write_text('{"seq":1,"t":1.0,"kind":"start"}\n')
    job_dir.output_log.write_text("ValueError: of the first attempt\n")
    assert shims.run(job_dir, "/bin/sh", "-c", "echo second; exit 1", attempt=2)["output"] == "second"
