"""The watch over a job's GPUs: idle ones while steps are done, and nearly full ones; told once each, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jupyter_trainlive.jobs.stalls import StallRule
from jupyter_trainlive.jobs.watch import JobWatch
from jupyter_trainlive.protocol.facts import ServerFacts, TrainingFacts
from jupyter_trainlive.protocol.states import Job
from jupyter_trainlive.system import Gpu, GpuProcess, Host, Sample

HOST = Host(10.0, 2, 4.0, 8.0)
STALLS = StallRule(20.0, 60.0)


def gpu(index: int = 0, busy: float | None = 90.0, used: float | None = 40.0, **more: Any) -> Gpu:
    return Gpu(index, f"GPU-{index}", "Pretend", busy, used, 80.0, **more)


def job_at(second: int, step_seconds: float = 1.0, phase: str = "training", **more: Any) -> Job:
    """A job that has run for so long, with a step each `step_seconds`."""
    step = 1 + int(second / step_seconds)
    training = TrainingFacts(
        started_at=1.0, step=step, anchor=(0.0, 1), stepped_at=(step - 1) * step_seconds, phase=phase
    )
    server = ServerFacts(starting_at=0.5, gpus=more.pop("gpus", ("GPU-0",)))
    return replace(Job("job_000000000000", server=server, training=training), **more)


def told(seconds: int, *gpus: Gpu, alerts: object = None, since: int = 0, **job: Any) -> list[tuple[int, str, str]]:
    """What is told of a job with the same gauges every second, and when."""
    watch = JobWatch(replace(job_at(0, **job), spec={"alerts": alerts or {}}), STALLS)
    said = []
    for second in range(since, seconds):
        sample = Sample(1e9 + second, gpus, HOST)
        said += [(second, *each) for each in watch.look(job_at(second, **job), sample, 100.0 + second)]
    return said


def test_a_gpu_that_idles_while_steps_are_done_is_told_once_and_names_the_data() -> None:
    ((second, name, sentence),) = told(600, gpu(busy=8.0), step_seconds=1.5)
    assert (second, name) == (121, "gpu_idle") or (second, name) == (122, "gpu_idle")
    assert sentence.startswith("GPU 0 was busy for 8 % of 120 s of training, while a step took 1.5 s: ")
    assert "data" in sentence
    assert "dataloader_num_workers" in sentence


def test_a_gpu_that_is_not_used_at_all_is_told_so() -> None:
    ((_, name, sentence),) = told(300, gpu(busy=0.0))
    assert name == "gpu_idle"
    assert "not used at all" in sentence
    assert "gpus=0" in sentence


@pytest.mark.parametrize(
    ("gpus", "job"),
    [
        ([gpu(busy=60.0)], {}),
        ([gpu(busy=None)], {}),
        ([gpu(busy=8.0)], {"phase": "evaluating"}),
        ([gpu(busy=8.0)], {"phase": "loading"}),
        ([gpu(busy=8.0)], {"step_seconds": 0.01}),
        ([gpu(busy=8.0)], {"step_seconds": 400.0}),
        ([gpu(busy=8.0), gpu(1, busy=95.0)], {"gpus": ("GPU-0", "GPU-1")}),
        ([gpu(1, busy=8.0)], {"gpus": ("GPU-0",)}),
        ([gpu(busy=8.0)], {"gpus": ()}),
        ([], {}),
    ],
    ids=[
        *("busy", "unknown", "evaluating", "loading", "steps too short to tell", "no three steps yet"),
        *("one of two is busy", "of somebody else", "none of its own", "none"),
    ],
)
def test_what_is_no_idleness_or_not_certain_is_not_told(gpus: list[Gpu], job: dict[str, Any]) -> None:
    assert told(500, *gpus, **job) == []


def test_the_gpus_of_a_job_that_leased_none_are_those_its_processes_are_on() -> None:
    mine = gpu(busy=8.0, processes=(GpuProcess(4242, job_id="job_000000000000"),))
    assert [name for _, name, _ in told(200, gpu(1, busy=99.0), mine, gpus=())] == ["gpu_idle"]
    theirs = gpu(busy=8.0, processes=(GpuProcess(4242, job_id="job_111111111111"), GpuProcess(4243)))
    assert told(200, theirs, gpus=()) == []


def test_an_idleness_that_comes_back_is_told_again() -> None:
    watch = JobWatch(job_at(0), STALLS)
    said = []
    for second in range(1500):
        busy = 90.0 if 500 <= second < 900 else 8.0
        sample = Sample(1e9 + second, (gpu(busy=busy),), HOST)
        said += [(second, name) for name, _ in watch.look(job_at(second), sample, float(second))]
    assert [name for _, name in said] == ["gpu_idle"] * 2
    assert said[0][0] < 130
    assert 1000 < said[1][0] < 1200


def test_memory_near_its_limit_is_told_once_for_each_gpu() -> None:
    both = {"gpus": ("GPU-0", "GPU-1")}
    ((second, name, sentence),) = told(300, gpu(used=79.0), gpu(1, used=40.0), gpu(2, used=80.0), **both)
    assert (second, name) == (30, "gpu_memory")
    assert sentence.startswith("GPU 0 has 99 % of its memory in use (79.0 of 80.0 GB): ")
    assert told(300, gpu(used=77.0)) == told(300, gpu(used=None)) == told(25, gpu(used=79.9)) == []
    assert [at for at, *_ in told(300, gpu(used=77.0), alerts={"gpu_memory_percent": 90, "gpu_memory_seconds": 0})] == [
        0
    ]


def test_memory_that_is_full_for_a_moment_only_is_not_told() -> None:
    watch = JobWatch(job_at(0), STALLS)
    for second in range(600):
        sample = Sample(1e9 + second, (gpu(used=79.5 if second % 25 else 60.0),), HOST)
        assert list(watch.look(job_at(second), sample, float(second))) == []


def test_thresholds_turn_each_of_them_off() -> None:
    full_and_idle = gpu(busy=8.0, used=79.0)
    assert {name for _, name, _ in told(200, full_and_idle)} == {"gpu_idle", "gpu_memory"}
    assert {name for _, name, _ in told(200, full_and_idle, alerts={"gpu_idle_percent": None})} == {"gpu_memory"}
    assert {name for _, name, _ in told(200, full_and_idle, alerts={"gpu_memory_percent": None})} == {"gpu_idle"}


def test_how_long_no_step_may_come_is_the_jobs_own_or_else_the_servers() -> None:
    def stalled(alerts: dict[str, Any]) -> list[int]:
        watch = JobWatch(replace(job_at(0), spec={"alerts": alerts}), StallRule(2.0, 100.0))
        said = ((second, list(watch.look(job_at(30), None, float(second)))) for second in range(300))
        return [second for second, each in said if each]

    assert stalled({}) == [100]
    assert stalled({"stall_seconds": 50}) == [50]
    assert stalled({"stall_factor": 150.0}) == [150]
    assert stalled({"stall_factor": None}) == []


def test_one_reading_that_is_seen_again_counts_once() -> None:
    watch = JobWatch(job_at(0), STALLS)
    for second in range(600):
        sample = Sample(1e9 + min(second, 20), (gpu(busy=8.0, used=79.9),), HOST)
        assert list(watch.look(job_at(second), sample, float(second))) == [], "the sampler has stopped"
