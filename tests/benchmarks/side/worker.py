"""A training process of one competitor that logs when it is told: ``worker.py NAME FOLDER``.

Reads a command a line (JSON) and answers each with a line of JSON on the descriptor that was stdout: a competitor's
own prints go to stderr. ``{"do": "burst", "n", "seconds"}`` logs back to back, ``{"do": "paced", "n", "hz"}`` at a
pace; both answer with the nanoseconds of every call and when it began. ``{"do": "ever", "hz"}`` logs until it is
killed and writes each step's number once `log` has returned.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from loggers import BEGIN, Log, values


def burst(log: Log, first: int, n: int, seconds: float) -> dict[str, Any]:
    taken, at = [], []
    until = time.perf_counter() + seconds
    for step in range(first, first + n):
        scalars, t, began = values(step), time.time(), time.perf_counter_ns()
        log(scalars, step)
        taken.append(time.perf_counter_ns() - began)
        at.append(t)
        if time.perf_counter() > until:
            break
    return {"taken": taken, "at": at, "first": first}


def paced(log: Log, first: int, n: int, hz: float) -> dict[str, Any]:
    taken, at = [], []
    due = time.perf_counter()
    for step in range(first, first + n):
        due += 1 / hz
        time.sleep(max(0.0, due - time.perf_counter()))
        scalars, t, began = values(step), time.time(), time.perf_counter_ns()
        log(scalars, step)
        taken.append(time.perf_counter_ns() - began)
        at.append(t)
    return {"taken": taken, "at": at, "first": first}


def ever(log: Log, first: int, hz: float, answers: int) -> None:
    due, step = time.perf_counter(), first
    while True:
        due += 1 / hz
        time.sleep(max(0.0, due - time.perf_counter()))
        log(values(step), step)
        os.write(answers, b"%d\n" % step)
        step += 1


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    answers = os.dup(1)
    os.dup2(2, 1)
    log = BEGIN[name](folder)
    step = 1
    log(values(step), step)
    os.write(answers, b'{"ready": true}\n')
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        if do == "ever":
            ever(log, step + 1, command["hz"], answers)
        done = {"burst": burst, "paced": paced}[do](log, step + 1, **command)
        step += len(done["taken"])
        os.write(answers, json.dumps(done).encode() + b"\n")
    # A competitor's own end may take its time, and is no part of what is measured.
    os._exit(0)


if __name__ == "__main__":
    main()
