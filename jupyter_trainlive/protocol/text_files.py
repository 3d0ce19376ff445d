"""Text files, and folders of them, in pieces."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

from .data_error import DatasetError
from .data_files import opened
from .row_forms import Text

SUFFIXES = (".txt", ".md", ".markdown")
#: Characters of a piece: what a tokenizer takes at once without a lot of memory.
_PIECE = 1 << 20
_LINE = 1 << 16
#: So many entries of a folder are looked at when only its beginning is to be checked.
_FEW_ENTRIES = 100_000


def read_text(path: Path) -> Iterator[Text]:
    """A document, in pieces that end where a line does; nothing where it is blank."""
    begins = True
    with opened(path) as binary:
        file = io.TextIOWrapper(binary, encoding="utf-8-sig")
        try:
            text = file.read(_PIECE)
            while text:
                text += file.readline(_LINE)
                following = file.read(_PIECE)
                if text.strip() or not begins:
                    yield Text(text, begins, ends=not following)
                    begins = False
                text = following
        except UnicodeDecodeError:
            raise DatasetError(path, _broken_line(path), "is not UTF-8; save the file as UTF-8") from None


def _broken_line(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


def read_folder(folder: Path, limit_bytes: int | None) -> Iterator[tuple[Path, Text]]:
    """The documents of a folder and those within it, in the order of their names, hidden ones left out."""
    read = 0
    other: Path | None = None
    for number, (path, is_file) in enumerate(_entries(folder)):
        if limit_bytes is not None and number >= _FEW_ENTRIES:
            if read == 0:
                raise DatasetError(folder, None, f"holds no text among its first {number:,} files; name a folder in it")
            return
        if not is_file:
            continue
        if path.suffix.lower() not in SUFFIXES:
            other = other or path
            continue
        for text in read_text(path):
            read += len(text.text)
            yield path, text
            if limit_bytes is not None and read >= limit_bytes:
                return
    if read == 0:
        there = f", but {other.name}; name the file itself" if other else "; give one that has"
        raise DatasetError(folder, None, f"holds no text in files named .txt or .md{there}")


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All there is, each with whether it is a file."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(folder, None, f"can't be looked at: {error.strerror or error}") from None
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield path, False
            yield from _entries(path)
            continue
        try:
            is_file = entry.is_file()
        except OSError as error:
            # A link to where nobody may look.
            if path.suffix.lower() in SUFFIXES:
                raise DatasetError(path, None, f"can't be looked at: {error.strerror or error}") from None
            is_file = False
        yield path, is_file
