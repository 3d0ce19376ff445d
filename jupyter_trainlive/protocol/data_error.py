"""What is wrong with the data that somebody gave."""

from __future__ import annotations

from pathlib import Path


class DatasetError(ValueError):
    """What is wrong with a data file or dataset, in one line, with its remedy.

    `line` and `row` count from 1; they are None where the whole of it is meant, or where it has no lines. `field` is
    the parameter that names the data, where that is known.
    """

    field: str | None = None

    def __init__(self, path: str | Path, line: int | None, message: str, row: int | None = None) -> None:
        place = "" if line is None else f"line {line}"
        if row is not None:
            place = f"row {row}{f' ({place})' if place else ''}"
        super().__init__(f"{path}{f', {place}' if place else ''}: {message}")
        self.path = path
        self.line = line
        self.row = row
