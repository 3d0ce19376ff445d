"""Files of rows, read one row after the other with the standard library: JSON Lines, JSON, CSV and TSV.

Each reader yields where a row stands and its columns, never holds more than one row and a piece of the file, and
stops behind about `limit_bytes`. All raise DatasetError.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from .data_error import DatasetError
from .row_forms import BadRow, quote

LINE_LIMIT_BYTES = 64 << 20
_BOM = b"\xef\xbb\xbf"
_PIECE = 1 << 16

#: Line and row, of which one may be unknown, and the columns by name.
Found = tuple[int | None, int | None, dict[str, Any]]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, and DatasetError instead of what the system says."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DatasetError(path, None, "does not exist; give a file that is on the server") from None
    except PermissionError:
        raise DatasetError(path, None, "must not be read; change its permissions or copy it") from None
    except OSError as error:
        raise DatasetError(path, None, f"can't be read: {error.strerror or error}") from None


def lines_of(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line, without a byte order mark."""
    number = 0
    while line := file.readline(LINE_LIMIT_BYTES + 1):
        number += 1
        if len(line) > LINE_LIMIT_BYTES:
            raise DatasetError(path, number, f"is longer than {LINE_LIMIT_BYTES >> 20} MiB; write one row a line")
        yield number, line.removeprefix(_BOM) if number == 1 else line


def read_jsonl(path: Path, limit_bytes: int | None, wanted: str) -> Iterator[Found]:
    """One object a line; blank lines are none. `wanted` says in errors what a row looks like."""
    with opened(path) as file:
        read = 0
        for number, line in lines_of(path, file):
            read += len(line)
            if line.isspace() or not line:
                continue
            try:
                row = _object(line, wanted)
            except BadRow as bad:
                raise DatasetError(path, number, str(bad)) from None
            yield number, None, row
            if limit_bytes is not None and read >= limit_bytes:
                return


def _object(line: bytes, wanted: str) -> dict[str, Any]:
    text = _decoded(line).rstrip()
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.strip() in ("[", "{"):
            _bad_layout("begins JSON that goes over several lines")
        where = ""
        if isinstance(error, json.JSONDecodeError):
            where = f" ({error.msg.removesuffix(' at')} at character {error.pos + 1})"
        raise BadRow(f"is not JSON{where}: {quote(text)}; in JSON Lines each line is {wanted}") from None
    if isinstance(row, list):
        _bad_layout("holds a JSON list")
    if not isinstance(row, dict):
        raise BadRow(f"is not an object but {quote(text)}; a row must be {wanted}")
    return row


def _bad_layout(what: str) -> NoReturn:
    remedy = "write JSON Lines, one object a line without a list around them"
    raise BadRow(f"{what}; {remedy}, or name a file that is one list .json")


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(f"is not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8") from None


def read_json(path: Path, limit_bytes: int | None, wanted: str) -> Iterator[Found]:
    """A list of objects; a file of that name that holds JSON Lines, as many do, is read as such."""
    with opened(path) as file:
        beginning = b" "
        while beginning.isspace():
            beginning = file.read(_PIECE).removeprefix(_BOM)
        if not beginning.lstrip().startswith(b"["):
            yield from read_jsonl(path, limit_bytes, wanted)
            return
        file.seek(0)
        yield from _List(path, file, wanted).rows(limit_bytes)


