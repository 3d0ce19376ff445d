"""The table of faults and outcomes in CONTRIBUTING.md, which the suite writes and checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .harness import Count

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
BEGIN, END = "<!-- faults: written by tests/faults -->", "<!-- end of faults -->"
_HEAD = "| fault | outcome | steps logged | steps shown | twice |\n|---|---|---|---|---|\n"


@dataclass
class Table:
    """One row a fault, in the order of the tests."""

    rows: list[str] = field(default_factory=list)

    def add(self, fault: str, outcome: str, counted: Count | None) -> None:
        """The counts are left out where they differ from run to run; the test has compared them."""
        logged, shown, twice = (
            ("those there was room for", "the same", 0)
            if counted is None
            else (counted.logged, counted.shown, counted.twice)
        )
        self.rows.append(f"| {fault} | {outcome} | {logged} | {shown} | {twice} |\n")

    @property
    def text(self) -> str:
        return _HEAD + "".join(self.rows)


def written() -> str:
    """The table as it stands in CONTRIBUTING.md."""
    return CONTRIBUTING.read_text().split(BEGIN + "\n", 1)[1].split(END, 1)[0]


def write(table: Table) -> None:
    """Put the table into CONTRIBUTING.md."""
    text = CONTRIBUTING.read_text()
    before, rest = text.split(BEGIN + "\n", 1)
    CONTRIBUTING.write_text(before + BEGIN + "\n" + table.text + END + rest.split(END, 1)[1])
