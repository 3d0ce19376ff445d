"""A journal loses no record and takes nothing else for one, whatever happens to its writer."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol import journal
from jupyter_trainlive.protocol.journal import JournalReader, JournalWriter, append_shared, parse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def line(seq: int, **values: object) -> bytes:
    return json.dumps({"seq": seq, "t": 1.0, "kind": "metrics", **values}).encode() + b"\n"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond that size: a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def seqs(path: Path) -> list[int]:
    reader = JournalReader(path)
    got = [record["seq"] for record in iter(reader.read, []) for record in record]
    assert reader.missing == 0
    return got


def test_records_are_numbered_from_one_and_go_on_after_reopening(path: Path) -> None:
    first = JournalWriter(path, clock=lambda: 12.5)
    assert [first.append("start"), first.append("metrics", values={"loss": math.nan})] == [1, 2]
    first.close()
    second = JournalWriter(path)
    assert second.append("end", status="completed") == 3
    records = JournalReader(path).read()
    assert records[0] == {"seq": 1, "t": 12.5, "kind": "start"}
    assert records[1]["values"] == {"loss": "nan"}
    assert [record["kind"] for record in records] == ["start", "metrics", "end"]


def test_a_journal_is_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        JournalWriter(path).append("start")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_number_is_found_behind_records_longer_than_one_look_back(path: Path) -> None:
    writer = JournalWriter(path)
    writer.append("start")
    writer.append("end", traceback="x" * 200_000)
    writer.close()
    with path.open("ab") as file:
        file.write(b"garbage " * 100_000 + b"\n")
    assert JournalWriter(path).append("later") == 3


def test_a_torn_last_line_is_no_record_until_its_end_is_there(path: Path) -> None:
    whole = line(2, values={"loss": 1.0})
    path.write_bytes(line(1) + whole[:-5])
    reader = JournalReader(path)
    assert [record["seq"] for record in reader.read()] == [1]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(whole[-5:])
    assert [record["seq"] for record in reader.read()] == [2]
    assert reader.damaged == 0


def test_who_reopens_after_a_torn_line_begins_a_fresh_one(path: Path) -> None:
    path.write_bytes(line(1) + b'{"seq": 2, "t": 1.0, "ki')
    assert JournalWriter(path).append("again") == 2
    reader = JournalReader(path)
    assert [(record["seq"], record["kind"]) for record in reader.read()] == [(1, "metrics"), (2, "again")]
    assert (reader.damaged, reader.missing) == (1, 0)


def test_a_last_line_that_lacks_only_its_end_counts(path: Path) -> None:
    path.write_bytes(line(1) + line(2).rstrip())
    assert JournalWriter(path).append("again") == 3
    assert seqs(path) == [1, 2, 3]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"1e999",
        b"[" * 10_000,
        b'{"seq": "2", "t": 1, "kind": "x"}',
        b'{"seq": true, "t": 1, "kind": "x"}',
        b'{"seq": 2.0, "t": 1, "kind": "x"}',
        b'{"seq": 2, "t": true, "kind": "x"}',
        b'{"seq": 2, "t": NaN, "kind": "x"}',
        b'{"seq": 2, "t": 1e999, "kind": "x"}',
        b'{"seq": 2, "t": 1' + b"0" * 400 + b', "kind": "x"}',
        b'{"seq": 2, "t": 1, "kind": null}',
        b'{"seq": 2, "t": 1}',
    ],
)
def test_garbage_is_counted_and_passed_over(path: Path, garbage: bytes) -> None:
    assert parse(garbage) is None
    path.write_bytes(line(1) + garbage + b"\n" + line(2))
    reader = JournalReader(path)
    assert [record["seq"] for record in reader.read()] == [1, 2]
    assert (reader.damaged, reader.missing) == (1, 0)


def test_gaps_are_counted_and_repetitions_left_out(path: Path) -> None:
    path.write_bytes(line(1) + line(4) + line(4, again=True) + line(3) + line(5) + b"\n")
    reader = JournalReader(path)
    assert [record["seq"] for record in reader.read()] == [1, 4, 5]
    assert (reader.missing, reader.damaged) == (2, 2)


def test_reading_in_small_pieces_gives_the_same(path: Path) -> None:
    writer = JournalWriter(path)
    for number in range(50):
        writer.append("metrics", text="ä" * (number * 7))
    whole = JournalReader(path).read()
    for limit in (1, 10, 100, 1000):
        reader = JournalReader(path)
        got = []
        while records := reader.read(limit):
            got.extend(records)
        assert got == whole


def test_a_line_without_end_is_given_up_and_what_follows_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LINE_LIMIT_BYTES", 4096)
    path.write_bytes(line(1) + b"x" * 10_000 + b"\n" + line(2))
    reader = JournalReader(path)
    got = []
    while reader.offset < path.stat().st_size:
        got += [record["seq"] for record in reader.read(256)]
    assert got == [1, 2]
    assert reader.damaged > 0


def test_a_journal_that_is_not_there_yet_is_empty(path: Path) -> None:
    reader = JournalReader(path)
    assert reader.read() == []
    JournalWriter(path).append("start")
    assert len(reader.read()) == 1


def test_threads_share_a_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def slowly(file: int, data: bytes) -> int:
        time.sleep(0)  # lets another thread in
        return write(file, data)

    monkeypatch.setattr(os, "write", slowly)
    writer = JournalWriter(path)
    threads = [threading.Thread(target=lambda: [writer.append("metrics") for _ in range(300)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seqs(path) == list(range(1, 1201))


def _append_many(path: Path, begin: Any) -> None:
    begin.wait()
    for _ in range(300):
        append_shared(path, "note", by=os.getpid())


def test_several_servers_of_one_user_keep_one_gapless_journal(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(3)
    servers = [context.Process(target=_append_many, args=(path, begin)) for _ in range(2)]
    for server in servers:
        server.start()
    _append_many(path, begin)
    for server in servers:
        server.join(60)
        assert server.exitcode == 0
    assert seqs(path) == list(range(1, 901))


def test_a_forked_child_writes_nothing(path: Path) -> None:
    # In a process of its own: pytest's may have threads that do not fork well.
    code = """
