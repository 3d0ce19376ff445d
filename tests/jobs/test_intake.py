"""The intake of one job: as fast as it may be, told of its haste only when that lasts, and nothing is lost by it."""

from __future__ import annotations

import time
from pathlib import Path

from jupyter_trainlive.jobs.intake import Pace
from jupyter_trainlive.jobs.tracker import load
from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import append_shared

from ..managing import managing, reach, submit


def test_what_is_within_the_rate_is_never_held_back() -> None:
    pace = Pace(1000)
    assert [pace.took(1000, float(second)) for second in range(20)] == [0.0] * 20
    assert not pace.hasty(20.0)


def test_what_is_beyond_waits_as_long_as_it_takes() -> None:
    pace, now, taken = Pace(1000), 0.0, 0
    for _ in range(100):
        now += pace.took(700, now)
        taken += 700
    assert taken / now <= 1020
    assert pace.hasty(now)


def test_a_burst_is_no_haste() -> None:
    pace = Pace(1000)
    wait = pace.took(5000, 0.0)
    assert 3.9 < wait < 4.1
    assert not pace.hasty(4.0)
    pace.took(0, 20.0)
    assert not pace.hasty(30.0)


async def test_a_job_that_logs_too_much_is_slowed_in_its_curves_and_loses_nothing(tmp_path: Path) -> None:
    code = """
import jupyter_trainlive as t
for step in range(1, 4001):
    t.log({"a": step, "b": step}, step=step)
"""
    async with managing(tmp_path / "jobs", max_points_per_second=2000, poll_interval=0.1) as manager:
        began = time.monotonic()
        job_id = await submit(manager, code)
        await reach(manager, job_id, timeout=60)
        tracker = await manager.get(job_id)
        assert {name: (summary.count, summary.last) for name, summary in tracker.series.items()} == {
            "a": (4000, 4000.0),
            "b": (4000, 4000.0),
        }
        assert time.monotonic() - began > 1.5, "8,000 points at 2,000 a second"


async def test_series_beyond_the_limit_are_told_and_stay_in_the_journal(tmp_path: Path) -> None:
    code = """
import time, jupyter_trainlive as t
t.log({f"s{i}": i for i in range(5)}, step=1)
t.log({"s0": 9}, step=2)
time.sleep(1)
"""
    async with managing(tmp_path / "jobs", max_series_per_job=3, poll_interval=0.1) as manager:
        job_id = await submit(manager, code)
        job = await reach(manager, job_id)
        tracker = await manager.get(job_id)
        assert {name: summary.count for name, summary in tracker.series.items()} == {"s0": 2, "s1": 1, "s2": 1}
        (alert,) = job.alerts
        assert alert.name == "too_many_series"
        assert "'s3' has no curve" in alert.message
        assert "JobManager.max_series_per_job" in alert.message
        assert '"s4":4' in tracker.job_dir.training_journal.read_text()


async def test_what_was_asked_for_is_known_at_once_however_much_the_training_writes(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path / "job_000000000000")
    job_dir.create()
    line = '{"seq":%d,"t":1.0,"kind":"metrics","step":%d,"values":{"' + "m" * 150 + '":1.0}}\n'
    with job_dir.training_journal.open("w") as file:
        file.writelines(line % (n, n) for n in range(1, 20_000))
    tracker = load(job_dir, {"kind": "code"})
    append_shared(job_dir.server_journal, "pause_requested", release=False, request=1)
    assert not await tracker.catch_up(), "there is more"
    assert tracker.job.server.pause == "hold"
    assert tracker.seq < 19_999
    # But an end is no end before all that was written is read.
    append_shared(job_dir.process_journal, "exited", code=1, signal=None)
    await tracker.catch_up()
    assert (tracker.seq, tracker.job.status.value) == (19_999, "failed")
