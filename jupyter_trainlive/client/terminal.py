"""A job in a terminal: one line that is drawn again, or plain lines where there is no terminal."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

_CELLS = 24
_LINE_SECONDS = 5.0
_BYTES_SECONDS = 0.1
#: Begins the terminal's line anew.
_AGAIN = "\r\x1b[2K"


def plain(text: str, *, lines: bool = False) -> str:
    """Text of unknown origin without the control characters that would command a terminal."""
    kept = "\n\t\r" if lines else ""
    return "".join(character if character.isprintable() or character in kept else "\ufffd" for character in text)


def duration(seconds: float) -> str:
    """``45 s``, ``6 min 40 s``, ``1 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def summary(message: dict[str, Any]) -> str:
    """A progress message in words, what is not known left out."""
    if message.get("queue"):
        return f"queued, place {message['queue']['position']}: {plain(message['queue']['reason'])}"
    parts = [] if message["status"] in ("running", "starting", "queued") else [message["status"]]
    if message["current_step"] is not None:
        total = "" if message["total_steps"] is None else f"/{message['total_steps']}"
        parts.append(f"step {message['current_step']}{total}")
    for key, text in (
        ("loss", "loss {:.4f}"),
        ("eval_loss", "eval loss {:.4f}"),
        ("samples_per_second", "{:.1f} samples/s"),
    ):
        if message[key] is not None:
            parts.append(text.format(message[key]))
    if message["eta_seconds"] is not None:
        parts.append("ETA " + duration(message["eta_seconds"]))
    return " · ".join(parts) or message["status"]


def _strip(share: float) -> str:
    done = round(_CELLS * share)
    return "━" * done + "─" * (_CELLS - done)


class ProgressBar:
    """Shows the messages of one job."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file or sys.stdout
        self._terminal = self._file.isatty()
        self._shown_at = 0.0
        self._status = ""
        self._last = ""

    def show(self, message: dict[str, Any]) -> None:
        """Draw the line again; without a terminal, write a line every few seconds, if it says anything new."""
        now = time.monotonic()
        changed = message["status"] != self._status
        if not self._terminal and not changed and now - self._shown_at < _LINE_SECONDS:
            return
        self._shown_at, self._status = now, message["status"]
        line = self._line(message["progress"], summary(message))
        self._write(line)

    def close(self, message: dict[str, Any]) -> None:
        """The last line stays."""
        if self._terminal:
            if message["status"] == "completed":
                self._write(self._line(100.0, "completed"))
            self._file.write("\n")
        self._file.flush()

    def _line(self, progress: float | None, text: str) -> str:
        percent = "    " if progress is None else f"{progress:3.0f}%"
        return f"{percent} {_strip((progress or 0.0) / 100)} {text}"

    def _write(self, line: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._file.write(_AGAIN + line[:width])
        elif line != self._last:
            self._file.write(line + "\n")
        self._last = line
        self._file.flush()


class ByteBar:
    """How much of a download is there, on stderr; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, done: int, total: int) -> None:
        """Draw the line again, ten times a second at most."""
        now = time.monotonic()
        if not self._terminal or (done < total and now - self._shown_at < _BYTES_SECONDS):
            return
        self._shown_at = now
        text = f"{done / 2**20:.1f} of {total / 2**20:.1f} MB"
        sys.stderr.write(f"{_AGAIN}{_strip(done / total if total else 1.0)} {text}")
        sys.stderr.flush()

    def close(self) -> None:
        """The last line goes away."""
        if self._terminal:
            sys.stderr.write(_AGAIN)
            sys.stderr.flush()
