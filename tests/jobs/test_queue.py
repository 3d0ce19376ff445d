"""Who starts next, on which GPUs, and what the others are told: the rules of the queue, and what they may never do."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_trainlive.jobs.queue import Decision, Slot, Waiting, decide, job_limit

FREE = [Slot("GPU-a", 0), Slot("GPU-b", 1)]
ORDER = count()


def job(job_id: str, gpus: int | None = None, *, priority: int = 0, at: float | None = None) -> Waiting:
    """A job that was submitted after all before it."""
    return Waiting(job_id, gpus, priority, next(ORDER) if at is None else at)


def held(*holders: str | None) -> list[Slot]:
    return [Slot(f"GPU-{index}", index, holder) for index, holder in enumerate(holders)]


def told(decision: Decision) -> dict[str, str]:
    return {job_id: f"{place.position}. {place.reason}" for job_id, place in decision.waiting.items()}


def test_a_job_that_says_nothing_gets_one_gpu_and_none_where_there_is_none() -> None:
    assert decide([job("a")], FREE, 0, None) == Decision({"a": ("GPU-a",)}, {})
    assert decide([job("a")], [], 0, None) == Decision({"a": ()}, {})


def test_one_of_several_processes_that_says_nothing_gets_a_gpu_for_each_as_far_as_there_are_any() -> None:
    assert decide([replace(job("a"), processes=2)], held(None, None, None), 0, None).start == {"a": ("GPU-0", "GPU-1")}
    assert decide([replace(job("a"), processes=4)], FREE, 0, None).start == {"a": ("GPU-a", "GPU-b")}
    assert decide([replace(job("a", 1), processes=4)], FREE, 0, None).start == {"a": ("GPU-a",)}
    assert decide([replace(job("a"), processes=4)], [], 0, None).start == {"a": ()}


def test_higher_priority_goes_first_then_who_came_first_then_the_id() -> None:
    jobs = [
        job("late", at=3),
        job("b", at=2),
        job("a", at=2),
        job("low", priority=-1, at=0),
        job("high", priority=5, at=9),
    ]
    assert list(decide(jobs, held(*[None] * 5), 0, None).start) == ["high", "a", "b", "late", "low"]


def test_gpus_of_a_lower_index_are_taken_first_however_they_are_given() -> None:
    slots = [Slot("d", 3), Slot("a", 0, "job x"), Slot("c", 2), Slot("b", 1)]
    assert decide([job("one", 1), job("two", 2)], slots, 1, None).start == {"one": ("b",), "two": ("c", "d")}


def test_as_many_run_at_once_as_there_are_gpus_unless_configured() -> None:
    assert [job_limit(None, gpus) for gpus in (0, 1, 4)] == [1, 1, 4]
    assert [job_limit(3, gpus) for gpus in (0, 1, 4)] == [3, 3, 3]
    jobs = [job(name, 0) for name in "abc"]
    assert list(decide(jobs, [], 0, None).start) == ["a"]
    assert list(decide(jobs, FREE, 0, None).start) == ["a", "b"]
    assert list(decide(jobs, FREE, 1, 4).start) == ["a", "b", "c"]


def test_a_big_job_is_waited_for_by_those_behind_it_that_need_gpus() -> None:
    jobs = [job("big", 2), job("small", 1), job("cpu", 0), job("default")]
    decision = decide(jobs, held("job docs-sft", None), 1, 5)
    assert decision.start == {"cpu": ()}
    assert told(decision) == {
        "big": "1. waits for 2 GPUs, of which 1 is free: GPU 0 is used by job docs-sft",
        "small": "2. waits for the job ahead of it",
        "default": "3. waits for the 2 jobs ahead of it",
    }


def test_who_waits_for_a_gpu_is_told_who_uses_them() -> None:
    decision = decide([job("a")], held("job docs-sft", "python of alice (pid 1234)"), 1, None)
    assert told(decision) == {
        "a": "1. waits for a GPU: GPU 0 is used by job docs-sft, GPU 1 by python of alice (pid 1234)"
    }


def test_who_starts_in_the_same_moment_is_named_too() -> None:
    decision = decide([job("first", 2), job("second", 2)], FREE, 0, None)
    assert decision.start == {"first": ("GPU-a", "GPU-b")}
    assert told(decision) == {"second": "1. waits for 2 GPUs: GPU 0 is used by job first, GPU 1 by job first"}


def test_who_waits_for_a_turn_is_told_for_how_many_jobs() -> None:
    jobs = [job("a", 0), job("b", 1), job("c")]
    assert told(decide(jobs, FREE, 2, 2)) == {
        "a": "1. waits for 1 of 2 running jobs to end (max_concurrent_jobs)",
        "b": "2. waits for the job ahead of it",
        "c": "3. waits for the 2 jobs ahead of it",
    }
    assert told(decide(jobs, FREE, 1, 1))["a"] == "1. waits for the running job to end (max_concurrent_jobs)"
    assert told(decide(jobs, FREE, 5, 2))["a"] == "1. waits for 4 of 5 running jobs to end (max_concurrent_jobs)"


def test_a_job_without_gpus_behind_one_that_waits_for_them_waits_for_its_own_turn_only() -> None:
    decision = decide([job("gpu", 1), job("cpu", 0)], held("job x"), 1, 1)
    assert told(decision)["cpu"] == "2. waits for the running job to end (max_concurrent_jobs)"


def test_a_job_that_asks_for_more_gpus_than_there_are_says_so_and_holds_up_nobody() -> None:
    decision = decide([job("huge", 4), job("a", 2), job("b", 1)], FREE, 0, None)
    assert decision.start == {"a": ("GPU-a", "GPU-b")}
    assert told(decision) == {
        "huge": "1. asks for 4 GPUs, and this server has 2",
        "b": "2. waits for a GPU: GPU 0 is used by job a, GPU 1 by job a",
    }
    assert told(decide([job("a", 1)], [], 0, None)) == {"a": "1. asks for 1 GPU, and this server has none"}
    assert told(decide([job("huge", 4), job("a"), job("b")], FREE[:1], 1, 1))["b"] == "3. waits for the job ahead of it"


JOBS = st.lists(
    st.builds(
        Waiting,
        job_id=st.text("abcdefgh", min_size=1, max_size=4),
        gpus=st.none() | st.integers(0, 5),
        priority=st.integers(-2, 2),
        submitted_at=st.integers(0, 5).map(float),
    ),
    max_size=10,
    unique_by=lambda job: job.job_id,
)
SLOTS = st.lists(st.none() | st.just("job x"), max_size=4).map(lambda holders: held(*holders))
LIMIT = st.none() | st.integers(1, 6)
RUNNING = st.integers(0, 4)
the_same_on_every_run = settings(derandomize=True, deadline=None)


def in_order(jobs: list[Waiting]) -> list[Waiting]:
    return sorted(jobs, key=lambda job: (-job.priority, job.submitted_at, job.job_id))


def need(job: Waiting, slots: list[Slot]) -> int:
    return min(1, len(slots)) if job.gpus is None else job.gpus


@the_same_on_every_run
@given(JOBS, SLOTS, RUNNING, LIMIT)
def test_no_gpu_is_handed_out_twice_or_while_another_has_it(
    jobs: list[Waiting], slots: list[Slot], running: int, limit: int | None
) -> None:
    start = decide(jobs, slots, running, limit).start
    given_out = [uuid for uuids in start.values() for uuid in uuids]
    assert len(given_out) == len(set(given_out))
    assert set(given_out) <= {slot.uuid for slot in slots if slot.holder is None}
    assert all(len(start[job.job_id]) == need(job, slots) for job in jobs if job.job_id in start)


@the_same_on_every_run
@given(JOBS, SLOTS, RUNNING, LIMIT)
def test_never_more_run_than_may(jobs: list[Waiting], slots: list[Slot], running: int, limit: int | None) -> None:
    started = len(decide(jobs, slots, running, limit).start)
    assert not started or running + started <= job_limit(limit, len(slots))


@the_same_on_every_run
@given(JOBS, SLOTS, RUNNING, LIMIT)
def test_everybody_starts_or_has_a_place_and_places_count_up_in_order(
    jobs: list[Waiting], slots: list[Slot], running: int, limit: int | None
) -> None:
    decision = decide(jobs, slots, running, limit)
    waiting = [job.job_id for job in in_order(jobs) if job.job_id not in decision.start]
    assert list(decision.waiting) == waiting
    assert [decision.waiting[job_id].position for job_id in waiting] == list(range(1, len(waiting) + 1))
    assert all(place.reason for place in decision.waiting.values())


@the_same_on_every_run
@given(JOBS, SLOTS, RUNNING, LIMIT)
def test_nobody_is_passed_but_by_jobs_that_need_no_gpu_and_by_all_where_it_can_never_start(
    jobs: list[Waiting], slots: list[Slot], running: int, limit: int | None
) -> None:
    start = decide(jobs, slots, running, limit).start
    passed = False
    for job in in_order(jobs):
        if job.job_id in start:
            assert not passed or need(job, slots) == 0
        elif need(job, slots) <= len(slots):
            passed = True


@the_same_on_every_run
@given(JOBS, SLOTS, RUNNING, LIMIT)
def test_nothing_that_could_start_is_left_idle(
    jobs: list[Waiting], slots: list[Slot], running: int, limit: int | None
) -> None:
    """The first that waits waits for a turn, or for more GPUs than are left."""
    start = decide(jobs, slots, running, limit).start
    free = sum(slot.holder is None for slot in slots) - sum(map(len, start.values()))
    waiting = [job for job in in_order(jobs) if job.job_id not in start and need(job, slots) <= len(slots)]
    if waiting and running + len(start) < job_limit(limit, len(slots)):
        assert need(waiting[0], slots) > free
        assert all(need(job, slots) > 0 for job in waiting)


@the_same_on_every_run
@given(JOBS, st.lists(st.builds(Waiting, st.just(""), st.integers(0, 4), st.just(0), st.just(0.0)), max_size=3), SLOTS)
def test_nobody_starves_however_many_come_later(jobs: list[Waiting], later: list[Waiting], slots: list[Slot]) -> None:
    """Those that come later, at each turn, start only after all the first ones that can start at all have."""
    slots = [replace(slot, holder=None) for slot in slots]
    newcomers = count()
    startable = {job.job_id for job in jobs if need(job, slots) <= len(slots)}
    queue, running = list(jobs), dict[str, tuple[str, ...]]()
    # All that runs has ended after as many turns as may run at once, and then the next of the first ones starts.
    for _ in range(len(jobs) * job_limit(None, len(slots)) + 1):
        queue += [Waiting(f"later {next(newcomers)}", job.gpus, -3, 10.0) for job in later]
        taken = {uuid for uuids in running.values() for uuid in uuids}
        now = [replace(slot, holder="a job") if slot.uuid in taken else slot for slot in slots]
        start = decide(queue, now, len(running), None).start
        queue = [job for job in queue if job.job_id not in start]
        startable -= start.keys()
        running |= start
        if running:
            running.pop(next(iter(running)))  # the oldest ends
    assert not startable


def test_who_waits_for_kept_kernels_alone_is_told_whose_they_are() -> None:
    kept = ["job a, whose kernel is kept until 2026-11-26 14:05 UTC"]
    one = told(decide([job("b")], [], 1, None, kept=kept))
    assert one == {"b": f"1. waits for a kept kernel to end (max_concurrent_jobs): {kept[0]}"}
    two = told(decide([job("b")], [], 2, 1, kept=kept))
    assert two == {"b": "1. waits for 2 of 2 running jobs to end (max_concurrent_jobs)"}, "one trains as well"
