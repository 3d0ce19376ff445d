"""control.json: what the server wants is seen at the next look, and garbage changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_trainlive.protocol import control
from jupyter_trainlive.protocol.control import ControlReader, Desired, Wish, write_wish


def test_a_new_wish_is_seen_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    assert reader.wish() == Wish()
    write_wish(path, Wish())
    assert reader.wish() == Wish()
    write_wish(path, Wish(Desired.CANCELLED, 3))
    assert reader.wish() == Wish(Desired.CANCELLED, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"desired": "dancing"}',
        b'{"desired": []}',
        b'{"desired": "running", "request": "1"}',
        b"\xff",
    ],
)
def test_garbage_leaves_the_last_wish_standing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    write_wish(path, Wish(Desired.CANCELLED, 3))
    assert reader.wish() == Wish(Desired.CANCELLED, 3)
    path.write_bytes(content)
    assert reader.wish() == Wish(Desired.CANCELLED, 3)
    path.unlink()
    assert reader.wish() == Wish(Desired.CANCELLED, 3)


def test_a_wish_that_could_not_be_read_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "control.json"
    reader = ControlReader(path)
    write_wish(path, Wish(Desired.CANCELLED, 3))

    def too_many_open_files(path: Path) -> bytes:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", too_many_open_files)
        assert reader.wish() == Wish()
    assert reader.wish() == Wish(Desired.CANCELLED, 3)


def refused(*_: object, **__: object) -> None:
    raise OSError("too many open files")


def test_looking_asks_nothing_of_the_system_while_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "control.json"
    write_wish(path, Wish())
    reader = ControlReader(path)
    reader.wish()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refused)
        patch.setattr(Path, "open", refused)
        assert reader.unchanged()
        assert reader.wish() == Wish()
    write_wish(path, Wish(Desired.PAUSED, 1))
    assert not reader.unchanged()
    assert reader.wish() == Wish(Desired.PAUSED, 1)


@pytest.mark.parametrize("begin", ["without", "with"])
def test_a_wish_that_was_not_counted_is_seen_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    """Written by another version, or by a server that was killed in between."""
    path, now = tmp_path / "control.json", [100.0]
    monkeypatch.setattr(control.time, "monotonic", lambda: now[0])
    write_wish(path, Wish())
    if begin == "without":
        path.with_suffix(".count").unlink()
    reader = ControlReader(path)
    assert reader.wish() == Wish()
    path.write_text('{"desired": "cancelled", "request": 3}')
    now[0] += 1.1
    assert reader.wish() == Wish(Desired.CANCELLED, 3)


def test_a_wish_is_not_missed_when_its_reading_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation and an interrupt come together; whoever catches the interrupt asks again."""
    file = tmp_path / "control.json"
    reader = ControlReader(file)
    write_wish(file, Wish(Desired.CANCELLED))

    def interrupted(content: object) -> Wish:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(control, "_wish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reader.wish()
    assert reader.wish().desired is Desired.CANCELLED
