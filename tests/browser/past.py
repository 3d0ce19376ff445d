"""Jobs of the past: their directories and journals as a training has left them, written in a moment.

What shows jobs needs none that trains: what was logged, when, and what happened meanwhile, is as the test says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id, write_json
from jupyter_trainlive.protocol.journal import Record, append_shared
from jupyter_trainlive.protocol.values import dumps

#: What a record of a training is: seconds since it began, the kind, and what it says.
Entry = tuple[float, str, Mapping[str, Any]]

#: Two hours ago, at a whole hour.
BEGAN = (time.time() // 3600 - 2) * 3600


def past_job(jobs_dir: Path, name: str, entries: Iterable[Entry], **parameters: Any) -> str:
    """Leave a completed fine-tune in a folder of jobs; its id."""
    job_dir = JobDir(jobs_dir / new_job_id())
    job_dir.create()
    lines: list[str] = []
    t = BEGAN
    for seq, (seconds, kind, says) in enumerate([(0.0, "start", {"attempt": 1}), *entries], 1):
        t = BEGAN + seconds
        lines.append(dumps({"seq": seq, "t": t, "kind": kind, **says}))
    end: Record = {"seq": len(lines) + 1, "t": t, "kind": "end", "status": "completed"}
    job_dir.training_journal.write_text("\n".join([*lines, dumps(end), ""]))
    append_shared(job_dir.server_journal, "submitted", clock=lambda: BEGAN - 4, name=name, job_kind="finetune")
    append_shared(job_dir.server_journal, "queued", clock=lambda: BEGAN - 4, attempt=1)
    append_shared(job_dir.server_journal, "starting", clock=lambda: BEGAN - 3, attempt=1)
    append_shared(job_dir.process_journal, "spawned", clock=lambda: BEGAN - 2, attempt=1)
    append_shared(job_dir.process_journal, "exited", clock=lambda: t + 1, attempt=1, code=0)
    spec = {"job_id": job_dir.job_id, "kind": "finetune", "name": name, "parameters": parameters}
    # The last, because whoever finds it takes the job for whole.
    write_json(job_dir.spec_file, spec)
    return job_dir.job_id


def metrics(step: int, seconds: float, epoch: float, **values: float) -> Entry:
    """What a trainer logs at a step."""
    return seconds, "metrics", {"step": step, "epoch": epoch, "values": values}


def loss_at(step: int, steps: int, *, least: float = 0.7, noise: float = 0.06) -> float:
    """A loss as they are: it falls quickly, then slowly, and is never smooth. The same at each call."""
    wobble = math.sin(step * 12.9898) * 43758.5453
    return least + 2.6 * math.exp(-7 * step / steps) + 0.5 * math.exp(-step / steps) + noise * (wobble % 2 - 1)
