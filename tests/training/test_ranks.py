"""A script in two processes: a real kernel, torch's own launcher, gloo on the CPU; one job that is watched and held."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.protocol.jobdir import write_json
from jupyter_trainlive.training import elastic
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recorder import Recorder

from .conftest import Job
from .test_boot import Kernel

#: What it ends with tells how far each rank came.
LOOP = """
import sys, time
from pathlib import Path
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import jupyter_trainlive as trainlive

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(7)
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(1, 100_000):
    optimizer.zero_grad()
    loss = model(torch.ones(2, 4) * (rank + 1)).pow(2).mean()
    loss.backward()
    Path(f"new-{rank}").write_text(str(step))
    Path(f"new-{rank}").rename(f"at-{rank}")
    optimizer.step()
    if rank == 0:
        trainlive.log({"loss": loss.item()}, step=step)
    time.sleep(0.01 * rank)
"""

TRAINER = """
import time, torch
from transformers import Trainer, TrainerCallback, TrainingArguments

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def forward(self, x, labels):
        return {"loss": (self.layer(x).squeeze(-1) - labels).pow(2).mean()}

class Slow(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        time.sleep(0.02 * (1 + args.process_index))

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, row):
        return {"x": torch.full((4,), row / 64), "labels": torch.tensor(row / 64)}

arguments = TrainingArguments(
    ".", max_steps=5000, logging_steps=1, per_device_train_batch_size=4, use_cpu=True, report_to=[], seed=11,
    save_strategy="no", disable_tqdm=True,
)
trainer = Trainer(Model(), arguments, train_dataset=Rows(), callbacks=[Slow()])
trainer.train()
print(f"rank {arguments.process_index} stopped behind step {trainer.state.global_step}")
"""

RAISES = """
import os, time
from pathlib import Path
import jupyter_trainlive as trainlive

def step():
    raise ValueError("bad weights")

if os.environ["RANK"] == "0":
    for nth in range(12):
        trainlive.log({"loss": 0.5})
    Path("logged").touch()
    time.sleep(60)
while not Path("logged").exists():
    time.sleep(0.01)
step()
"""

LOGS = """
import os, time
from pathlib import Path
import jupyter_trainlive as trainlive

Path(f"began-{os.environ['RANK']}").touch()
while True:
    trainlive.log({"loss": 0.5})
    time.sleep(0.001)
