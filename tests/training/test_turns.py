"""Which optimizer counts the steps: whatever others do in between, a loop's steps are counted once each."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_trainlive.training.hooks.turns import Turn, Turns


class Optimizer:
    """Anything that can be held weakly."""


def see(turns: Turns, optimizer: Optimizer, times: int = 1) -> list[Turn | None]:
    return [turns.see(optimizer) for _ in range(times)]


def test_one_optimizer_counts_its_steps() -> None:
    assert see(Turns(), Optimizer(), 3) == [Turn(1, True), Turn(2, False), Turn(3, False)]


@given(st.integers(1, 10), st.integers(1, 100), st.integers(1, 100))
def test_two_that_take_turns_are_one_loop(rounds: int, first: int, second: int) -> None:
    turns, one, other = Turns(), Optimizer(), Optimizer()
    seen: list[Turn | None] = []
    for _ in range(rounds):
        seen += see(turns, one, first)
        seen += see(turns, other, second)
    begun = [turn for turn in seen if turn is not None and turn.begins]
    # Who steps often before another one is seen may be taken for a loop of its own, but not again and again.
    if first < 4:
        assert len(begun) == 1 if second <= 32 else len(begun) <= 3
    else:
        assert len(begun) <= 4
    if len(begun) == 1:
        assert turns.count == rounds * first


@pytest.mark.parametrize("alone", [5, 500])
def test_another_loop_begins_at_its_second_step(alone: int) -> None:
    turns, first, second = Turns(), Optimizer(), Optimizer()
    see(turns, first, alone)
    assert see(turns, second, 3) == [None, Turn(2, True), Turn(3, False)]


def test_one_that_joins_late_is_no_loop_of_its_own() -> None:
    turns, generator, critic = Turns(), Optimizer(), Optimizer()
    see(turns, generator, 1000)
    for step in range(1001, 1100):
        assert see(turns, critic) == [None]
        assert see(turns, generator) == [Turn(step, False)]


def test_two_that_begin_together_after_another_loop_are_one_again() -> None:
    turns, before, one, other = Turns(), Optimizer(), Optimizer(), Optimizer()
    see(turns, before, 50)
    seen = [turn for _ in range(20) for turn in (*see(turns, one), *see(turns, other))]
    assert [turn for turn in seen if turn] == [Turn(2, True), *(Turn(count, False) for count in range(3, 21))]


def test_one_that_is_gone_counts_no_more() -> None:
    turns, first, second = Turns(), Optimizer(), Optimizer()
    see(turns, first, 2)
    see(turns, second)
    del first
    gc.collect()
    assert see(turns, second) == [Turn(2, True)]


def test_one_that_stays_out_of_use_counts_no_more() -> None:
    turns, warmed, real = Turns(), Optimizer(), Optimizer()
    see(turns, warmed, 2)
    seen = see(turns, real, 100)
    (begun,) = (turn for turn in seen if turn is not None and turn.begins)
    assert turns.count == 100
    assert begun.count < 50
