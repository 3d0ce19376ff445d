"""Rows of results: what was measured, of whom, against which target; and the one table they are shown in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

#: Who we are in the table; ratios are to our median.
OURS = "trainlive"


@dataclass(frozen=True)
class Row:
    """One thing measured of one competitor. `met` is None where there is no target for it."""

    what: str
    who: str
    unit: str = ""
    median: float | None = None
    p99: float | None = None
    largest: float | None = None
    mean: float | None = None
    samples: int = 0
    #: Our median, times this, is the median.
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measured(
    what: str,
    unit: str,
    samples: Sequence[float],
    *,
    who: str = OURS,
    most: float | None = None,
    p99_most: float | None = None,
    note: str = "",
) -> Row:
    """The summary of `samples`, with `most` and `p99_most` as targets; a 99th percentile only of a hundred or more."""
    p99 = statistics.quantiles(samples, n=100)[98] if len(samples) >= 100 else None
    median = statistics.median(samples)
    targets, met = [], []
    if most is not None:
        targets.append(f"≤ {_amount(most, unit)}")
        met.append(median <= most)
    if p99_most is not None:
        targets.append(f"p99 ≤ {_amount(p99_most, unit)}")
        met.append(p99 is not None and p99 <= p99_most)
    return Row(
        what,
        who,
        unit,
        median,
        p99,
        max(samples),
        statistics.fmean(samples),
        len(samples),
        target=", ".join(targets),
        met=all(met) if met else None,
        note=note,
    )


def amount(
    what: str,
    unit: str,
    value: float,
    *,
    who: str = OURS,
    most: float | None = None,
    least: float | None = None,
    samples: int = 1,
    note: str = "",
) -> Row:
    """A single number, such as a share of a core over a while."""
    target, met = "", None
    if most is not None:
        target, met = f"≤ {_amount(most, unit)}", value <= most
    elif least is not None:
        target, met = f"≥ {_amount(least, unit)}", value >= least
    return Row(what, who, unit, value, samples=samples, target=target, met=met, note=note)


def unable(what: str, who: str, reason: str) -> Row:
    """Somebody who could not be measured."""
    return Row(what, who, note=reason)


def below_all(rows: Iterable[Row]) -> list[Row]:
    """Of rows that measure the same, ours has the further target to be below every peer; the floor is no peer."""
    rows = list(rows)
    ours = next(row for row in rows if row.who == OURS)
    peers = [row for row in rows if row is not ours and row.median is not None and not row.who.startswith("floor")]
    below = all(ours.median < row.median for row in peers if ours.median is not None and row.median is not None)
    target = ", ".join(filter(None, (ours.target, "below every peer")))
    better = replace(ours, target=target, met=below and ours.met is not False)
    return [better if row is ours else row for row in rows]


def with_ratios(rows: Iterable[Row]) -> list[Row]:
    """The rows, each with its median as a multiple of ours of the same thing."""
    rows = list(rows)
    ours = {row.what: row.median for row in rows if row.who == OURS}
    result = []
    for row in rows:
        base = ours.get(row.what)
        comparable = row.who != OURS and row.median is not None and base
        result.append(replace(row, ratio=row.median / base) if comparable else row)  # type: ignore[operator]
    return result


HEAD = "| | measured | who | median | p99 | n | × ours | target | met | note |"
RULE = "|---|---|---|---:|---:|---:|---:|---|---|---|"


def lines(part: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """One part's rows as lines of the table."""
    result = []
    before = None
    for row in (Row(**each) for each in rows):
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        ratio = "" if row.ratio is None else _ratio(row.ratio)
        cells = [part, "〃" if row.what == before else row.what, row.who]
        cells += [_amount(row.median, row.unit), _amount(row.p99, row.unit), str(row.samples or "")]
        cells += [ratio, row.target, met, row.note]
        result.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        before = row.what
    return result


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f} {unit}".strip()
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f} {unit}".strip()
