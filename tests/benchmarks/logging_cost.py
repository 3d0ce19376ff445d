"""What `log` costs the training that calls it, beside the least that writes a line of JSON, and beside the peers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from . import peers
from .measure import OURS, Row, amount, below_all, measured, unable
from .workers import Worker, begun

#: Calls in a block, the seconds after which a slow one ends it, and blocks of each competitor, which take turns.
BURST, BURST_SECONDS, BURST_BLOCKS = 500, 1.0, 8
PACED_HZ, PACED, PACED_BLOCKS = 60, 60, 5

_NOTES = {
    "tensorboard": "add_scalar × 6: to a queue",
    "trackio": "to a queue",
    "wandb": "offline; to a process of its own",
    "mlflow": "log_metrics, SQLite store",
    "aim": "Run.track",
    "swanlab": "offline; to a queue",
    "floor": "json.dumps and one os.write",
}


@dataclass
class _Taken:
    burst: list[float] = field(default_factory=list)
    paced: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def add(self, worker: Worker, way: str, **command: float) -> None:
        before = worker.cpu_seconds()
        taken = worker.do(way, **command)["taken"]
        getattr(self, way).extend(each / 1e3 for each in taken)
        worker.settle()
        if way == "burst":
            self.cpu_seconds += worker.cpu_seconds() - before


def run(folder: Path) -> list[Row]:
    """All competitors at once, each in a process of its own that waits while the others have their turn."""
    refused: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with contextlib.ExitStack() as stack:
        for who in (OURS, "floor", *peers.PEERS):
            try:
                workers[who] = stack.enter_context(begun(who, folder))
            except peers.DoesNotRun as error:
                refused[who] = str(error)
        taken = {who: _Taken() for who in workers}
        for _ in range(BURST_BLOCKS):
            for who, worker in workers.items():
                taken[who].add(worker, "burst", n=BURST, seconds=BURST_SECONDS)
        for _ in range(PACED_BLOCKS):
            for who, worker in workers.items():
                taken[who].add(worker, "paced", n=PACED, hz=PACED_HZ)
    targets = {"burst": 6.0, "paced": 60.0}
    rows = []
    for way, how in (("burst", "back to back"), ("paced", f"at {PACED_HZ} Hz")):
        what = f"one log() of 6 scalars, {how}"
        part = [
            measured(
                what,
                "µs",
                getattr(each, way),
                who=_called(who),
                most=targets[way] if who == OURS else None,
                note=_NOTES.get(who, ""),
            )
            for who, each in taken.items()
        ]
        rows += below_all(part) + [
            unable(what, _called(who), f"does not run here: {why}") for who, why in refused.items()
        ]
    what = "processor time of one, all threads and processes, back to back"
    rows += [
        amount(what, "µs", each.cpu_seconds / len(each.burst) * 1e6, who=_called(who), samples=len(each.burst))
        for who, each in taken.items()
    ]
    return rows


def _called(who: str) -> str:
    return "floor: json + write" if who == "floor" else peers.called(who)
