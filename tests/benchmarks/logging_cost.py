"""What `log` costs the training that calls it, beside the least that writes a line of JSON at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from jupyter_trainlive.protocol.doorbell import listen
from jupyter_trainlive.protocol.jobdir import JOB_DIR_VARIABLE, JobDir, new_job_id

from .measure import Measured, measured

TITLE = "One log() of 6 scalars"

BURST, BLOCK = 20_000, 500
PACED_HZ, PACED_SECONDS = 60, 5

#: Runs in a process that is a job; prints the nanoseconds of every call.
_TRAINING = """
import json, os, sys, time
import jupyter_trainlive as trainlive

burst, block, rate, seconds = json.loads(sys.argv[1])
file = os.open(os.path.join(os.environ["TRAINLIVE_JOB_DIR"], "floor"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
names = ("loss", "grad_norm", "learning_rate", "epoch_loss", "samples_per_second", "step_time_seconds")

def values(step):
    return {name: 1 / (step + place + 1.5) for place, name in enumerate(names)}

def write(values, step):
    os.write(file, json.dumps({"seq": step, "t": time.time(), "step": step, "values": values}).encode() + b"\\n")

def time_of(call, values, step):
    began = time.perf_counter_ns()
    call(values, step=step)
    return time.perf_counter_ns() - began

calls = {"log": trainlive.log, "floor": write}
taken = {name: {"burst": [], "paced": []} for name in calls}
for call in calls.values():
    call(values(0), step=0)
for start in range(0, burst, block):
    for name, call in calls.items():
        taken[name]["burst"] += [time_of(call, values(step), step) for step in range(start, start + block)]
# What a burst leaves to do for progress.json is done by the first call a second later, and is part of its cost.
time.sleep(1.1)
for name, call in calls.items():
    taken[name]["burst"].append(time_of(call, values(burst), burst))
for name, call in calls.items():
    due = time.perf_counter()
    for step in range(rate * seconds):
        due += 1 / rate
        time.sleep(max(0, due - time.perf_counter()))
        taken[name]["paced"].append(time_of(call, values(step), step))
print(json.dumps(taken))
"""


def run(folder: Path) -> list[Measured]:
    """`log` in a job directory whose doorbell is heard, in blocks that alternate with the floor's."""
    job_dir = JobDir(folder / new_job_id())
    job_dir.create()
    bell = listen(folder)
    bell.setblocking(True)
    threading.Thread(target=_hear, args=(bell,), daemon=True).start()
    settings = json.dumps([BURST, BLOCK, PACED_HZ, PACED_SECONDS])
    done = subprocess.run(
        [sys.executable, "-c", _TRAINING, settings],
        env={**os.environ, JOB_DIR_VARIABLE: str(job_dir.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    taken = json.loads(done.stdout)
    rows = []
    for way, what in (("burst", "back to back"), ("paced", f"at {PACED_HZ} Hz")):
        floor = measured(f"json.dumps and os.write, {what}", "µs", [each / 1e3 for each in taken["floor"][way]])
        ours = [each / 1e3 for each in taken["log"][way]]
        rows += [floor, measured(f"trainlive.log, {what}", "µs", ours, floor=floor.median)]
    return rows


def _hear(bell: object) -> None:
    while True:
        bell.recv(64)  # type: ignore[attr-defined]
