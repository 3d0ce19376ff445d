"""What is lost of the last rows when the training is killed: SIGKILL right behind a `log`, then all is read back."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import peers
from .measure import OURS, Row, amount, unable
from .workers import begun

HZ = 200
#: Killed once so many calls have returned.
KILLED_AFTER = (307, 451, 596)
#: For those whose writing is done by a process that outlives the training.
_GRACE_SECONDS = 3.0
#: Two at a time: they sleep most of the time.
_AT_ONCE = 2

WHAT = f"rows lost to SIGKILL right after log(), {HZ} Hz"


def run(folder: Path) -> list[Row]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda who: _row(who, folder), (OURS, *peers.PEERS)))


def _row(who: str, folder: Path) -> Row:
    try:
        lost = [_lost(who, folder / str(after), after) for after in KILLED_AFTER]
    except peers.DoesNotRun as error:
        return unable(WHAT, peers.called(who), f"does not run here: {error}")
    note = f"each time: {', '.join(map(str, lost))}"
    worst = max(lost)
    most = 0 if who == OURS else None
    return amount(WHAT, "", worst, who=peers.called(who), most=most, samples=len(lost), note=note)


def _lost(who: str, folder: Path, after: int) -> int:
    """How many rows that were logged can't be read back."""
    with begun(who, folder) as worker:
        worker.tell("ever", hz=HZ)
        last = 0
        while last < after:
            last = int(worker.answer())
        said = worker.kill().split()
        time.sleep(_GRACE_SECONDS)
    logged = int(said[-1]) if said else last
    kept = peers.ask(who, "keepers.py", worker.folder, "kept", who, str(worker.folder))["steps"]
    with contextlib.suppress(ValueError):
        # Written, but killed before it could say that the call had returned.
        kept.remove(logged + 1)
    return logged - len(kept)
