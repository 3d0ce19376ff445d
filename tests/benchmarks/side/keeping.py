"""What a competitor gives back of a long curve, and how long that takes: ``keeping.py NAME FOLDER POINTS``.

Fills its own store with one run of so many points of ``loss`` by the quickest way in, then reads as its page does.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def tensorboard(folder: Path, points: int) -> dict[str, Any]:
    """An event file; it is read by the server, elsewhere."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    (folder / "tb").mkdir()
    with (folder / "tb" / f"events.out.tfevents.{int(time.time())}.host").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for step in range(1, points + 1):
            summary = Summary(value=[Summary.Value(tag="loss", simple_value=1 / step)])
            writer.write(Event(wall_time=1.7e9 + step, step=step, summary=summary).SerializeToString())
    return {}


def mlflow(folder: Path, points: int) -> dict[str, Any]:
    """Rows in its SQLite store; they are read by the server, elsewhere."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/server.db")
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1.0, step=0)
    (folder / "mlflow-run").write_text(run.info.run_id)
    database = sqlite3.connect(folder / "server.db")
    rows = (("loss", 1 / step, 1_700_000_000_000 + step, run.info.run_id, step, 0) for step in range(1, points))
    with database:
        database.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?,?,?,?,?,?)", rows
        )
    return {}


def trackio(folder: Path, points: int) -> dict[str, Any]:
    """Rows in its SQLite, read with what its page asks for."""
    import trackio
    from trackio import server

    run = trackio.init(project="bench", name="run", embed=False, auto_log_cpu=False, auto_log_gpu=False)
    run.log({"loss": 1.0}, step=0)
    trackio.finish()
    database = sqlite3.connect(folder / "bench.db")
    ((run_id, when),) = database.execute("SELECT run_id, timestamp FROM metrics").fetchall()
    rows = ((run_id, when, "run", step, json.dumps({"loss": 1 / step})) for step in range(1, points))
    query = "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?,?,?,?,?)"
    with database:
        database.executemany(query, rows)
    taken = []
    for _ in range(5):
        # It remembers answers for as long as nothing is added.
        run_log = (run_id, when, "run", points, json.dumps({"loss": 1.0}))
        with database:
            database.execute(query, run_log)
        began = time.perf_counter()
        (answer,) = server.get_logs_batch("bench", [{"run": "run", "run_id": run_id}])
        taken.append((time.perf_counter() - began) * 1e3)
    return {"points": len(answer.get("logs", answer.get("metrics", []))), "milliseconds": taken}


FILL = {each.__name__: each for each in (tensorboard, mlflow, trackio)}


def main() -> Iterator[str]:
    name, folder, points = sys.argv[1:]
    began = time.perf_counter()
    answer = FILL[name](Path(folder), int(points))
    yield json.dumps({**answer, "seconds": time.perf_counter() - began})


if __name__ == "__main__":
    for line in main():
        print(line, flush=True)
    os._exit(0)
