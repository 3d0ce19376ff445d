"""Curves as a picture, for whoever has no live view of them: an SVG of shapes and text, without script or style."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

#: The colours of compared jobs in a light theme, which is what pictures are for; the first two are those of the losses.
COLORS = (
    *("#1565c0", "#d84315", "#00796b", "#8e24aa", "#a06a00"),
    *("#c2185b", "#0087a8", "#558b2f", "#5e6b73", "#7b4b3a"),
)

_WIDTH, _PLOT_HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 14, 28
_LINE_HEIGHT, _COLUMNS = 20, 2
_MOST_TEXT = 44
#: So few values are seen as points of their own.
_FEW = 40
#: The distance between two such numbers is a number still.
_LARGEST = 1e300
#: What XML forbids, and what would reorder the text around it.
_UNSHOWN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")

_Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One curve: its name, and its buckets as ``Job.curves`` has them."""

    label: str
    buckets: Sequence[Mapping[str, Any]]


def svg(title: str, lines: Sequence[Line]) -> str | None:
    """The picture of up to ten curves over steps; None where there is no value to draw."""
    curves = [(line.label, *_drawable(line.buckets)) for line in lines]
    xs = [x for _, runs, _ in curves for run in runs for x, _ in run]
    ys = [
        y
        for _, runs, band in curves
        for y in [*(y for run in runs for _, y in run), *(y for _, *ends in band for y in ends)]
    ]
    if not ys:
        return None
    top = 30 + _LINE_HEIGHT * math.ceil(len(curves) / _COLUMNS)
    frame = _Frame(xs, ys, top + _TOP)
    said = "; ".join(f"{label} {_number(runs[-1][-1][1])}" for label, runs, _ in curves if runs)
    height = top + _TOP + _PLOT_HEIGHT + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"',
        ' role="img" font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{_text(title)}</title><desc>{_text(said, 400)}</desc>",
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        _label(_LEFT, 22, _text(title, 90), ' font-weight="600"'),
        *_grid(frame),
    ]
    for k, (label, runs, band) in enumerate(curves):
        color = COLORS[k % len(COLORS)]
        column, row = k % _COLUMNS, k // _COLUMNS
        x, y = _LEFT + column * (_WIDTH - _LEFT) / _COLUMNS, 22 + _LINE_HEIGHT * (row + 1)
        newest = f'<tspan font-weight="600"> {_number(runs[-1][-1][1])}</tspan>' if runs else ""
        parts.append(f'<path d="M{x:.1f} {y - 4}h14" stroke="{color}" stroke-width="2"/>')
        parts.append(_label(x + 20, y, _text(label) + newest))
        parts += _curve(frame, color, runs, band)
    return "".join([*parts, "</svg>"])


class _Frame:
    """From steps and values to places in the picture."""

    def __init__(self, xs: Iterable[float], ys: Iterable[float], top: float) -> None:
        self.x0, self.x1 = min(xs), max(xs)
        low, high = min(ys), max(ys)
        room = (high - low) * 0.06 or abs(low) / 2 or 1.0
        # Less than that is no room where numbers have some 16 digits.
        room = max(room, max(abs(low), abs(high)) * 1e-12)
        # Down to zero where zero is near, as the live charts do, so that a loss shows its true height.
        self.y0 = 0.0 if 0 <= low < max(high / 2, room) else low - room
        self.y1 = high + room
        self.top, self.bottom = top, top + _PLOT_HEIGHT

    def x(self, step: float) -> float:
        share = (step - self.x0) / (self.x1 - self.x0) if self.x1 > self.x0 else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.y0) / (self.y1 - self.y0) * _PLOT_HEIGHT


def _drawable(buckets: Iterable[Mapping[str, Any]]) -> tuple[list[list[_Point]], list[tuple[float, float, float]]]:
    """The line in runs without a gap, and its band: (x, least, greatest) where a bucket holds several values."""
    kept: list[Mapping[str, Any]] = []
    for bucket in buckets:
        # The steps went back: what stood there is superseded by what follows.
        while kept and kept[-1]["x0"] >= bucket["x0"]:
            kept.pop()
        kept.append(bucket)
    runs: list[list[_Point]] = []
    band, gap = [], True
    for bucket in kept:
        x = (bucket["x0"] + max(bucket["x0"], bucket["x1"] - 1)) / 2
        low, high, last = (_finite(bucket[key]) for key in ("min", "max", "last"))
        if low is not None and high is not None and low < high:
            band.append((x, low, high))
        if last is not None:
            if gap:
                runs.append([])
            runs[-1].append((x, last))
        gap = last is None
    return runs, band


def _finite(value: object) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return min(max(float(value), -_LARGEST), _LARGEST)


def _curve(
    frame: _Frame, color: str, runs: list[list[_Point]], band: list[tuple[float, float, float]]
) -> Iterable[str]:
    bars = "".join(f"M{frame.x(x):.1f} {frame.y(low):.1f}V{frame.y(high):.1f}" for x, low, high in band)
    if bars:
        yield f'<path d="{bars}" stroke="{color}" stroke-width="2" stroke-opacity="0.25"/>'
    for run in runs:
        places = [f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in run]
        if len(places) > 1:
            joined = "L".join(places)
            yield f'<path d="M{joined}" fill="none" stroke="{color}" stroke-width="1.6" stroke-linejoin="round"/>'
    if sum(map(len, runs)) <= _FEW:
        for run in runs:
            for x, y in run:
                at = f'cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}"'
                yield f'<circle {at} r="2.5" fill="#ffffff" stroke="{color}" stroke-width="1.6"/>'


def _grid(frame: _Frame) -> Iterable[str]:
    for value in _ticks(frame.y0, frame.y1, 5):
        y = frame.y(value)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#e6e6e6"/>'
        yield _label(_LEFT - 8, y + 4, _number(value), ' text-anchor="end" fill="#616161"')
    for step in _ticks(frame.x0, frame.x1, 6):
        if step == int(step):
            yield _label(frame.x(step), frame.bottom + 18, f"{step:,.0f}", ' text-anchor="middle" fill="#616161"')


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, some `about` of them."""
    if high <= low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((n * power for n in (1, 2, 5) if n * power >= rough), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _label(x: float, y: float, content: str, attributes: str = ' fill="#212121"') -> str:
    fill = "" if "fill=" in attributes else ' fill="#212121"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{fill}{attributes}>{content}</text>'


def _text(text: str, most: int = _MOST_TEXT) -> str:
    """A name or a title as XML text: names may hold anything, markup and control characters too."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return escape(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", short))
