"""What each competitor has kept: the steps that its own reader, or its file format, gives back.

``keepers.py kept NAME FOLDER`` answers how many whole rows can be read and the last one's step;
``keepers.py follow NAME FOLDER SECONDS`` reads again and again and answers when which step was first to be seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from loggers import NAMES

Steps = Callable[[], Iterable[int]]


def trainlive(folder: Path) -> Steps:
    (journal,) = folder.glob("job_*/journal/training.jsonl")
    return lambda: _lines(journal)


def floor(folder: Path) -> Steps:
    return lambda: _lines(folder / "floor.jsonl")


def _lines(file: Path) -> Iterator[int]:
    for line in file.read_bytes().split(b"\n")[:-1]:
        record = json.loads(line)
        if record.get("kind", "metrics") == "metrics":
            yield record["step"]


def tensorboard(folder: Path) -> Steps:
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    reader = EventAccumulator(str(folder / "tb"), size_guidance={SCALARS: 0})

    def steps() -> Iterator[int]:
        reader.Reload()
        found: Counter[int] = Counter()
        for name in reader.Tags()["scalars"]:
            found.update(event.step for event in reader.Scalars(name))
        return (step for step, scalars in found.items() if scalars == len(NAMES))

    return steps


def trackio(folder: Path) -> Steps:
    database = sqlite3.connect(folder / "bench.db")
    return lambda: (step for (step,) in database.execute("SELECT step FROM metrics"))


def mlflow(folder: Path) -> Steps:
    database = sqlite3.connect(folder / "mlflow.db")
    query = "SELECT step FROM metrics GROUP BY step HAVING count(*) = ?"
    return lambda: (step for (step,) in database.execute(query, (len(NAMES),)))


def mlflow_server(folder: Path) -> Steps:
    """Through its REST interface: the newest step of the run."""
    import requests

    session, run = requests.Session(), (folder / "mlflow-run").read_text()
    url = f"{os.environ['BENCH_MLFLOW']}/api/2.0/mlflow/runs/get"

    def steps() -> Iterator[int]:
        metrics = session.get(url, params={"run_id": run}, timeout=10).json()["run"]["data"].get("metrics", [])
        return (int(metric.get("step", 0)) for metric in metrics if metric["key"] == NAMES[-1])

    return steps


def tensorboard_server(folder: Path) -> Steps:
    """Through the server that its page talks to."""
    import requests

    session, url = requests.Session(), f"{os.environ['BENCH_TENSORBOARD']}/data/plugin/scalars/scalars"

    def steps() -> Iterator[int]:
        answer = session.get(url, params={"run": ".", "tag": NAMES[-1]}, timeout=10)
        return (point[1] for point in answer.json()) if answer.ok else iter(())

    return steps


def aim(folder: Path) -> Steps:
    """A run is opened again for writing: to a reader of its own it shows nothing with this Python."""
    from aim import Run
    from aim.storage.context import Context

    run = Run(
        (folder / "aim-run").read_text(),
        repo=str(folder),
        force_resume=True,
        system_tracking_interval=None,
        capture_terminal_logs=False,
        log_system_params=False,
    )

    def steps() -> Iterator[int]:
        found: Counter[int] = Counter()
        for name in NAMES:
            sequence = run.get_metric(name, Context({}))
            if sequence is not None:
                found.update(int(step) for step in sequence.dataframe()["step"])
        return (step for step, scalars in found.items() if scalars == len(NAMES))

    return steps


def wandb(folder: Path) -> Steps:
    from wandb.proto.wandb_internal_pb2 import Record

    def steps() -> Iterator[int]:
        (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        for data in _leveldb_records(file):
            record = Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                yield record.history.step.num

    return steps


def swanlab(folder: Path) -> Steps:
    from swanlab.proto.swanlab.record.v1.record_pb2 import Record

    def steps() -> Iterator[int]:
        (file,) = folder.glob("swanlog/run-*/run-*.swanlab")
        found: Counter[int] = Counter()
        for data in _leveldb_records(file):
            record = Record.FromString(data)
            if record.HasField("scalar"):
                found[record.scalar.step] += 1
        return (step for step, scalars in found.items() if scalars == len(NAMES))

    return steps


def _leveldb_records(file: Path) -> Iterator[bytes]:
    """The whole records of a file in LevelDB's log format, which begins with seven bytes of its own."""
    content, at, record = file.read_bytes(), 7, b""
    while at + 7 <= len(content):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        if not 1 <= kind <= 4 or at + 7 + length > len(content):
            return
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


READ: dict[str, Callable[[Path], Steps]] = {
    each.__name__: each
    for each in (
        *(trainlive, floor, tensorboard, trackio, mlflow, aim, wandb, swanlab),
        *(mlflow_server, tensorboard_server),
    )
}


def kept(name: str, folder: Path) -> dict[str, Any]:
    return {"steps": sorted(set(READ[name](folder)()))}


def follow(name: str, folder: Path, seconds: float, pause: float = 0.005) -> dict[str, Any]:
    """For each time that a newer step was there: (when, which)."""
    until = time.time() + seconds
    seen: list[tuple[float, int]] = []
    steps: Steps | None = None
    while time.time() < until:
        # What is not there yet, or is being written, is looked for again.
        with contextlib.suppress(OSError, ValueError, sqlite3.Error, KeyError):
            steps = steps or READ[name](folder)
            newest = max(steps(), default=0)
            if newest > (seen[-1][1] if seen else 0):
                seen.append((time.time(), newest))
        time.sleep(pause)
    return {"seen": seen}


if __name__ == "__main__":
    action, who, where, *more = sys.argv[1:]
    answer = kept(who, Path(where)) if action == "kept" else follow(who, Path(where), float(more[0]))
    print(json.dumps(answer))
