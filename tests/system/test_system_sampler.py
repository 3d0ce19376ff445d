"""One sampler for all who watch: what it reads, when, and what a reader that blocks cannot hold up."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from jupyter_trainlive.system import Gpu, GpuProcess, Host, Sample, Sampler
from jupyter_trainlive.system.worker import Worker

from .pretend_gpus import PretendGpus

HOST = Host(cpu_percent=12.34567, cpu_count=8, memory_used_gb=3.5, memory_total_gb=16.0)
GPU = Gpu(0, "GPU-0", "Pretend", 37.0, 6.0004, 24.0, 61.0, None, None, (GpuProcess(1234, 2.5),))
DEADLINE_SECONDS = 10


class Bench:
    """A sampler with its surroundings in the test's hands: readers, clock, and how the intervals pass."""

    def __init__(self, **options: Any) -> None:
        self.now = 1_767_225_600.0  # 2026-01-01
        self.reads = 0
        self.reading = 0
        self.most_at_once = 0
        self.rests = 0
        self.read_in: set[threading.Thread] = set()
        self.answering = threading.Event()
        self.answering.set()
        self.resting = threading.Event()
        self.resting.set()
        self.failure: Exception | None = None
        self.rest_failure: Exception | None = None
        self.waiting: list[asyncio.Future[None]] = []
        self.waits: list[float] = []
        self.sampler = Sampler(
            self.read_gpus,
            lambda: HOST,
            rest=self.rest,
            clock=lambda: self.now,
            sleep=self.sleep,
            **{"linger_seconds": 0.0} | options,
        )

    def read_gpus(self) -> list[Gpu]:
        self.reads += 1
        self.read_in.add(threading.current_thread())
        self.reading += 1
        self.most_at_once = max(self.most_at_once, self.reading)
        assert self.answering.wait(DEADLINE_SECONDS)
        self.reading -= 1
        if self.failure is not None:
            raise self.failure
        return [GPU]

    def rest(self) -> None:
        assert self.reading == 0
        assert self.resting.wait(DEADLINE_SECONDS)
        self.rests += 1
        if self.rest_failure is not None:
            raise self.rest_failure

    def threads(self) -> int:
        """How many of the threads that it ever read in are alive."""
        return sum(thread.is_alive() for thread in self.read_in)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        passed = asyncio.get_running_loop().create_future()
        self.waiting.append(passed)
        try:
            await passed
        finally:
            self.waiting.remove(passed)

    async def pass_time(self, seconds: float = 1.0) -> None:
        """Let the clock run, and wake whoever sleeps."""
        self.now += seconds
        for passed in self.waiting:
            if not passed.done():
                passed.set_result(None)
        await settle()


