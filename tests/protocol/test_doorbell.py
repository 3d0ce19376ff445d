"""The doorbell reaches who listens, and costs the one who rings nothing when nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.doorbell import Doorbell, listen

JOB_ID = "job_000000000000"


@contextmanager
def doorbell_in(jobs_dir: Path, job_id: str = JOB_ID) -> Iterator[Doorbell]:
    doorbell = Doorbell(jobs_dir, job_id)
    yield doorbell
    doorbell.close()


def test_a_ring_tells_the_listener_which_job_it_was(tmp_path: Path) -> None:
    with listen(tmp_path) as bell, doorbell_in(tmp_path) as one, doorbell_in(tmp_path, "job_111111111111") as two:
        one.ring()
        two.ring()
        assert [bell.recv(64), bell.recv(64)] == [JOB_ID.encode(), b"job_111111111111"]
        with pytest.raises(BlockingIOError):
            bell.recv(64)


def test_who_rings_again_and_again_is_heard_once_in_a_while(tmp_path: Path) -> None:
    with listen(tmp_path) as bell, doorbell_in(tmp_path) as doorbell:
        heard = []
        # The clock is set back in the middle.
        for now in (100.0, 100.001, 100.039, 100.041, 50.0, 50.001, 200.0):
            doorbell.ring(now)
            try:
                heard.append((now, bell.recv(64)))
            except BlockingIOError:
                continue
        assert heard == [(now, JOB_ID.encode()) for now in (100.0, 100.041, 50.0, 200.0)]


def test_without_a_listener_ringing_is_no_error(tmp_path: Path) -> None:
    with doorbell_in(tmp_path) as doorbell, doorbell_in(tmp_path / "no such folder") as nowhere:
        nowhere.ring()
        doorbell.ring()
        listen(tmp_path).close()
        doorbell.ring()
        doorbell.close()
        doorbell.ring()


def test_a_bell_made_before_the_server_reaches_it_and_its_successor(tmp_path: Path) -> None:
    with doorbell_in(tmp_path) as doorbell:
        for _ in range(2):
            with listen(tmp_path) as bell:
                doorbell.ring()
                assert bell.recv(64) == JOB_ID.encode()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a way round the limit")
def test_a_path_longer_than_a_sockets_address_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with doorbell_in(deep) as doorbell:
        for _ in range(2):
            with listen(deep) as bell:
                doorbell.ring()
                assert bell.recv(64) == JOB_ID.encode()


def test_a_listener_that_does_not_listen_never_blocks_the_training(tmp_path: Path) -> None:
    with listen(tmp_path) as bell, doorbell_in(tmp_path) as doorbell:
        began = time.monotonic()
        for _ in range(20_000):
            doorbell.ring()
        assert time.monotonic() - began < 5
        heard = 0
        while True:
            try:
                bell.recv(64)
            except BlockingIOError:
                break
            heard += 1
        assert 0 < heard < 20_000, "the buffer was full, and what found no room was let go"
        doorbell.ring()
        assert bell.recv(64) == JOB_ID.encode()
