"""The rules of the queue: which waiting jobs start now, on which GPUs, and what the others wait for.

Pure: whoever calls it says who waits, what runs and which GPUs are free, and does what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..protocol.messages import Place


@dataclass(frozen=True)
class Waiting:
    """A job in the queue; ``submitted_at`` is in unix seconds.

    ``gpus`` None is one GPU for each of its ``processes``, as far as the machine has any.
    """

    job_id: str
    gpus: int | None
    priority: int
    submitted_at: float
    processes: int = 1


@dataclass(frozen=True)
class Slot:
    """A GPU that may be leased. ``holder`` says in words who has it ("job docs-sft"); None is nobody."""

    uuid: str
    index: int
    holder: str | None = None


@dataclass(frozen=True)
class Decision:
    """``start`` has the UUIDs to lease for each job that starts now, in order; ``waiting`` has all the others."""

    start: dict[str, tuple[str, ...]]
    waiting: dict[str, Place]


def job_limit(max_concurrent: int | None, gpu_count: int) -> int:
    """How many jobs may run at once: as configured, else one for each GPU, and one on a machine without."""
    return max(1, gpu_count) if max_concurrent is None else max_concurrent


def decide(
    waiting: Sequence[Waiting],
    slots: Sequence[Slot],
    running: int,
    max_concurrent: int | None,
    held: int = 0,
    kept: Sequence[str] = (),
) -> Decision:
    """Let those start whose turn it is.

    ``slots`` are all GPUs that our jobs may ever have, ``running`` counts our jobs that have started and not
    ended, ``held`` those of them that are paused; ``kept`` has a few words for each of them that has ended but for its
    kernel, which still holds memory. Higher priority comes first, then who was submitted first. GPUs
    are handed out strictly in that order: while a job waits for GPUs, those behind it get none, so that they
    can't starve one that needs many. A job that needs no GPU may pass it. One that asks for more GPUs than there
    are waits and holds up nobody. GPUs of a lower index are taken first.
    """
    limit = job_limit(max_concurrent, len(slots))
    holders = {slot: slot.holder for slot in sorted(slots, key=lambda slot: slot.index)}
    start: dict[str, tuple[str, ...]] = {}
    places: dict[str, Place] = {}
    ahead = 0  # waiting jobs that will start before those behind them
    gpus_awaited = turn_awaited = False

    for job in sorted(waiting, key=lambda job: (-job.priority, job.submitted_at, job.job_id)):
        need = min(job.processes, len(slots)) if job.gpus is None else job.gpus
        free = [slot for slot, holder in holders.items() if holder is None]
        has_gpus = need == 0 or (need <= len(free) and not gpus_awaited)
        if need > len(slots):
            places[job.job_id] = Place(len(places) + 1, _too_many(need, len(slots)))
        elif has_gpus and running < limit:
            start[job.job_id] = tuple(slot.uuid for slot in free[:need])
            holders |= dict.fromkeys(free[:need], f"job {job.job_id}")
            running += 1
        else:
            if not has_gpus and not gpus_awaited:
                reason = _for_gpus(need, holders)
                gpus_awaited = True
            elif has_gpus and not turn_awaited:
                reason = _for_a_turn(running, limit, held, kept)
                turn_awaited = True
            else:
                reason = f"waits for the {ahead} jobs ahead of it" if ahead > 1 else "waits for the job ahead of it"
            places[job.job_id] = Place(len(places) + 1, reason)
            ahead += 1
    return Decision(start, places)


def _too_many(need: int, gpu_count: int) -> str:
    return f"asks for {_gpus(need)}, and this server has {gpu_count or 'none'}"


def _for_gpus(need: int, holders: Mapping[Slot, str | None]) -> str:
    held = [(slot.index, holder) for slot, holder in holders.items() if holder is not None]
    users = ", ".join(f"GPU {index} {'' if nth else 'is used '}by {holder}" for nth, (index, holder) in enumerate(held))
    free = len(holders) - len(held)
    some = f", of which {free} {'is' if free == 1 else 'are'} free" if free else ""
    return f"waits for {'a GPU' if need == 1 else _gpus(need)}{some}: {users}"


def _for_a_turn(running: int, limit: int, held: int, kept: Sequence[str]) -> str:
    if kept and running - len(kept) < limit:
        # It would start if they were gone.
        return f"waits for a kept kernel to end (max_concurrent_jobs): {', '.join(kept)}"
    ends = f"{running - limit + 1} of {running} running jobs" if running > 1 else "the running job"
    paused = f"; {held} of them held" if held and running > 1 else "; it is held" if held else ""
    return f"waits for {ends} to end (max_concurrent_jobs{paused})"


def _gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"
