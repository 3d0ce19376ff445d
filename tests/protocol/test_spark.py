"""The shape of a loss in a few values, whatever its length."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jupyter_trainlive.protocol.facts import TrainingFacts, fold_training_all
from jupyter_trainlive.protocol.saved import restored, saved
from jupyter_trainlive.protocol.spark import MOST, Spark
from jupyter_trainlive.protocol.states import Job
from jupyter_trainlive.protocol.values import decode, dumps

ODD = [float("nan"), float("inf"), float("-inf"), 1.7e308]


def test_few_points_are_shown_as_they_are() -> None:
    assert Spark().shown == []
    assert Spark().extended([3.0, 2.0, 1.23456789]).shown == [3.0, 2.0, 1.23457]


def test_a_falling_loss_falls_and_is_whole_at_any_length() -> None:
    for count in (31, 32, 33, 1000, 65_537):
        shown = Spark().extended(1 - point / count for point in range(count)).shown
        assert MOST // 2 <= len(shown) <= MOST
        assert all(value is not None for value in shown)
        assert shown == sorted(shown, reverse=True)  # type: ignore[type-var]
        assert shown[0] > 0.9  # type: ignore[operator]
        assert shown[-1] < 0.1  # type: ignore[operator]


def test_what_is_no_number_is_no_part_of_a_mean() -> None:
    assert Spark().extended([*ODD[:3], 2.0]).shown == [None, None, None, 2.0]
    shown = Spark().extended([4.0, float("nan")] * 100).shown
    assert set(shown) == {4.0}
    assert Spark().extended([1.7e308] * 200).shown[0] == 1.7e308, "no mean of these is infinite"


@given(st.lists(st.one_of(st.floats(), st.sampled_from(ODD)), max_size=200), st.integers(0, 200))
def test_it_does_not_matter_how_often_one_looks(points: list[float], at: int) -> None:
    whole = Spark().extended(points)
    assert repr(Spark().extended(points[:at]).extended(points[at:])) == repr(whole)
    assert len(whole.shown) <= MOST
    assert all(value is None or math.isfinite(value) for value in whole.shown)
    job = Job("job_000000000000", training=TrainingFacts(spark=whole))
    assert repr(restored(job.job_id, {}, decode(dumps(saved(job)).encode()))) == repr(job)


def test_it_is_the_loss_that_is_drawn_through_all_attempts() -> None:
    records = [
        *({"seq": 1, "t": 1.0, "kind": "metrics", "step": 1, "values": values} for values in ({"loss": 2}, {"lr": 9})),
        {"seq": 3, "t": 2.0, "kind": "start", "attempt": 2},
        {"seq": 4, "t": 3.0, "kind": "metrics", "step": 1, "values": {"loss": 1.5, "eval_loss": 7}},
        {"seq": 5, "t": 4.0, "kind": "metrics", "step": 2, "values": {"loss": "inf"}},
        {"seq": 6, "t": 5.0, "kind": "metrics", "step": 2, "values": {"loss": "low"}},
    ]
    assert fold_training_all(TrainingFacts(), records).spark.shown == [2.0, 1.5, None]
