"""The watch over the level of a loss and its evaluations: silent about what is usual, told of what is not, once."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_trainlive.protocol.watching import checked_thresholds, thresholds
from jupyter_trainlive.training.recorder import Recorder
from jupyter_trainlive.training.watch import Eye, Watch

from .conftest import Job

Told = list[tuple[int, str, str]]
STEPS = 1200
Curve = Sequence[float]
Make = Callable[[random.Random], Curve]


def watched(logs: Sequence[Mapping[str, Any]], alerts: object = None) -> Told:
    """At which steps the watch told what, by name; the logs are one a step from 1 on."""
    watch = Watch(3, thresholds(checked_thresholds(alerts)))
    eyes: dict[tuple[str, ...], Eye] = {}
    told: Told = []
    for step, log in enumerate(logs, 1):
        names = tuple(log)
        eye = eyes.get(names) or eyes.setdefault(names, watch.eye(names))
        finite = all(math.isfinite(value) for value in log.values())
        told += [(step, *each) for each in eye.see(step, log, finite) or () if eye.watches]
    return told


def of_losses(losses: Curve, alerts: object = None) -> Told:
    return watched([{"loss": loss, "grad_norm": 1.0} for loss in losses], alerts)


def falling(first: float = 4.0, last: float = 1.0, steps: int = STEPS, slowness: float = 150) -> list[float]:
    return [last + (first - last) * math.exp(-step / slowness) for step in range(steps)]


def noisy(curve: Curve, by: float, seed: random.Random) -> list[float]:
    return [value * math.exp(seed.gauss(0, by)) for value in curve]


USUAL: dict[str, Make] = {
    "hardly any noise": lambda seed: noisy(falling(), 0.01, seed),
    "some noise": lambda seed: noisy(falling(), 0.1, seed),
    "batches of one row": lambda seed: noisy(falling(), 0.5, seed),
    "noise that stays as large": lambda seed: [value + seed.gauss(0, 0.3) for value in falling()],
    "a heavy tail": lambda seed: [v + 0.05 * seed.gauss(0, 1) / seed.gammavariate(2, 0.5) ** 0.5 for v in falling()],
    "falls to nothing": lambda seed: noisy(falling(2.3, 0.001, slowness=60), 0.7, seed),
    "begins high": lambda seed: [300.0, 80.0, 20.0, 9.0, *noisy(falling(), 0.1, seed)],
    "rises while the learning rate warms up": lambda seed: noisy(
        [2 + 0.6 * math.sin(min(1, step / 150) * math.pi) - step / 6000 for step in range(STEPS)], 0.05, seed
    ),
    "jumps down at each epoch and rises within": lambda seed: noisy(
        [3 * 0.7 ** (step // 200) * (1 + 0.15 * (step % 200) / 200) for step in range(STEPS)], 0.1, seed
    ),
    "other data, harder": lambda seed: noisy([1.0] * 600 + [1.35] * 600, 0.1, seed),
    "about zero, as of a policy": lambda seed: [seed.gauss(0, 0.05) - 0.01 for _ in range(STEPS)],
    "grows from zero, as a divergence from a reference does": lambda seed: noisy(
        [0.0001 * step for step in range(STEPS)], 0.3, seed
    ),
    "negative": lambda seed: [value - 9 for value in noisy(falling(), 0.1, seed)],
    "constant": lambda seed: [0.5] * STEPS,
    "zero": lambda seed: [0.0] * STEPS,
    "a few logs": lambda seed: noisy(falling(8, 2, 40, 8), 0.1, seed),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_curve_is_no_alert(name: str) -> None:
    assert [of_losses(USUAL[name](random.Random(seed))) for seed in range(4)] == [[]] * 4


def test_a_schedule_that_restarts_is_no_alert() -> None:
    for seed in range(3):
        part = [(step % 300) / 300 for step in range(STEPS)]
        rates = [1e-6 + 1e-3 * (1 + math.cos(math.pi * each)) / 2 for each in part]
        losses = noisy(
            [0.05 + 400 * rate + math.exp(-i / 30) for i, rate in enumerate(rates)], 0.1, random.Random(seed)
        )
        assert of_losses(losses), "so it would be one if nobody knew why"
        together = [{"loss": loss, "learning_rate": rate} for loss, rate in zip(losses, rates, strict=True)]
        assert watched(together) == []
        # As where the rate is logged by a hook of its own.
        apart = [log for loss, rate in zip(losses, rates, strict=True) for log in ({"lr-AdamW": rate}, {"loss": loss})]
        assert watched(apart) == []


@pytest.mark.parametrize("noise", [0.02, 0.1])
@pytest.mark.parametrize("name", ["loss", "train_loss", "train/loss", "train_loss_step"])
def test_one_log_of_ten_times_as_much_is_told_at_once(noise: float, name: str) -> None:
    losses = noisy(falling(), noise, random.Random(1))
    losses[900] *= 10
    ((step, alert, sentence),) = watched([{name: loss} for loss in losses])
    assert (step, alert) == (901, "loss_spike")
    called = "The loss was" if name == "loss" else f"The loss ({name}) was"
    assert sentence.startswith(f"{called} {losses[900]:.4g} at step 901: far above its recent level of ")


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_several_logs_in_a_row_far_above_are_told_once(noise: float) -> None:
    losses = noisy(falling(), noise, random.Random(2))
    losses[900:940] = [4 * loss for loss in losses[900:940]]
    ((step, alert, sentence),) = of_losses(losses)
    assert alert == "loss_spike"
    assert 901 <= step <= (910 if noise < 0.3 else 935)
    assert "far above its recent level" in sentence
    assert "learning_rate" in sentence


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_a_loss_that_diverges_is_told(noise: float) -> None:
    losses = noisy(falling(4, 2), noise, random.Random(3))
    losses[700:] = [min(10.0, loss * (1 + step / 60)) for step, loss in enumerate(losses[700:])]
    told = of_losses(losses)
    assert 1 <= len(told) <= 2
    assert 720 <= told[0][0] <= 780


def test_a_loss_that_diverges_soon_after_the_beginning_is_told() -> None:
    losses = noisy([2.0] * 25 + [min(8.0, 2 + step / 2) for step in range(75)], 0.05, random.Random(4))
    rates = [1e-3 * min(1, step / 30) for step in range(100)]
    told = watched([{"loss": loss, "learning_rate": rate} for loss, rate in zip(losses, rates, strict=True)])
    assert [name for _, name, _ in told] == ["loss_spike"]
    assert told[0][0] < 40


def test_odd_batches_again_and_again_are_told_of_now_and_then_only() -> None:
    seed = random.Random(5)
    told = of_losses([loss * (10 if seed.random() < 0.01 else 1) for loss in noisy(falling(steps=5000), 0.1, seed)])
    assert 1 <= len(told) <= 5


def test_thresholds_say_what_is_far_above_and_whether_to_look_at_all() -> None:
    losses = noisy(falling(), 0.02, random.Random(6))
    losses[900:905] = [1.6 * loss for loss in losses[900:905]]
    assert of_losses(losses) == []
    assert [step for step, *_ in of_losses(losses, {"loss_spike_factor": 1})] == [903]
    assert [step for step, *_ in of_losses(losses, {"loss_spike_factor": 1, "loss_spike_patience": 5})] == [905]
    losses[900:905] = [9 * loss for loss in losses[900:905]]
    assert [step for step, *_ in of_losses(losses)] == [901], "and the other four are the same episode"
    assert of_losses(losses, {"loss_spike_factor": None}) == of_losses(losses, False) == []


def test_a_row_of_no_numbers_is_broken_by_a_number_of_whatever_name() -> None:
    assert watched([{"loss": math.nan}, {"loss": math.nan}, {"loss": 1.0}] * 3) == []
    assert watched([{"loss": math.nan}, {"loss": math.nan}, {"train_loss": 1.0}] * 3) == []
    assert watched([{"grad_norm": math.nan}, {"grad_norm": math.nan}, {"grad_norm": 1.0}] * 3) == []


def test_no_alerts_but_those_of_failures() -> None:
    logs = [{"loss": math.nan}] * 3 + [{"grad_norm": math.inf}] * 3
    assert [name for _, name, _ in watched(logs, False)] == ["non_finite_loss"]


finite = st.floats(-1e90, 1e90) | st.floats(-10, 10) | st.integers(-(10**20), 10**20)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["loss", "eval_loss", "lr"]), finite | st.sampled_from([math.nan, 1e308]))),
    st.integers(1, 6),
)
def test_whatever_is_logged_the_watch_does_not_raise_and_speaks_of_what_was_logged(
    logs: list[tuple[str, float]], times: int
) -> None:
    for _, name, sentence in watched([{name: value} for name, value in logs * times], {"loss_spike_factor": 0.1}):
        assert name in ("loss_spike", "overfitting", "non_finite_loss")
        assert sentence.endswith(".")


@settings(max_examples=60)
@given(st.lists(st.floats(0, 100), max_size=150), st.floats(1e-3, 1e3))
def test_a_loss_that_never_rises_is_never_told_of(losses: list[float], scale: float) -> None:
    assert of_losses([scale * loss for loss in sorted(losses, reverse=True)]) == []


def evaluated(evals: Curve, losses: Curve, alerts: object = None, name: str = "eval_loss") -> Told:
    """One log of the loss, and then one evaluation, at a time; at which evaluation what was told."""
    logs = [log for loss, value in zip(losses, evals, strict=True) for log in ({"loss": loss}, {name: value})]
    return [(step // 2, alert, sentence) for step, alert, sentence in watched(logs, alerts)]


DOWN = [2.0 * 0.9**step for step in range(12)]


def test_evaluations_that_rise_while_the_loss_falls_are_told_once() -> None:
    evals = [1.0, 0.9, 0.8, 0.82, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2]
    ((at, alert, sentence),) = evaluated(evals, DOWN)
    assert (at, alert) == (6, "overfitting")
    assert sentence == (
        "The evaluation loss (eval_loss) rose 3 times in a row, to 0.9 at step 12, while the training loss fell to "
        "1.181: the model may be learning its rows by heart. It was best at step 6 (0.8)."
    )
    assert [at for at, *_ in evaluated(evals, DOWN, {"eval_patience": 1}, name="val_loss")] == [5]
    assert evaluated(evals, DOWN, {"eval_patience": None}) == []
    assert evaluated(evals, [2.0] * 12) == [], "a loss that does not fall learns nothing by heart"
    assert evaluated(evals, DOWN[::-1]) == [], "and one that rises has another trouble"
    best_again = [*evals[:7], 0.7, 0.75, 0.8, 0.85, 0.9]
    assert [at for at, *_ in evaluated(best_again, DOWN)] == [6, 11]


@pytest.mark.parametrize("noise", [0.002, 0.02, 0.05])
def test_evaluations_that_only_waver_are_no_alert(noise: float) -> None:
    for seed in map(random.Random, range(10)):
        evals = noisy([0.8 + 0.4 * math.exp(-step / 10) for step in range(150)], noise, seed)
        assert evaluated(evals, [2.0 * 0.99**step for step in range(150)]) == []


def test_evaluating_once_more_at_the_same_step_is_not_another_evaluation() -> None:
    watch = Watch(3, thresholds({"eval_patience": 1}))
    loss, evaluation = watch.eye(("loss",)), watch.eye(("eval_loss",))
    for step, value in ((1, 1.0), (2, 0.5)):
        loss.see(step, {"loss": 1 / step}, True)
        assert evaluation.see(step, {"eval_loss": value}, True) == []
    loss.see(2, {"loss": 0.1}, True)
    assert evaluation.see(2, {"eval_loss": 0.9}, True) == []


def test_two_trainers_in_one_job_have_nothing_to_do_with_each_other(job: Job) -> None:
    seed = random.Random(7)
    recorder = Recorder(job.dir)
    for begins, first in ((0, 4.0), (200, 400.0), (0, 4000.0)):
        # One trainer begins, one goes on with another's steps, one counts anew; and then a loop without one.
        recorder.segment(step=begins, total_steps=400, total_epochs=None)
        for step, loss in enumerate(noisy(falling(first, first / 4, 200, 30), 0.1, seed), begins + 1):
            recorder.metrics({"loss": loss}, step=step)
    recorder.segment_over()
    for step, loss in enumerate(noisy([9e4] * 100, 0.1, seed), 1):
        recorder.metrics({"loss": loss}, step=step)
    assert job.records("alert") == []
    recorder.metrics({"loss": 9e5}, step=101)
    recorder.close()
    (alert,) = job.records("alert")
    assert (alert["name"], alert["step"]) == ("loss_spike", 101)


def test_a_watch_that_fails_costs_nobody_a_log(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(Eye, "_look", fails)
    recorder = Recorder(job.dir, alerts={"loss_spike_factor": 2})
    for step in range(1, 41):
        recorder.metrics({"loss": math.nan if step < 5 else 1.0}, step=step)
    recorder.close()
    assert len(job.series("loss")) == 40
    assert capsys.readouterr().err.count("watched no more: ZeroDivisionError: a slip") == 1
