"""The recipe's data: where it is, and its rows, read and checked one after the other.

Parquet files and datasets of the hub need packages, and so are read in the training only
(`training/recipes/tables.py`); of such a file the beginning and the end are looked at here.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data_error import DatasetError
from .data_files import Found, opened, read_csv, read_json, read_jsonl
from .model_names import is_hub_id
from .parameter_rules import CAUSAL
from .row_forms import BadRow, Completion, Conversation, Labelled, Row, Text, forms, reader
from .text_files import SUFFIXES, read_folder, read_text

__all__ = [
    "CHECK_LIMIT_BYTES",
    "Completion",
    "Conversation",
    "DatasetError",
    "Labelled",
    "Row",
    "Source",
    "Text",
    "check",
    "locate",
    "read_rows",
    "rows_of",
]

CHECK_LIMIT_BYTES = 16 << 20
_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    **dict.fromkeys(SUFFIXES, "text"),
}
_KNOWN = ".jsonl, .json, .csv, .tsv or .parquet"
_UNREADABLE = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".tar"), "is packed; unpack it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "is a spreadsheet; save it as CSV"),
    **dict.fromkeys((".arrow", ".feather", ".pkl", ".pickle", ".npy", ".npz", ".pt"), "can't be read; write Parquet"),
}
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Source:
    """Where rows come from: a file of some `format`, a ``folder`` of text, or a dataset of the ``hub``."""

    name: str
    format: str

    @property
    def local(self) -> bool:
        return self.format != "hub"


def locate(name: str, base: Path | None = None) -> Source:
    """What `name` means: a file or folder, as an absolute path, where there is one, else an id of the hub.

    Relative paths begin at `base` (default: the current folder). Whether the hub has it isn't asked. Raises
    DatasetError where nothing can be meant.
    """
    path = Path(name)
    try:
        path = (base or Path.cwd()) / path.expanduser()
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not looks_local(name) and is_hub_id(name):
            return Source(name, "hub")
        hub = "" if looks_local(name) else ", or the id of a dataset on the hub"
        raise DatasetError(path, None, f"does not exist; give a file or folder that is on the server{hub}") from None
    except PermissionError:
        raise DatasetError(path, None, "must not be looked at; change its permissions or copy it") from None
    except (OSError, RuntimeError, ValueError) as error:
        # A name that is too long, a loop of links, a `~user` that nobody knows.
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(path, None, f"can't be read: {reason}") from None
    if stat.S_ISDIR(mode):
        return Source(str(path), "folder")
    # Before anybody opens it: a named pipe would block.
    if not stat.S_ISREG(mode):
        raise DatasetError(path, None, "is not a regular file; copy the rows into one")
    suffix = path.suffix.lower()
    if suffix in _UNREADABLE:
        raise DatasetError(path, None, f"{_UNREADABLE[suffix]}, or give a file named {_KNOWN}")
    return Source(str(path), _FORMATS.get(suffix, "jsonl"))


def looks_local(name: str) -> bool:
    """Whether `name` means a file even if there is none."""
    begins = name.startswith(("/", "~", "./", "../", "\\")) or name in (".", "..")
    return begins or Path(name).suffix.lower() in (*_FORMATS, *_UNREADABLE)


def check(path: str | Path, limit_bytes: int = CHECK_LIMIT_BYTES, **options: Any) -> int:
    """Check the rows within about the first `limit_bytes`; returns how many that were.

    `options` are those of `read_rows`. None are counted of what can be read in the training only. Raises DatasetError
    at the first thing wrong.
    """
    source = locate(str(path))
    if source.format == "hub":
        return 0
    if source.format == "parquet":
        _check_parquet(Path(source.name))
        return 0
    return sum(1 for _ in read_rows(source.name, limit_bytes, **options))


def read_rows(
    path: str | Path,
    limit_bytes: int | None = None,
    *,
    task: str = CAUSAL,
    column_mapping: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """The rows of a file or folder one after the other, at most about `limit_bytes` of it, never all in memory.

    Raises DatasetError where it can't be read, holds no row, or a row is not as `task` wants it.
    """
    source = locate(str(path))
    path = Path(source.name)
    if source.format in ("text", "folder"):
        if task != CAUSAL:
            raise DatasetError(path, None, f"is plain text, but task {task} needs rows like {forms(task)}")
        yield from _documents(path, limit_bytes)
        return
    wanted = forms(task)
    readers: dict[str, Callable[[], Iterator[Found]]] = {
        "jsonl": lambda: read_jsonl(path, limit_bytes, wanted),
        "json": lambda: read_json(path, limit_bytes, wanted),
        "csv": lambda: read_csv(path, limit_bytes, ","),
        "tsv": lambda: read_csv(path, limit_bytes, "\t"),
    }
    if source.format not in readers:
        raise DatasetError(path, None, "can be read in the training only")
    yield from rows_of(readers[source.format](), str(path), task, column_mapping)


def rows_of(found: Iterator[Found], name: str, task: str, column_mapping: Mapping[str, str] | None) -> Iterator[Row]:
    """Rows of columns by name; raises DatasetError, which calls where they come from `name`."""
    make = reader(task, column_mapping)
    empty = True
    for line, row, columns in found:
        empty = False
        try:
            yield make(columns)
        except BadRow as bad:
            raise DatasetError(name, line, str(bad), row) from None
    if empty:
        raise DatasetError(name, None, f"is empty; write one row a line, each {forms(task)}")


def _documents(path: Path, limit_bytes: int | None) -> Iterator[Text]:
    if path.is_dir():
        yield from (text for _, text in read_folder(path, limit_bytes))
        return
    read = 0
    for text in read_text(path):
        read += len(text.text)
        yield text
        if limit_bytes is not None and read >= limit_bytes:
            return
    if read == 0:
        raise DatasetError(path, None, "is empty; write the text to learn into it")


def _check_parquet(path: Path) -> None:
    with opened(path) as file:
        begins = file.read(len(_MAGIC))
        size = file.seek(0, 2)
        file.seek(max(0, size - len(_MAGIC)))
        if begins != _MAGIC or file.read() != _MAGIC or size < 12:
            raise DatasetError(path, None, "is no whole Parquet file; write or copy it again")