class _List:
    """A JSON list, read object by object."""

    def __init__(self, path: Path, file: BinaryIO, wanted: str) -> None:
        self._path, self._file, self._wanted = path, file, wanted
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder().raw_decode
        #: What is read and not yet used, from `_at` on; `_line` is the line there.
        self._text, self._at, self._line, self._row = "", 0, 1, 0
        self._read, self._over = 0, False

    def rows(self, limit_bytes: int | None) -> Iterator[Found]:
        self._next()
        self._at += 1
        while (character := self._next()) != "]":
            if self._row:
                if character != ",":
                    self._fail("is not followed by a comma or the end of the list")
                self._at += 1
                character = self._next()
            self._row += 1
            if character != "{":
                seen = quote(self._text[self._at : self._at + 100])
                self._fail(f"is not an object but {seen}; a row must be {self._wanted}" if seen else "is missing")
            line = self._line
            row = self._object()
            yield line, self._row, row
            if limit_bytes is not None and self._read >= limit_bytes:
                return
        self._at += 1
        if rest := self._next():
            self._fail(f"is the last one of the list, and behind it there is more: {quote(rest)}")

    def _next(self) -> str:
        """The next character that is no space, unused; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._line += self._text[self._at] == "\n"
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_PIECE):
                return ""

    def _object(self) -> dict[str, Any]:
        size = _PIECE
        while True:
            try:
                row, end = self._parse(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError):
                    self._fail("is nested too deeply")
                if len(self._text) - self._at > LINE_LIMIT_BYTES or not self._more(size):
                    self._not_json(error)
                # Each try begins anew, so twice as much for the next one.
                size *= 2
                continue
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            assert isinstance(row, dict)
            return row

    def _not_json(self, error: ValueError) -> NoReturn:
        if isinstance(error, json.JSONDecodeError):
            line = self._line + self._text.count("\n", self._at, error.pos)
            raise DatasetError(
                self._path, line, f"is not JSON ({error.msg.removesuffix(' at')}); correct it there", self._row
            )
        self._fail(f"is not JSON: {error}")

    def _more(self, size: int) -> bool:
        """Read on; false at the end of the file."""
        piece = b"" if self._over else self._file.read(size)
        try:
            text = self._decode(piece, not piece)
        except UnicodeDecodeError as error:
            at = f"near byte {self._read + error.start + 1}"
            raise DatasetError(self._path, None, f"is not UTF-8 ({at}); save the file as UTF-8") from None
        self._over = not piece
        self._read += len(piece)
        self._text, self._at = self._text[self._at :] + text, 0
        return bool(piece)

    def _fail(self, what: str) -> NoReturn:
        raise DatasetError(self._path, self._line, what, self._row or None)


def read_csv(path: Path, limit_bytes: int | None, delimiter: str) -> Iterator[Found]:
    """Columns named in the first line; quoted as spreadsheets do, so that a field may go over several lines."""
    # It belongs to the whole process; nobody is harmed by a higher one.
    csv.field_size_limit(max(csv.field_size_limit(), LINE_LIMIT_BYTES))
    read = 0

    def texts(file: BinaryIO) -> Iterator[str]:
        nonlocal read
        for number, line in lines_of(path, file):
            read += len(line)
            try:
                yield _decoded(line)
            except BadRow as bad:
                raise DatasetError(path, number, str(bad)) from None

    with opened(path) as file:
        table = csv.reader(texts(file), delimiter=delimiter, strict=True)
        columns: list[str] | None = None
        row, line = 0, 1
        while True:
            # Where the row begins; the reader only tells where it ends.
            line = table.line_num + 1
            try:
                fields = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                raise DatasetError(path, line, f"can't be read: {_explained(str(error))}") from None
            if not "".join(fields).strip():
                # A blank line, or the empty cells that a spreadsheet leaves behind the last row.
                continue
            if columns is None:
                columns = _header(path, line, fields, delimiter)
                continue
            row += 1
            if len(fields) != len(columns):
                what = f"has {len(fields)} fields, but the first line names {len(columns)} columns"
                raise DatasetError(path, line, f"{what}; put fields with a separator in them in quotes", row)
            yield line, row, dict(zip(columns, fields, strict=True))
            if limit_bytes is not None and read >= limit_bytes:
                return


def _explained(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote that begins there is never closed"
    if "new-line character" in error:
        return "its lines end as on an old Mac; save it with ends of lines as usual"
    if "field larger than" in error:
        return f"a field is longer than {LINE_LIMIT_BYTES >> 20} MiB; perhaps its quote is never closed"
    return f'{error}; a quote within quotes is written twice ("")'


def _header(path: Path, line: int, fields: list[str], delimiter: str) -> list[str]:
    names = [name.strip() for name in fields]
    if len(names) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
            if other != delimiter and other in names[0]:
                remedy = "commas (.csv)" if delimiter == "," else "tabs (.tsv)"
                raise DatasetError(path, line, f"has its columns separated by {word}; write it with {remedy}")
    for name in names:
        if name and names.count(name) > 1:
            raise DatasetError(path, line, f'names the column "{quote(name)}" twice; rename one of them')
    return names
