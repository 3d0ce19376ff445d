"""What of a GPU is a job's own: told by its processes, else by its lease, and unknown where nobody can tell."""

from __future__ import annotations

from typing import Any

from jupyter_trainlive.jobs.gpu_share import reading, shares
from jupyter_trainlive.protocol.facts import ServerFacts
from jupyter_trainlive.protocol.states import Job
from jupyter_trainlive.system import Gpu, GpuProcess, Host, Sample

MINE, YOURS = "job_000000000000", "job_111111111111"


def job(job_id: str, *gpus: str) -> Job:
    return Job(job_id, {"name": f"name of {job_id}"}, server=ServerFacts(starting_at=1.0, gpus=gpus))


def gpu(*processes: GpuProcess, index: int = 0) -> Gpu:
    return Gpu(index, f"GPU-{index}", "Pretend", 90.0, 40.0, 80.0, processes=processes)


def share(job_id: str, memory: float | None, busy: float | None) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "name": f"name of {job_id}",
        "memory_used_gb": memory,
        "utilization_percent": busy,
    }


def test_the_processes_of_a_job_are_added_up() -> None:
    ranks = [GpuProcess(pid, 2.5, utilization_percent=40.0, job_id=MINE) for pid in (1, 2)]
    both = gpu(*ranks, GpuProcess(3, 1.0, utilization_percent=15.0, job_id=YOURS), GpuProcess(4, 7.0))
    assert shares(both, [job(MINE), job(YOURS, "GPU-1")]) == [share(MINE, 5.0, 80.0), share(YOURS, 1.0, 15.0)]


def test_who_computes_alone_does_all_that_is_done_though_the_driver_does_not_tell() -> None:
    alone = GpuProcess(1, 2.5, job_id=MINE)
    desktop, other = GpuProcess(2, 0.5, graphics=True), GpuProcess(3, 1.0)
    assert shares(gpu(alone, desktop), [job(MINE)]) == [share(MINE, 2.5, 90.0)]
    assert shares(gpu(alone, other), [job(MINE)]) == [share(MINE, 2.5, None)]


def test_a_lease_says_whose_the_gpu_is_and_no_more() -> None:
    assert shares(gpu(), [job(MINE, "GPU-0"), job(YOURS, "GPU-1")]) == [share(MINE, None, None)]
    unlisted = Gpu(0, "GPU-0", "Pretend", 90.0, 40.0, 80.0)
    assert shares(unlisted, [job(MINE, "GPU-0")]) == [share(MINE, None, None)]
    assert shares(Gpu(0, None, None), [job(MINE, "GPU-0")]) == []


def test_a_part_that_is_unknown_makes_the_sum_unknown() -> None:
    partly = gpu(GpuProcess(1, 2.5, job_id=MINE), GpuProcess(2, None, job_id=MINE))
    assert shares(partly, [job(MINE)]) == [share(MINE, None, 90.0)]


def test_the_processes_of_others_do_not_travel() -> None:
    sample = Sample(
        0.0, (gpu(GpuProcess(4242, 1.0)), gpu(GpuProcess(1, 1 / 3, job_id=MINE), index=1)), Host(1, 2, 3, 4)
    )
    first, second = reading(sample, iter([job(MINE)]))["gpus"]
    assert first["jobs"] == []
    assert second["jobs"] == [share(MINE, 0.333, 90.0)]
    assert "processes" not in first