import os, sys
from pathlib import Path
from jupyter_trainlive.protocol.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]))
writer.append("start")
child = os.fork()
if not child:
    writer.append("from the child")
    os._exit(0)
os.waitpid(child, 0)
writer.append("end")
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert [(record["seq"], record["kind"]) for record in JournalReader(path).read()] == [(1, "start"), (2, "end")]


def test_a_record_is_there_when_its_writer_is_killed_right_after(path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from jupyter_trainlive.protocol.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]))
for _ in range(100):
    writer.append("metrics")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    assert seqs(path) == list(range(1, 101))


def test_a_full_disk_costs_the_records_it_refuses_and_no_others(path: Path) -> None:
    writer = JournalWriter(path, clock=lambda: 1.0)
    writer.append("metrics")
    size = path.stat().st_size
    # Wherever in a record the room ends, before its first byte and before its line end included.
    for room in range(size + 1):
        with room_for(path.stat().st_size + room if room < size else 0), pytest.raises(OSError, match=r".+") as refused:
            writer.append("metrics" if writer.seq < 9 else "metric")
        assert refused.value.errno in (errno.ENOSPC, errno.EFBIG)
        writer.append("metrics" if writer.seq < 9 else "metric")
    reader = JournalReader(path)
    assert [record["seq"] for record in reader.read()] == list(range(1, writer.seq + 1))
    assert (reader.damaged, reader.missing) == (0, 0)


def test_a_record_torn_by_another_writers_death_is_closed_off_even_on_a_full_disk(path: Path) -> None:
    path.write_bytes(line(1) + b'{"seq": 2,')
    writer = JournalWriter(path)
    with room_for(path.stat().st_size + 3), pytest.raises(OSError, match="bytes of a journal record"):
        writer.append("metrics")
    writer.append("metrics")
    assert seqs(path) == [1, 2]