"""


class Ranks(Kernel):
    """A kernel whose job is a script in two processes."""

    def begin(self, source: str) -> Ranks:
        self.folder = self.job.dir.path / "folder"
        self.folder.mkdir()
        for place in (self.folder, self.job.dir.inputs):
            (place / "train.py").write_text(source)
        fields = {"kind": "script", "args": [], "processes": 2, "cwd": str(self.folder)}
        self.start(path=str(self.folder / "train.py"), **fields)
        return self

    @property
    def pid(self) -> int:
        pid: int = self.manager.provisioner.process.pid  # type: ignore[union-attr]
        return pid

    def once(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 90
        while not (answer := condition()):
            assert time.monotonic() < deadline, (self.log, self.job.records())
            time.sleep(0.02)
        return answer

    def nth(self, kind: str, count: int) -> dict[str, Any]:
        return dict(self.once(lambda: len(found := self.job.records(kind)) >= count and found)[count - 1])

    def at(self) -> list[int]:
        """The step that each rank is in."""
        return [int((self.folder / f"at-{rank}").read_text()) for rank in (0, 1)]

    def wait(self) -> int:
        code: int = self.manager.provisioner.process.wait(90)  # type: ignore[union-attr]
        return code

    def left(self) -> list[str]:
        ours = str(self.job.dir.path)
        return [
            " ".join(process.cmdline())
            for process in psutil.process_iter()
            if process.pid not in (os.getpid(), self.pid) and _job_of(process) == ours
        ]


def _job_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("TRAINLIVE_JOB_DIR")
    except psutil.Error:
        return None


@pytest.fixture
def ranks(job: Job) -> Iterator[Ranks]:
    ranks = Ranks(job)
    yield ranks
    ranks.stop()


def test_a_loop_is_held_behind_one_step_in_all_ranks_and_cancelled_there(ranks: Ranks) -> None:
    job = ranks.begin(LOOP).job
    ranks.nth("metrics", 5)
    job.wish(Desired.PAUSED, 1)
    held = ranks.nth("held", 1)
    ranks.once(lambda: ranks.at() == [held["step"]] * 2)
    time.sleep(0.3)
    assert ranks.at() == [held["step"]] * 2

    job.wish(Desired.RELEASED, 2)
    refused = ranks.nth("pause_refused", 1)
    assert (refused["request"], "can't go on from a checkpoint" in refused["error"]) == (2, True)
    assert ranks.nth("resumed", 1)["step"] == held["step"]
    job.wish(Desired.RUNNING, 2)
    ranks.once(lambda: ranks.at()[1] > held["step"] + 3)

    job.wish(Desired.PAUSED, 3)
    step = ranks.nth("held", 2)["step"]
    ranks.once(lambda: ranks.at() == [step] * 2)
    job.cancel()
    os.kill(ranks.pid, signal.SIGINT)
    assert ranks.wait() == 0
    assert (job.end()["status"], ranks.at(), ranks.left()) == ("cancelled", [step] * 2, [])
    # The last one was held before it could log its own step.
    assert [at for at, _ in job.series("loss")] == list(range(1, step))
    environment = json.loads(job.dir.environment_file.read_bytes())
    assert environment["seeds"]["torch"] == 7
    assert "torch" in environment["packages"]
    assert "Traceback" not in ranks.log


def test_a_trainer_is_held_and_stopped_behind_one_step_in_all_ranks(ranks: Ranks) -> None:
    job = ranks.begin(TRAINER).job
    ranks.once(lambda: len(job.series("loss")) >= 3)
    job.wish(Desired.PAUSED, 1)
    held = ranks.nth("held", 1)["step"]
    time.sleep(0.3)
    assert max(step for step, _ in job.series("loss")) <= held
    job.wish(Desired.RUNNING, 1)
    ranks.once(lambda: job.series("loss")[-1][0] > held + 2)
    job.cancel()
    assert ranks.wait() == 0
    assert job.end()["status"] == "cancelled"
    steps = [step for step, _ in job.series("loss")]
    assert steps == list(range(1, len(steps) + 1))
    (one, other) = sorted(line for line in ranks.log.splitlines() if "stopped behind" in line)
    assert one.removeprefix("rank 0") == other.removeprefix("rank 1")
    assert json.loads(job.dir.environment_file.read_bytes())["seeds"]["training_arguments"] == 11


def test_what_one_rank_raises_ends_the_job_and_names_the_rank(ranks: Ranks) -> None:
    job = ranks.begin(RAISES).job
    assert ranks.wait() == 0
    end = job.end()
    assert (end["status"], end["error"]) == ("failed", "Rank 1: ValueError: bad weights")
    assert "    step()\n" in end["traceback"]
    assert "jupyter_trainlive" not in end["traceback"]
    assert end["traceback"] in ranks.log
    assert job.series("loss") == [(step, 0.5) for step in range(1, 13)]
    assert [record["kind"] for record in job.records()] == ["start", *["metrics"] * 12, "end"]
    assert ranks.left() == []
    told = json.loads(job.dir.progress_file.read_bytes())
    assert (told["current_step"], told["loss"]) == (12, 0.5)


def test_ranks_do_not_outlive_their_launcher_nor_the_record_of_its_end(ranks: Ranks) -> None:
    ranks.begin(LOGS)
    ranks.once(lambda: (ranks.folder / "began-1").exists() and ranks.job.records("metrics"))
    (launcher,) = psutil.Process(ranks.pid).children()
    launcher.kill()
    assert ranks.wait() == 0
    end = ranks.job.end()
    assert (end["status"], end["error"]) == (
        "failed",
        "torch's launcher ended by SIGKILL before the 2 processes did their work.",
    )
    assert ranks.job.records()[-1]["kind"] == "end"
    ranks.once(lambda: not ranks.left())


@pytest.mark.parametrize(
    ("exits", "files", "code", "error"),
    [
        # Killed: who misses it raises, in the same second or later.
        (
            [(0, 1, 100), (1, -9, 100)],
            {0: ("failed", "RuntimeError: Connection closed by peer")},
            1,
            "Rank 1 of 2 was killed by SIGKILL.",
        ),
        # Raised: the launcher ends the other, at last by force.
        ([(1, 1, 100), (0, -15, 100)], {1: ("failed", "ValueError: bad")}, 1, "Rank 1: ValueError: bad"),
        ([(1, 1, 100), (0, -9, 131)], {1: ("failed", "ValueError: bad")}, 1, "Rank 1: ValueError: bad"),
        ([(0, 5, 100)], {}, 1, "Rank 0 of 2 exited with status 5 without an exception."),
        ([(0, -15, 100)], {}, 1, "Rank 0 of 2 was ended by SIGTERM without an exception."),
        ([], {}, 1, "torch's launcher ended with status 1 before the 2 processes did their work."),
        ([], {}, -9, "torch's launcher ended by SIGKILL before the 2 processes did their work."),
        ([], {0: ("cancelled", None), 1: ("cancelled", None)}, 0, None),
        ([], {0: ("completed", None), 1: ("completed", None)}, 0, None),
    ],
)
def test_the_end_of_all_is_that_of_the_first(
    job: Job,
    exits: list[tuple[int, int, int]],
    files: dict[int, tuple[str, str | None]],
    code: int,
    error: str | None,
) -> None:
    if exits:
        report = [dict(zip(("rank", "code", "t"), seen, strict=True)) for seen in exits]
        write_json(job.dir.kernel / elastic.REPORT_FILE, report)
    for rank, (status, text) in files.items():
        write_json(job.dir.kernel / elastic.RANK_FILE.format(rank), {"t": 100.0, "status": status, "error": text})
    end = elastic.outcome(job.dir, 2, code, cancelled=True)
    assert end.error == error
    assert end.status == ("failed" if error else files[0][0])


def test_without_torch_there_is_an_error_to_read(job: Job, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="no torch") as caught:
        elastic.run({}, job.dir, recorder, 2)
    assert "pip install torch" in str(caught.value.hint)
