"""What is recorded of an exception: one line, a bounded traceback, whatever the exception is like."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_trainlive.training.control import Cancelled
from jupyter_trainlive.training.errors import (
    ERROR_LIMIT,
    TRACEBACK_LIMIT_BYTES,
    End,
    RecipeError,
    end_of,
)


def ended(error: BaseException | None, cancelled: bool = False) -> End:
    if error is not None:
        try:
            raise error
        except BaseException as raised:  # noqa: BLE001 - what is tested
            error = raised
    return end_of(error, cancelled=cancelled)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled(), asyncio.CancelledError()])
def test_an_interruption_is_a_cancellation_only_where_one_was_wished(error: BaseException) -> None:
    assert ended(error, cancelled=True) == End("cancelled")
    assert ended(error) == End("failed", "Interrupted")


def test_returning_after_being_told_to_stop_is_a_cancellation() -> None:
    assert ended(None) == End("completed")
    assert ended(None, cancelled=True) == End("cancelled")


def test_an_exit_that_an_interrupt_became_is_a_cancellation() -> None:
    assert ended(SystemExit(1), cancelled=True) == End("cancelled")
    assert ended(SystemExit(1)).status == "failed"


def test_a_real_error_stays_one_in_a_cancelled_job() -> None:
    assert ended(ValueError("x"), cancelled=True).status == "failed"


def test_the_error_is_one_short_line() -> None:
    end = ended(RuntimeError("The sizes don't fit.\n" + "x" * 10_000))
    assert end.error == "RuntimeError: The sizes don't fit."
    long = ended(RuntimeError("y" * 10_000)).error or ""
    assert len(long) == ERROR_LIMIT
    assert ended(AssertionError()).error == "AssertionError"


def test_a_long_traceback_keeps_beginning_and_end() -> None:
    text = ended(RuntimeError("ä\ud800" * 100_000 + "the end")).traceback or ""
    assert len(text.encode()) <= TRACEBACK_LIMIT_BYTES
    assert text.startswith("Traceback")
    assert text.rstrip().endswith("the end")


def test_an_exception_that_can_not_be_shown() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    end = ended(Odd())
    assert (end.status, end.error) == ("failed", "Odd")
    assert "Odd" in (end.traceback or "")


def test_a_reason_meant_for_people_comes_without_a_traceback() -> None:
    assert ended(RecipeError("the reason", "the hint")) == End("failed", "the reason", "the hint")
