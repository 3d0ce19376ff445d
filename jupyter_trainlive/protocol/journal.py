"""Journals: one JSON object a line, one write a record, a sequence number a reader can check."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .values import decode, dumps, encode, finite

Record = dict[str, Any]

#: Read at most this much at once, so that a long journal never fills the memory.
CHUNK_BYTES = 1 << 18
#: A line longer than this is no record of ours.
LINE_LIMIT_BYTES = 16 << 20


class JournalWriter:
    """Appends records to one journal, of which this process is the only writer.

    Each record reaches the kernel's page cache before `append` returns, so nothing is lost when the
    process is killed right after. Safe to call from several threads. A forked child appends nothing.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seq, self._torn = _end_of(self._file)

    @property
    def seq(self) -> int:
        """The number of the last record."""
        return self._seq

    def append(self, kind: str, **values: Any) -> int:
        """Write one record; returns its sequence number.

        Raises OSError when the disk refuses it; the record is then not part of the journal.
        """
        if os.getpid() != self._pid:
            return self._seq
        with self._lock:
            return self._append(kind, values)

    def append_finite(self, kind: str, values: Record) -> tuple[int, float]:
        """As `append`, for who writes thousands a second: `values` without non-finite floats, in no forked child.

        Returns number and time of the record.
        """
        with self._lock:
            seq, t = self._seq + 1, self._clock()
            self._write(seq, encode({"seq": seq, "t": t, "kind": kind, **values}))
            return seq, t

    def _append(self, kind: str, values: Record) -> int:
        seq = self._seq + 1
        self._write(seq, dumps({"seq": seq, "t": self._clock(), "kind": kind, **values}).encode())
        return seq

    def _write(self, seq: int, record: bytes) -> None:
        line = b"\n" + record + b"\n" if self._torn else record + b"\n"
        # Counted first: an interrupt right behind the write must not give the number to a second record.
        self._seq = seq
        try:
            written = os.write(self._file, line)
        except OSError:
            self._seq -= 1
            raise
        if written < len(line):
            self._seq -= 1
            self._take_back(written)
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes of a journal record could be written")
        self._torn = False

    def _take_back(self, written: int) -> None:
        """Undo a write that stopped half-way: if only its line end is missing, a reader takes it for a record."""
        self._torn = True
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            self._torn = _is_torn(self._file)

    def close(self) -> None:
        """Let go of the file; `append` raises OSError then, and never writes to what has got its number since."""
        with self._lock:
            file, self._file = self._file, -1
            if file >= 0:
                os.close(file)


def append_shared(path: Path, kind: str, clock: Callable[[], float] = time.time, **values: Any) -> int:
    """Append one record to a journal that several servers of one user may write, one at a time."""
    writer_lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(writer_lock, fcntl.LOCK_EX)
        writer = JournalWriter(path, clock)
        try:
            return writer.append(kind, **values)
        finally:
            writer.close()
    finally:
        os.close(writer_lock)


def _end_of(file: int) -> tuple[int, bool]:
    """The last sequence number in an open journal, and whether its last line is torn."""
    size, torn = os.fstat(file).st_size, _is_torn(file)
    length = 1 << 16
    while True:
        start = max(0, size - length)
        lines = os.pread(file, size - start, start).split(b"\n")
        # The first piece may be the end of a longer line, unless the read began at the file's start.
        for line in reversed(lines if start == 0 else lines[1:]):
            record = parse(line)
            if record is not None:
                return record["seq"], torn
        if start == 0:
            return 0, torn
        length *= 8


def _is_torn(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def parse(line: bytes) -> Record | None:
    """One line as a record, or None where it is not one (torn, garbage, another version's)."""
    try:
        record = decode(line)
    except (ValueError, RecursionError):
        return None
    if (
        isinstance(record, dict)
        and isinstance(record.get("kind"), str)
        and type(record.get("seq")) is int
        and type(record.get("t")) in (int, float)
        and finite(record["t"]) is not None
    ):
        return record
    return None


@dataclass
class JournalReader:
    """Reads a journal from where it stopped last time.

    `offset` is the first byte not yet read; `seq` the last record's number; `damaged` counts lines
    that were no records, `missing` the numbers that were skipped.
    """

    path: Path
    offset: int = 0
    seq: int = 0
    #: Whether the last reading came to the end of what was there.
    at_end: bool = field(default=False, compare=False)
    damaged: int = field(default=0, compare=False)
    missing: int = field(default=0, compare=False)

    @property
    def position(self) -> tuple[int, int]:
        """(offset, seq): all there is to know to go on reading here later."""
        return self.offset, self.seq

    def go_on_from(self, offset: int, seq: int) -> None:
        """Go on where another reader stopped; raises ValueError where no line can have ended there."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, offset - 1))
                end = file.read(1)
        except FileNotFoundError:
            end = b""
        if offset > 0 and end != b"\n":
            raise ValueError(f"no line of {self.path} ends at byte {offset}")
        self.offset, self.seq = offset, seq

    def read(self, limit: int = CHUNK_BYTES) -> list[Record]:
        """The complete records of about the next `limit` bytes; empty when there is nothing new."""
        self.at_end = True
        try:
            if self.path.stat().st_size <= self.offset:
                return []
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(limit)
                self.at_end = len(data) < limit
                while data and b"\n" not in data and len(data) < LINE_LIMIT_BYTES:
                    more = file.read(limit)
                    if not more:
                        self.at_end = True
                        return []
                    data += more
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) >= LINE_LIMIT_BYTES:
            end = len(data)
        self.offset += end
        return [record for line in data[:end].splitlines() if (record := self._accept(line))]

    def _accept(self, line: bytes) -> Record | None:
        if not line:
            return None
        record = parse(line)
        if record is None or record["seq"] <= self.seq:
            self.damaged += 1
            return None
        self.missing += record["seq"] - self.seq - 1
        self.seq = record["seq"]
        return record
