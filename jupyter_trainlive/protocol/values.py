"""Numbers and times as they travel: JSON has no NaN, and clocks are written in UTC."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

try:
    import orjson
except ImportError:
    # A kernel in an environment of its own has perhaps nothing but the standard library.
    orjson = None  # type: ignore[assignment]

NAN, INF, NEGATIVE_INF = "nan", "inf", "-inf"
_NON_FINITE = frozenset((NAN, INF, NEGATIVE_INF))


def carry(value: float) -> float | str:
    """A float as JSON can carry it: itself, or the word ``nan``, ``inf`` or ``-inf``."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return NAN
    return INF if value > 0 else NEGATIVE_INF


def number(value: object) -> float | None:
    """The float that `carry` wrote, or None where `value` is no number at all.

    Booleans are not numbers here, and integers too large for a float are infinite.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str) and value in _NON_FINITE:
        return float(value)
    return None


def finite(value: object) -> float | None:
    """`value` as a finite float, else None: for messages, where the unknown is null."""
    result = number(value)
    return result if result is not None and math.isfinite(result) else None


def whole(value: object) -> int | None:
    """`value` as an int where it is one (``3`` or ``3.0``), else None."""
    result = finite(value)
    return int(result) if result is not None and result == int(result) else None


def dumps(value: Any) -> str:
    """Compact, strict JSON on one line; non-finite floats become the words of `carry`."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_sanitised(value), separators=(",", ":"), allow_nan=False)


def encode(value: Any) -> bytes:
    """As `dumps`, in UTF-8 and much quicker, of a value without a non-finite float in it (it might become null)."""
    if orjson is None:
        return dumps(value).encode()
    try:
        return orjson.dumps(value)
    except TypeError:
        # It refuses half of a surrogate pair, and integers beyond 64 bits.
        return dumps(value).encode()


def decode(text: bytes) -> Any:
    """The value of a JSON text; raises ValueError or RecursionError where it is none."""
    if orjson is None:
        return json.loads(text)
    try:
        return orjson.loads(text)
    except ValueError:
        # It refuses what `dumps` makes of half a surrogate pair.
        return json.loads(text)


def _sanitised(value: Any) -> Any:
    if isinstance(value, float):
        return carry(value)
    if isinstance(value, dict):
        return {key: _sanitised(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sanitised(item) for item in value]
    return value


def iso(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC with ``Z``, to the millisecond; None stays None."""
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def clock(seconds: float) -> str:
    """Unix seconds for a sentence, in UTC: ``2026-11-26 14:05 UTC``."""
    text = iso(seconds)
    return "an unknown time" if text is None else f"{text[:10]} {text[11:16]} UTC"
