"""What the shim has to go by when it writes down how an attempt ended: what it reported and printed."""

from __future__ import annotations

import contextlib
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from ..protocol.jobdir import JobDir
from ..protocol.journal import CHUNK_BYTES, JournalReader, Record
from .oom import OomKills

_LINES, _CHARACTERS = 5, 1000
_TAIL_BYTES = 64 * 1024
#: Colours and cursor movements: ECMA-48's control sequences, and the titles of windows.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True)
class Watch:
    """One attempt's part of the files that all attempts of a job append to; made before it is started."""

    job_dir: JobDir
    journal_offset: int
    log_offset: int
    kills: OomKills

    @classmethod
    def begin(cls, job_dir: JobDir) -> Watch:
        return cls(job_dir, _size(job_dir.training_journal), _size(job_dir.output_log), OomKills())

    def details(self, died_of: int | None) -> dict[str, object]:
        """``oom_killed`` and ``output`` of the `exited` record; `died_of` is the signal that ended the process.

        The last lines of output are kept where nothing else tells what happened.
        """
        began, end = self._reported()
        failed = died_of is not None or end not in ("completed", "cancelled", "released")
        # What was killed elsewhere on the machine does not explain an exception here.
        concerned = died_of == signal.SIGKILL or (failed and self.kills.own)
        details: dict[str, object] = {"oom_killed": concerned and self.kills.rose}
        if died_of is not None or not began:
            details["output"] = last_lines(self.job_dir.output_log, self.log_offset)
        return details

    def _reported(self) -> tuple[bool, str | None]:
        """Whether the training began, and the status of its end if it recorded one."""
        journal = self.job_dir.training_journal
        # Three days of metrics lie between the first record and the last.
        head = _records(journal, self.journal_offset)
        tail = _records(journal, max(self.journal_offset, _size(journal) - CHUNK_BYTES))
        ends = [record.get("status") for record in tail if record["kind"] == "end"]
        return any(record["kind"] == "start" for record in head), str(ends[-1]) if ends else None


def last_lines(log: Path, offset: int = 0) -> str:
    """The last lines with anything in them that were written behind `offset`: five, and 1,000 characters at most.

    As a terminal would leave them: a line that was overwritten by carriage returns counts once.
    """
    data = b""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(offset, _size(log) - _TAIL_BYTES))
        data = file.read(_TAIL_BYTES)
    text = _ESCAPES.sub("", data.decode("utf-8", "replace"))
    lines = [line for raw in text.split("\n") if (line := _printable(raw.rstrip("\r").rpartition("\r")[2]))]
    kept: list[str] = []
    room = _CHARACTERS
    for line in reversed(lines[-_LINES:]):
        if len(line) > room and kept:
            break
        kept.insert(0, line if len(line) <= room else line[: room - 1] + "…")
        room -= len(line) + 1
    return "\n".join(kept)


def _printable(line: str) -> str:
    return "".join(character for character in line.replace("\t", " ") if character.isprintable()).strip()


def _records(journal: Path, offset: int) -> list[Record]:
    try:
        return JournalReader(journal, offset).read()
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
