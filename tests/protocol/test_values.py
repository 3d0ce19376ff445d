"""Numbers and times survive the way through JSON, or are told apart from what is none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from jupyter_trainlive.protocol.values import carry, dumps, finite, iso, number, whole


@pytest.mark.parametrize(("value", "carried"), [(1.5, 1.5), (-0.0, -0.0), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_carry_writes_number_reads(value: float, carried: object) -> None:
    assert carry(value) == carried
    assert number(json.loads(json.dumps(carry(value)))) == value


def test_nan_is_carried_by_its_name() -> None:
    assert carry(math.nan) == "nan"
    assert math.isnan(number("nan") or 0)


@pytest.mark.parametrize("value", [None, True, False, "1", "NaN", "Infinity", "", [], {}, [1]])
def test_what_is_no_number_is_none(value: object) -> None:
    assert number(value) is None
    assert finite(value) is None
    assert whole(value) is None


def test_integers_beyond_a_float_are_infinite() -> None:
    assert (number(10**400), number(-(10**400))) == (math.inf, -math.inf)
    assert finite(10**400) is None


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", math.nan, math.inf])
def test_finite_and_whole_leave_out_what_a_message_shows_as_null(value: object) -> None:
    assert finite(value) is None
    assert whole(value) is None


def test_whole_takes_whole_floats_only() -> None:
    assert (whole(3), whole(3.0), whole(-2.0), whole(3.5)) == (3, 3, -2, None)


def test_dumps_is_strict_json_on_one_line() -> None:
    value: dict[str, Any] = {"a": [1, math.nan, (math.inf, {"b": -math.inf})], "c": "two\nlines\r\u2028", "d": None}
    text = dumps(value)
    assert "\n" not in text
    assert "\r" not in text
    assert text.isascii()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    again = json.loads(text, parse_constant=refuse)
    assert again == {"a": [1, "nan", ["inf", {"b": "-inf"}]], "c": value["c"], "d": None}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (1e300, None),
    ],
)
def test_times_are_utc_to_the_millisecond(seconds: float | None, text: str | None, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert iso(seconds) == text
