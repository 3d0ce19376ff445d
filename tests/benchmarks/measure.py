"""Numbers, and the table they are shown in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One thing measured, all in one unit; `floor` is what the least that could do it takes."""

    what: str
    unit: str
    median: float
    mean: float
    p99: float | None
    largest: float
    samples: int
    floor: float | None = None
    promise: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measured(what: str, unit: str, samples: Sequence[float], floor: float | None = None, promise: str = "") -> Measured:
    """The summary of `samples`; the 99th percentile only where there are enough of them."""
    p99 = statistics.quantiles(samples, n=100)[98] if len(samples) >= 100 else None
    return Measured(
        what,
        unit,
        statistics.median(samples),
        statistics.fmean(samples),
        p99,
        max(samples),
        len(samples),
        floor,
        promise,
    )


def table(title: str, rows: Sequence[Measured]) -> str:
    """A Markdown table."""
    lines = [
        f"### {title}",
        "",
        "| | median | mean | p99 | largest | n | floor | ratio | promised |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        ratio = "" if not row.floor else f"{row.median / row.floor:.1f} ×"
        amounts = (row.median, row.mean, row.p99, row.largest)
        cells = [row.what, *(_amount(amount, row.unit) for amount in amounts)]
        cells += [str(row.samples), _amount(row.floor, row.unit), ratio, row.promise]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return (
        f"{value:.2f} {unit}"
        if abs(value) < 10
        else f"{value:.1f} {unit}"
        if abs(value) < 100
        else f"{value:.0f} {unit}"
    )