async def settle() -> None:
    """Let the loop do all that it can do at once."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)
    await settle()


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs on a loop of its own, on which nothing may be left undone when it ends."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    return run


@on_loop
async def test_with_no_holder_nothing_is_read_and_nothing_runs() -> None:
    before = set(threading.enumerate())
    bench = Bench()
    await settle()
    assert (bench.reads, bench.waits) == (0, [])
    assert set(threading.enumerate()) <= before
    with bench.sampler.watching():
        await until(lambda: bench.sampler.latest is not None)
    await until(lambda: bench.threads() == 0)
    await bench.pass_time(100)
    assert bench.reads == 1
    assert bench.waiting == []  # no timer is left
    assert bench.rests == 1  # and the GPUs have been let go of
    assert asyncio.all_tasks() == {asyncio.current_task()}


@on_loop
async def test_many_holders_cost_one_reading_an_interval() -> None:
    bench = Bench(interval_seconds=2.0, linger_seconds=60.0)
    seen: list[Sample] = []
    bench.sampler.subscribe(seen.append)
    for _ in range(5):
        bench.sampler.acquire()
    for count in (1, 2, 3):
        await until(lambda: len(seen) == count)  # noqa: B023
        assert bench.reads == count
        await bench.pass_time(2)
    for _ in range(4):
        bench.sampler.release()
    await until(lambda: len(seen) == 4)
    await bench.pass_time(2)
    await until(lambda: len(seen) == 5)
    bench.sampler.release()
    await bench.pass_time(2)
    assert bench.reads == 5
    assert set(bench.waits) == {2.0}
    assert [sample.time - seen[0].time for sample in seen] == [0, 2, 4, 6, 8]
    assert bench.threads() == 1
    await bench.sampler.close()
    await until(lambda: bench.threads() == 0)


@on_loop
async def test_holders_that_come_and_go_cause_no_further_readings() -> None:
    bench = Bench()
    with bench.sampler.watching():
        await until(lambda: bench.sampler.latest is not None)
    bench.now += 0.25
    for _ in range(3):
        with bench.sampler.watching():
            await settle()
    assert bench.reads == 1
    with bench.sampler.watching():
        await settle()
        assert bench.waits[-1] == 0.75  # what is left of the interval
        await bench.pass_time(0.75)
        await until(lambda: bench.reads == 2)
        await until(lambda: bench.sampler.latest is not None and bench.sampler.latest.time == bench.now)


@on_loop
async def test_a_reader_that_blocks_leaves_the_loop_free_and_piles_nothing_up() -> None:
    bench = Bench()
    seen: list[Sample] = []
    bench.sampler.subscribe(seen.append)
    with bench.sampler.watching():
        await until(lambda: len(seen) == 1)
        last = bench.sampler.latest
        bench.answering.clear()
        await bench.pass_time()
        await until(lambda: bench.reading == 1)
        for _ in range(5):
            await bench.pass_time()
            assert await bench.sampler.now(timeout_seconds=0.001) is last
        with bench.sampler.watching():
            await bench.pass_time()
        assert (bench.reads, bench.threads()) == (2, 1)
        bench.answering.set()
        await until(lambda: len(seen) == 3)  # the third at once, for its interval had passed long ago
        assert [sample.time for sample in seen[1:]] == [bench.now] * 2  # of the answer, not of the question
    assert bench.most_at_once == 1
    await bench.sampler.close()


@on_loop
async def test_a_reader_that_has_never_answered_leaves_now_without_a_sample() -> None:
    bench = Bench()
    bench.answering.clear()
    assert await bench.sampler.now(timeout_seconds=0.001) is None
    await until(lambda: bench.reading == 1)
    assert await bench.sampler.now(timeout_seconds=0.001) is None
    assert bench.reads == 1
    bench.answering.set()
    await until(lambda: bench.sampler.latest is not None)
    await bench.sampler.close()


@on_loop
async def test_now_reads_without_a_holder_and_only_when_the_last_sample_is_old() -> None:
    bench = Bench()
    first = await bench.sampler.now()
    assert first == Sample(bench.now, (GPU,), HOST)
    bench.now += 0.9
    assert await bench.sampler.now() is first
    bench.now += 0.2
    second = await bench.sampler.now()
    assert second is not None
    assert second.time == bench.now
    bench.now -= 3600  # somebody set the clock
    third = await bench.sampler.now()
    assert third is not None
    assert third.time == bench.now
    assert bench.reads == 3
    assert bench.waits == []
    await bench.sampler.close()


@on_loop
async def test_all_who_ask_at_once_share_one_reading() -> None:
    bench = Bench()
    samples = await asyncio.gather(*(bench.sampler.now() for _ in range(20)))
    assert bench.reads == 1
    assert samples == [bench.sampler.latest] * 20
    await bench.sampler.close()


@on_loop
async def test_who_asks_while_the_gpus_are_let_go_of_is_answered_after_it() -> None:
    bench = Bench()
    bench.resting.clear()
    assert await bench.sampler.now() is not None
    bench.now += 10
    asking = asyncio.create_task(bench.sampler.now(timeout_seconds=DEADLINE_SECONDS))
    await settle()
    assert bench.reads == 1
    bench.resting.set()
    sample = await asking
    assert sample is not None
    assert sample.time == bench.now
    assert bench.reads == 2
    await bench.sampler.close()


@on_loop
async def test_a_reader_that_fails_is_logged_once_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with bench.sampler.watching():
        await until(lambda: bench.sampler.latest is not None)
        last = bench.sampler.latest
        bench.failure = ValueError("a broken reader")
        for count in (2, 3, 4):
            await bench.pass_time()
            await until(lambda: bench.reads == count)  # noqa: B023
        assert await bench.sampler.now() is last
        bench.failure = None
        await bench.pass_time()
        await until(lambda: bench.sampler.latest is not last)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "a broken reader" in caplog.text
        bench.failure = ValueError("broken anew")
        await bench.pass_time()
        await until(lambda: len(caplog.records) == 2)
    await bench.sampler.close()


@on_loop
async def test_a_listener_that_raises_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    seen: list[Sample] = []

    def fail(sample: Sample) -> None:
        raise ValueError("a broken listener")

    bench.sampler.subscribe(fail)
    unsubscribe = bench.sampler.subscribe(seen.append)
    first = await bench.sampler.now()
    assert seen == [first]
    assert "a broken listener" in caplog.text
    unsubscribe()
    unsubscribe()
    bench.now += 5
    assert await bench.sampler.now() is not first
    assert seen == [first]
    await bench.sampler.close()


@on_loop
async def test_history_holds_the_last_intervals_only() -> None:
    bench = Bench(history_length=3)
    taken = []
    for _ in range(5):
        bench.now += 1
        taken.append(await bench.sampler.now())
    assert bench.sampler.history() == taken[-3:]
    bench.now += 1
    assert bench.sampler.history() == taken[-2:]
    bench.now += 3600
    assert bench.sampler.history() == []
    assert bench.sampler.latest is taken[-1]
    await bench.sampler.close()


@on_loop
async def test_a_closed_sampler_reads_no_more_and_takes_no_offence() -> None:
    bench = Bench(linger_seconds=60.0)
    bench.sampler.acquire()
    await until(lambda: bench.sampler.latest is not None)
    bench.resting.clear()
    closing = asyncio.create_task(bench.sampler.close())
    await settle()
    assert not closing.done()  # it waits a while for the GPUs to be let go of
    bench.resting.set()
    await closing
    await bench.sampler.close()
    assert bench.rests == 1
    await until(lambda: bench.threads() == 0)
    bench.sampler.release()
    with bench.sampler.watching():
        await settle()
        assert bench.waiting == []
    bench.now += 100
    with bench.sampler.watching():
        await settle()
        assert await bench.sampler.now() is bench.sampler.latest
    assert bench.reads == 1


@on_loop
async def test_closing_does_not_wait_for_a_reader_that_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_trainlive.system.sampler.CLOSE_GRACE_SECONDS", 0.01)
    bench = Bench()
    bench.answering.clear()
    asking = asyncio.create_task(bench.sampler.now(timeout_seconds=DEADLINE_SECONDS))
    await until(lambda: bench.reading == 1)
    await bench.sampler.close()
    assert bench.reading == 1
    assert await asking is None
    bench.answering.set()
    await until(lambda: bench.threads() == 0)
    assert bench.rests == 1
    assert bench.sampler.latest is None


@on_loop
async def test_gpus_that_cannot_be_let_go_of_are_still_read_later(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.rest_failure = ValueError("stuck")
    assert await bench.sampler.now() is not None
    await until(lambda: bench.threads() == 0)
    assert "stuck" in caplog.text
    bench.now += 10
    sample = await bench.sampler.now()
    assert sample is not None
    assert sample.time == bench.now
    await bench.sampler.close()


def test_a_worker_takes_one_question_at_a_time_and_none_when_stopped() -> None:
    answer = threading.Event()
    worker = Worker(lambda: answer.wait(DEADLINE_SECONDS), lambda: None, name="worker", linger_seconds=60)
    asked = worker.ask()
    with pytest.raises(RuntimeError):
        worker.ask()
    answer.set()
    assert asked.result(DEADLINE_SECONDS)
    assert worker.ask().result(DEADLINE_SECONDS)
    worker.stop().result(DEADLINE_SECONDS)
    with pytest.raises(RuntimeError):
        worker.ask()


@on_loop
async def test_releasing_what_nobody_holds_is_an_error() -> None:
    bench = Bench()
    with bench.sampler.watching():
        pass
    with pytest.raises(RuntimeError, match="without acquire"):
        bench.sampler.release()


def test_a_sample_travels_with_its_gauges_rounded_missing_ones_as_null_and_without_peoples_processes() -> None:
    assert Sample(1_767_225_600.25, (GPU,), HOST).as_dict() == {
        "time": "2026-01-01T00:00:00.250Z",
        "gpus": [
            {
                "index": 0,
                "uuid": "GPU-0",
                "name": "Pretend",
                "utilization_percent": 37.0,
                "memory_used_gb": 6.0,
                "memory_total_gb": 24.0,
                "temperature_celsius": 61.0,
                "power_watts": None,
                "power_limit_watts": None,
            }
        ],
        "host": {"cpu_percent": 12.346, "cpu_count": 8, "memory_used_gb": 3.5, "memory_total_gb": 16.0},
    }


def test_a_driver_that_never_answers_holds_up_neither_the_loop_nor_the_end_of_the_process(
    gpus: PretendGpus,
) -> None:
    """The real binding, blocked inside a call to the driver, in a process that must still end."""
    seen = gpus.run("probe_sampler.py")
    assert [gpu["name"] for gpu in seen["first"]["gpus"]] == ["Pretend GeForce 24G", "Pretend Tesla 8G"]
    assert seen["first"]["host"]["cpu_count"] >= 1
    assert seen["calls"] == 1
    assert sorted(seen["threads"]) == ["MainThread", "trainlive-sampler"]


def test_an_idle_sampler_lets_go_of_the_driver(gpus: PretendGpus) -> None:
    seen = gpus.run("probe_idle.py")
    assert seen["calls"] == gpus.calls()
    assert seen["calls"].count("init") == seen["calls"].count("shutdown") == 2
    assert seen["calls"][-1] == "shutdown"
