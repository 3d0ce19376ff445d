"""Thresholds of alerts: one table, checked at submission, read leniently by who watches."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_trainlive.protocol.watching import THRESHOLDS, checked_thresholds, limits_of, thresholds


@pytest.mark.parametrize("value", [None, True, {}])
def test_who_says_nothing_has_the_defaults(value: object) -> None:
    assert checked_thresholds(value) == {}
    assert thresholds(value) == {name: threshold.default for name, threshold in THRESHOLDS.items()}


def test_false_turns_all_of_them_off_and_null_one() -> None:
    nothing = thresholds(checked_thresholds(False))
    assert {limits_of(threshold.alert, nothing) for threshold in THRESHOLDS.values()} == {None}
    one = thresholds(checked_thresholds({"stall_seconds": None, "eval_patience": False}))
    assert limits_of("stalled", one) is limits_of("overfitting", one) is None
    assert limits_of("loss_spike", one) == (3.0, 3)


def test_a_job_comes_before_the_server_and_the_server_before_the_table() -> None:
    given = thresholds(checked_thresholds({"stall_factor": 7}), {"stall_factor": 9.0, "stall_seconds": 8.0})
    assert limits_of("stalled", given) == (7.0, 8.0)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ([1], ["object", "false"]),
        ("none", ["object", "false"]),
        ({"overfitting": 3}, ["'overfitting'", "use eval_patience"]),
        ({"loss_spike": None}, ["'loss_spike'", "use loss_spike_factor or loss_spike_patience"]),
        ({"gpu_idle_percnt": 3}, ["'gpu_idle_percnt'", "use gpu_idle_percent"]),
        ({"x": 3}, ["'x'", *THRESHOLDS]),
        ({3: 3}, ["'3'"]),
        ({"eval_patience": 2.5}, ["eval_patience", "a whole number from 1 to 1000", "null"]),
        ({"eval_patience": 0}, ["eval_patience", "1 to 1000"]),
        ({"stall_seconds": True}, ["stall_seconds", "1 to 10000000", "null"]),
        ({"stall_seconds": "60"}, ["stall_seconds"]),
        ({"gpu_memory_percent": 101}, ["gpu_memory_percent", "1 to 100"]),
        ({"gpu_memory_percent": math.nan}, ["gpu_memory_percent"]),
        ({"loss_spike_factor": math.inf}, ["loss_spike_factor"]),
        ({"loss_spike_factor": 10**400}, ["loss_spike_factor"]),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(value: Any, names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"must be|is no threshold") as error:
        checked_thresholds(value)
    assert [name for name in names if name not in str(error.value)] == []
    # A spec may be older or newer than who reads it; that costs no watch.
    assert thresholds(value) == thresholds({})
