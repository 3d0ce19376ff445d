"""What a terminal is given: one line drawn again, plain lines where there is none, nothing that commands it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_trainlive.client.terminal import ProgressBar, duration, plain, summary

MESSAGE: dict[str, Any] = {
    "status": "running",
    "progress": 50.0,
    "current_step": 5,
    "total_steps": 10,
    "loss": 0.123456,
    "eval_loss": None,
    "samples_per_second": 12.34,
    "eta_seconds": 75.0,
    "complete": False,
}
UNKNOWN = dict.fromkeys(MESSAGE) | {"status": "starting", "complete": False}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (400, "6 min 40 s"),
        (3599.7, "1 h 0 min"),
        (4320, "1 h 12 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_control_characters_never_reach_the_terminal() -> None:
    nasty = "".join(map(chr, range(256))) + "\u202e\u2028\ud800ä€😀"
    for lines in (False, True):
        shown = plain(nasty, lines=lines)
        kept = "\n\t\r" if lines else ""
        assert all(character.isprintable() or character in kept for character in shown)
        assert shown.endswith("ä€😀")
        shown.encode()
    assert plain("a\nb\tc") == "a\ufffdb\ufffdc"
    assert plain("a\nb\tc", lines=True) == "a\nb\tc"


def test_a_summary_leaves_out_what_is_not_known() -> None:
    assert summary(MESSAGE) == "step 5/10 · loss 0.1235 · 12.3 samples/s · ETA 1 min 15 s"
    assert summary({**MESSAGE, "total_steps": None, "loss": None, "eta_seconds": None}) == "step 5 · 12.3 samples/s"
    assert summary(UNKNOWN) == "starting"


def test_without_a_terminal_a_line_is_written_at_each_change_and_not_at_each_message() -> None:
    file = io.StringIO()
    bar = ProgressBar(file)
    bar.show(UNKNOWN)
    for step in range(20):
        bar.show({**MESSAGE, "current_step": step})
    bar.close({"status": "completed", "complete": True})
    lines = file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(" starting")
    assert "step 0/10" in lines[1]
    assert lines[1].startswith(" 50% ━━━━━━━━━━━━────────────")
    assert "\x1b" not in file.getvalue()
    assert "\r" not in file.getvalue()


def test_without_a_terminal_a_line_is_not_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_trainlive.client.terminal._LINE_SECONDS", 0.0)
    file = io.StringIO()
    bar = ProgressBar(file)
    for message in (UNKNOWN, UNKNOWN, MESSAGE, MESSAGE, {**MESSAGE, "current_step": 6}, MESSAGE):
        bar.show(message)
    assert [line[30:].split(" · ")[0] for line in file.getvalue().splitlines()] == [
        *("starting", "step 5/10", "step 6/10", "step 5/10")
    ]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Any]]:
    monkeypatch.setenv("COLUMNS", "40")
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as file:
        yield ours, file
    os.close(ours)


def test_in_a_terminal_one_line_is_drawn_again_and_never_wraps(terminal: tuple[int, Any]) -> None:
    ours, file = terminal
    bar = ProgressBar(file)
    for step in range(5):
        bar.show({**MESSAGE, "current_step": step})
    bar.close({"status": "completed", "complete": True})
    got = b""
    while not got.endswith(b"\n"):
        got += os.read(ours, 100_000)
    shown = got.decode()
    frames = shown.rstrip("\r\n").split("\r\x1b[2K")[1:]
    assert len(frames) == 6
    assert all(len(frame) <= 39 for frame in frames)
    assert frames[-1].startswith("100% ━━━━━━━━━━━━━━━━━━━━━━━━ ")
    assert shown.count("\n") == 1
