"""The output of a job, read piece by piece by byte offset; no character is ever cut in two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: A piece holds at least one whole character, however long that is.
LEAST_BYTES = 4


@dataclass(frozen=True)
class Piece:
    """The text from `offset` up to `next_offset`, in bytes of a file that had `size` of them."""

    offset: int
    next_offset: int
    size: int
    text: str


def read_log(path: Path, offset: int, limit: int, *, final: bool) -> Piece:
    """At most `limit` bytes from `offset` on; a negative offset counts from the end, one beyond it is the end.

    What begins within a character begins behind it. One whose end is not written yet is left for later; it is
    given as far as it goes where the output is `final`. Empty where there is no file; raises OSError where it
    can't be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            offset = max(0, size + offset) if offset < 0 else min(offset, size)
            begin = max(0, offset - LEAST_BYTES + 1)
            file.seek(begin)
            before = file.read(offset - begin)
            data = file.read(limit)
    except FileNotFoundError:
        return Piece(0, 0, 0, "")
    # What was appended between the two looks is part of the next piece.
    data = data[: size - offset]
    cut = _rest_of_character(before, data)
    start, data = offset + cut, data[cut:]
    whole = _whole_characters(data)
    if not final or start + len(data) < size:
        data = data[:whole]
    return Piece(start, start + len(data), size, data.decode("utf-8", "replace"))


def _length(byte: int) -> int:
    """Of the character that begins with this byte; 0 where none does."""
    if byte < 0xC0:
        return 0 if byte >= 0x80 else 1
    return 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4


def _rest_of_character(before: bytes, data: bytes) -> int:
    """How many bytes at the beginning of `data` belong to a character that began in `before`."""
    for back in range(1, len(before) + 1):
        if length := _length(before[-back]):
            rest = 0
            while rest < min(length - back, len(data)) and not _length(data[rest]):
                rest += 1
            return rest
    return 0


def _whole_characters(data: bytes) -> int:
    """How many bytes of `data` are left when a character that its end cuts in two is taken away."""
    for back in range(1, min(LEAST_BYTES - 1, len(data)) + 1):
        if length := _length(data[-back]):
            return len(data) - back if length > back else len(data)
    return len(data)
