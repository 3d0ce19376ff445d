"""The watch over the loss: told once for each row of logs without a number, in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_trainlive.training.log import log
from jupyter_trainlive.training.recorder import Recorder
from jupyter_trainlive.training.watch import NonFiniteLoss, NonFiniteWatch

from .conftest import Job

NAN, INF = math.nan, math.inf


def told(logs: list[dict[str, Any]], patience: int = 3) -> list[tuple[int, str]]:
    """At which steps the watch told what, the logs being one a step from 1 on."""
    watch = NonFiniteWatch(patience)
    seen = ((step, watch.see(step, values)) for step, values in enumerate(logs, 1))
    return [(step, text) for step, text in seen if text]


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([{"loss": NAN}] * 9, [(3, "The loss was NaN in 3 logs in a row (steps 1 to 3).")]),
        ([{"loss": -INF}] * 3, [(3, "The loss was infinite in 3 logs in a row (steps 1 to 3).")]),
        ([{"loss": NAN}, {"loss": INF}, {"loss": NAN}],
         [(3, "The loss was NaN or infinite in 3 logs in a row (steps 1 to 3).")]),
        (
            [{"loss": 0.0, "grad_norm": NAN}] * 3,
            [(3, "The gradient norm (grad_norm) was NaN in 3 logs in a row (steps 1 to 3).")],
        ),
        ([{"loss": NAN}, {"loss": NAN}, {"loss": 1.0}] * 3, []),
        ([{"loss": NAN}, {"eval_loss": 1.0}, {"loss": NAN}, {"step_time_seconds": 1.0}, {"loss": NAN}],
         [(5, "The loss was NaN in 3 logs in a row (steps 1 to 5).")]),
        ([{"loss": 10**400}] * 3, []),
        ([{"other": NAN}] * 3, []),
    ],
)  # fmt: skip
def test_a_row_is_told_once_and_in_words(logs: list[dict[str, Any]], expected: list[tuple[int, str]]) -> None:
    assert told(logs) == expected


def test_a_second_row_is_told_again() -> None:
    assert [step for step, _ in told([{"loss": NAN}] * 4 + [{"loss": 1.0}] + [{"loss": NAN}] * 4)] == [3, 8]


def test_patience_of_one() -> None:
    assert told([{"loss": 1.0}, {"loss": NAN}], patience=1) == [(2, "The loss was NaN (step 2).")]


def test_an_alert_and_the_training_goes_on(job: Job) -> None:
    recorder = Recorder(job.dir, nan_patience=2)
    for loss in (1.0, NAN, NAN, NAN):
        recorder.metrics({"loss": loss})
    (alert,) = job.records("alert")
    assert (alert["name"], alert["step"]) == ("non_finite_loss", 3)
    assert alert["message"] == "The loss was NaN in 2 logs in a row (steps 2 to 3)."
    assert recorder.stop is None
    recorder.close()


def test_a_loop_is_stopped_by_log_where_the_job_wants_it(in_job: Job) -> None:
    in_job.dir.spec_file.write_text('{"stop_on_nan": true, "nan_patience": 2}')
    log({"loss": NAN})
    for _ in range(2):
        with pytest.raises(NonFiniteLoss, match="NaN in 2 logs in a row"):
            log({"loss": NAN})
    assert len(in_job.records("metrics")) == 3, "what stops it is recorded as well"
    assert len(in_job.records("alert")) == 1


@pytest.mark.parametrize("spec", ["{}", '{"nan_patience": 0}', '{"nan_patience": "x"}', "torn"])
def test_a_job_that_says_nothing_usable_has_the_defaults(in_job: Job, spec: str) -> None:
    in_job.dir.spec_file.write_text(spec)
    for _ in range(5):
        log({"loss": NAN})
    assert [record["step"] for record in in_job.records("alert")] == [3]
