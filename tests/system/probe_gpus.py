"""Run by tests: one GpuReader, read after each step ``[seconds passed, settings]``; prints what it read."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from jupyter_trainlive.system import GpuReader
from tests import fake_nvml

settings, log, steps = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
now = 0.0
reader = GpuReader(retry_seconds=60, clock=lambda: now)
found = []
for seconds, values in steps:
    now += seconds
    fake_nvml.configure(settings, LOG=log, **values)
    found.append([asdict(gpu) for gpu in reader.read()])
reader.close()
print(json.dumps(found))
