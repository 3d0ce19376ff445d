"""`track`: this very process as a job, whatever it is and however it ends; no server is needed for any of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.control import Desired, Wish, write_wish
from jupyter_trainlive.protocol.jobdir import JobDir
from jupyter_trainlive.protocol.journal import JournalReader
from jupyter_trainlive.protocol.presence import is_present, presence_file
from jupyter_trainlive.protocol.states import Job as Folded
from jupyter_trainlive.protocol.states import Journal, Status, fold_all
from jupyter_trainlive.training.own import run as module
from jupyter_trainlive.training.own import track
from jupyter_trainlive.training.watch import NonFiniteLoss

from .conftest import ROOT, Job


@pytest.fixture
def jobs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trainings outside of any job are kept, far from this machine's own servers."""
    monkeypatch.setenv("TRAINLIVE_JOBS_DIR", str(tmp_path / "jobs"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("RANK", "SLURM_PROCID", "JPY_SESSION_NAME", "TRAINLIVE_TRACKED"):
        monkeypatch.delenv(name, raising=False)
    # They stay in a process for good, and other tests have trainers in this one.
    monkeypatch.setattr(module, "_install_hooks", lambda loss_from_backward: None)
    return tmp_path / "jobs"


def folded(job_dir: JobDir) -> Folded:
    """The job as a server would know it."""
    job = Folded(job_dir.job_id, spec=job_dir.read_spec())
    for journal, path in (
        (Journal.SERVER, job_dir.server_journal),
        (Journal.PROCESS, job_dir.process_journal),
        (Journal.TRAINING, job_dir.training_journal),
    ):
        reader = JournalReader(path)
        job = fold_all(job, journal, reader.read())
        assert reader.damaged == reader.missing == 0
    return job


def jobs(folder: Path) -> list[tuple[JobDir, Folded]]:
    """All jobs of a folder, the first to begin first."""
    found = [(JobDir(path), folded(JobDir(path))) for path in folder.iterdir()]
    return sorted(found, key=lambda one: one[1].server.submitted_at or 0)


def losses(job_dir: JobDir) -> list[tuple[int, float]]:
    records = JournalReader(job_dir.training_journal).read()
    return [(r["step"], r["values"]["loss"]) for r in records if r["kind"] == "metrics" and "loss" in r["values"]]


def script(folder: Path, code: str, name: str = "my_script.py") -> subprocess.CompletedProcess[str]:
    (folder / name).write_text("import jupyter_trainlive as trainlive\n" + code)
    return subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_block_is_a_job_and_the_children_of_its_process_record_nothing(tmp_path: Path, jobs_dir: Path) -> None:
    code = """
import multiprocessing, os, sys

def child(number):
    trainlive.log({"loss": float(number)})
    return trainlive.track("a child").job_id

# As people write scripts, without a guard: a spawned child comes along here as well.
with trainlive.track("my run") as run:
    for step in range(1, 6):
        run.log({"loss": 1 / step}, total_steps=5)
    if __name__ == "__main__":
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                assert pool.map(child, [7]) == [None]
        if not os.fork():
            sys.exit(3)  # it leaves the block as well, and says nothing of it
        os.wait()
        trainlive.log({"loss": 0.1})
"""
    done = script(tmp_path, code)
    assert done.returncode == 0, done.stderr
    ((job_dir, job),) = jobs(jobs_dir)
    assert job.status is Status.COMPLETED
    assert losses(job_dir) == [*((step, 1 / step) for step in range(1, 6)), (6, 0.1)]
    assert (job.spec["kind"], job.spec["name"], job.spec["path"]) == ("track", "my run", str(tmp_path / "my_script.py"))
    assert job.process.start_time is not None
    assert job.process.shim_pid is None
    assert '"status":"completed"' in job_dir.progress_file.read_text()
    assert job_dir.environment_file.exists()
    assert job_dir.path.stat().st_mode & 0o777 == 0o700
    assert [path for path in job_dir.path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []
    assert "recording 'my run' as " + job_dir.job_id in done.stderr
    assert "no Jupyter server shows" in done.stderr


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("with trainlive.track():\n    raise ValueError('the data is gone')", "failed", "ValueError: the data is gone"),
        ("with trainlive.track():\n    raise SystemExit(3)", "failed", "SystemExit: 3"),
        ("run = trainlive.track()\nraise ValueError('the data is gone')", "failed", "ValueError: the data is gone"),
        ("trainlive.track()\ntrainlive.log({'loss': 1.0})", "completed", None),
        (
            "with trainlive.track():\n    import os, signal; os.kill(os.getpid(), signal.SIGINT); input()",
            "failed",
            "Interrupted",
        ),
        # Nobody is there to tell; the server finds out by the pid.
        ("with trainlive.track():\n    import os; os._exit(0)", "running", None),
    ],
)
def test_however_it_ends_is_how_the_job_ends(
    tmp_path: Path, jobs_dir: Path, code: str, status: str, error: str | None
) -> None:
    done = script(tmp_path, code)
    ((job_dir, job),) = jobs(jobs_dir)
    assert (job.status.value, job.error) == (status, error), done.stderr
    assert job.spec["name"] == "my_script"
    if error is not None and error.startswith("ValueError"):
        assert done.stderr.rstrip().endswith("ValueError: the data is gone"), "it goes on to whoever called"
        (end,) = [r for r in JournalReader(job_dir.training_journal).read() if r["kind"] == "end"]
        assert end["traceback"].count("File ") == 1
        assert "my_script.py" in end["traceback"]
    assert is_present(presence_file(job_dir)) is False


@pytest.mark.usefixtures("outside")
def test_one_at_a_time_and_one_after_the_other(
    jobs_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jupyter_trainlive import log

    first = track("first")
    with pytest.raises(RuntimeError, match=rf"already, as {first.job_id} \('first'\).*finish\(\)"):
        track("second")
    log({"loss": 1.0})
    first.finish()
    first.finish(ValueError("too late"))
    log({"loss": 2.0})
    with track("second", jobs_dir=tmp_path / "elsewhere") as second:
        second.log({"loss": 3.0})
    assert [job.status.value for _, job in jobs(jobs_dir)] == ["completed"]
    assert losses(JobDir(jobs_dir / str(first.job_id))) == [(1, 1.0)]
    assert losses(JobDir(tmp_path / "elsewhere" / str(second.job_id))) == [(1, 3.0)]
    assert capsys.readouterr().err.count("nothing is recorded") == 1
    assert repr(second) == f"<Run 'second': {second.job_id}>"
    assert "TRAINLIVE_TRACKED" not in os.environ
    assert sys.excepthook is sys.__excepthook__ or "pytest" in repr(sys.excepthook)


@pytest.mark.usefixtures("outside", "jobs_dir")
def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path) -> None:
    for arguments, words in (
        ({"name": "a\nb"}, "name must be 1 to 200 printable characters"),
        ({"nan_patience": 0}, "nan_patience must be a whole number"),
        ({"stop_on_nan": 1}, "stop_on_nan must be true or false"),
        ({"alerts": {"loss_spikes": 3}}, "alerts: .*loss_spike"),
        ({"loss_from_backward": "yes"}, "loss_from_backward must be true or false"),
    ):
        with pytest.raises(ValueError, match=words):
            track(**arguments)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Nothing can be recorded in .*/file/jobs .*: pass jobs_dir=, or set TRAINLIVE_"):
        track(jobs_dir=tmp_path / "file" / "jobs")
    with track("after all that") as run:
        assert run.directory is not None


def test_in_a_job_it_records_into_that_job(in_job: Job, jobs_dir: Path) -> None:
    with track("within") as run, track("and within") as inner:
        run.log({"loss": 0.5})
        assert run.job_id == inner.job_id == in_job.dir.job_id
    assert in_job.series("loss") == [(1, 0.5)]
    assert in_job.records("end") == []
    assert not jobs_dir.exists()


@pytest.mark.usefixtures("outside")
def test_of_several_ranks_the_first_records(
    jobs_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    with track("rank 1") as run:
        run.log({"loss": 0.5})
    assert (run.job_id, run.directory) == (None, None)
    assert not jobs_dir.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("outside")
def test_it_is_as_patient_with_a_loss_as_it_was_told(jobs_dir: Path) -> None:
    with pytest.raises(NonFiniteLoss), track("nan", nan_patience=2, stop_on_nan=True) as run:  # noqa: PT012
        for step in range(1, 9):
            run.log({"loss": float("nan")}, step=step)
    ((_, job),) = jobs(jobs_dir)
    assert job.status is Status.FAILED
    assert job.training.step == 2


@pytest.mark.usefixtures("outside")
def test_a_loop_is_told_once_of_its_cancellation_and_may_save_what_it_has(jobs_dir: Path) -> None:
    saved = False
    with track("loop") as run:
        assert run.directory is not None
        try:
            for step in range(1, 100):
                run.log({"loss": 1 / step}, step=step)
                if step == 3:
                    write_wish(JobDir(run.directory).control_file, Wish(Desired.CANCELLED))
        except KeyboardInterrupt:
            run.log({"saving": 1.0})
            saved = True
    assert saved
    ((_, job),) = jobs(jobs_dir)
    assert (job.status, job.training.step, job.training.phase) == (Status.CANCELLED, 5, "stopping")


CELLS = """
import sys, time, pathlib
from IPython.core.interactiveshell import InteractiveShell
from jupyter_trainlive.protocol.control import Desired, Wish, write_wish
from jupyter_trainlive.training.own.run import record_trainer
shell = InteractiveShell.instance()
"""


def test_in_a_notebook_it_goes_on_from_cell_to_cell_and_a_trainer_ends_with_its_own(
    tmp_path: Path, jobs_dir: Path
) -> None:
    cells = """
# A failing cell does not end what goes on from cell to cell, and a cancellation between two cells does.
shell.run_cell("import jupyter_trainlive as trainlive; run = trainlive.track('cells')")
shell.run_cell("trainlive.log({'loss': 1.0}); 1 / 0")
shell.run_cell("trainlive.log({'loss': 2.0})")
between = (shell.user_ns["run"].directory / "journal" / "training.jsonl").read_text().splitlines()[-1]
assert '"name":"between cells"' in between, between
write_wish(shell.user_ns["run"].directory / "control.json", Wish(Desired.CANCELLED))
for _ in range(100):
    if "TRAINLIVE_TRACKED" not in __import__("os").environ: break
    time.sleep(0.1)
# A trainer whose cell ends otherwise than by its own word, by an exception that was seen or was handled.
shell.user_ns["record_trainer"] = record_trainer
shell.run_cell("record_trainer(object(), 'raises'); raise RuntimeError('no memory')")
shell.run_cell("record_trainer(object(), 'handled')")
# In a thread it goes on behind its cell; and the next one in the same process says that it is over.
shell.run_cell("from threading import Thread")
shell.run_cell("t = Thread(target=record_trainer, args=(object(), 'thread')); t.start(); t.join()")
shell.run_cell("pass")
record_trainer(object(), "the last")
"""
    done = script(tmp_path, CELLS + cells)
    assert done.returncode == 0, done.stderr
    ends = {job.spec["name"]: (job.status.value, job.error) for _, job in jobs(jobs_dir)}
    cut_short = (
        "The training ended before its last step: by an exception that the code around it has handled, or an exit."
    )
    assert ends == {
        "cells": ("cancelled", "Cancelled"),
        "raises": ("failed", "RuntimeError: no memory"),
        "handled": ("failed", cut_short),
        "thread": ("failed", cut_short),
        "the last": ("failed", cut_short),
    }
    assert losses(jobs(jobs_dir)[0][0]) == [(1, 1.0), (2, 2.0)]


TRAINERS = """
import json, lightning.pytorch, torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 1)

    def forward(self, x, labels):
        return {"loss": (self.line(x).squeeze(-1) - labels).square().mean()}

rows = [{"x": [float(i), 1.0], "labels": float(i)} for i in range(8)]
told = {}

def trainer(*callbacks):
    arguments = TrainingArguments(
        "out", max_steps=6, logging_steps=2, per_device_train_batch_size=2, report_to="none", save_strategy="no",
        disable_tqdm=True, use_cpu=True, learning_rate=0.01, dataloader_num_workers=1,
    )
    return Trainer(Net(), arguments, train_dataset=rows, callbacks=list(callbacks))

def tell(name, trainer):
    told[name] = [[entry["step"], entry["loss"]] for entry in trainer.state.log_history if "loss" in entry]

class Lightning(lightning.pytorch.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def training_step(self, batch, index):
        loss = self.net(*batch)["loss"]
        told.setdefault("lightning", []).append([index + 1, loss.item()])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

# Made before anybody knew that they would be recorded.
early = trainer()
options = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
lightning_trainer = lightning.pytorch.Trainer(
    max_steps=4, logger=False, enable_checkpointing=False, log_every_n_steps=1, **options
)
with trainlive.track("made before"):
    early.train()
tell("made before", early)
data = torch.utils.data.TensorDataset(torch.ones(4, 2), torch.ones(4))
with trainlive.track("lightning"):
    lightning_trainer.fit(Lightning(), torch.utils.data.DataLoader(data))

# Outside of track nothing is recorded but what asks for it.
trainer().train()
asked = trainer(trainlive.TrainLiveCallback())
asked.args.run_name = "asked for"
asked.train()
tell("asked for", asked)
asked.evaluate(rows)

class Fails(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        if state.global_step == 3:
            raise LookupError("no such row")

open("told.json", "w").write(json.dumps(told))
fails = trainer(trainlive.TrainLiveCallback(), Fails())
for handled in (True, False):
    try:
        fails.train()
    except LookupError:
        if not handled:
            raise
"""


def test_trainers_are_recorded_as_they_are_and_each_call_of_one_is_a_job_where_it_asks_for_it(
    tmp_path: Path, jobs_dir: Path
) -> None:
    done = script(tmp_path, TRAINERS)
    told = json.loads((tmp_path / "told.json").read_text())
    found = jobs(jobs_dir)
    assert [(job.spec["name"], job.status.value) for _, job in found] == [
        ("made before", "completed"),
        ("lightning", "completed"),
        ("asked for", "completed"),
        ("my_script", "failed"),
        ("my_script", "failed"),
    ], done.stderr
    for job_dir, job in found[:3]:
        assert losses(job_dir) == [(step, loss) for step, loss in told[job.spec["name"]]]
        assert job.training.segments == 1
        assert job.progress == 100
    assert "an exception that the code around it has handled" in str(found[3][1].error)
    assert found[4][1].error == "LookupError: no such row"
    assert done.stderr.rstrip().endswith("LookupError: no such row")
    assert "watching" not in done.stderr
