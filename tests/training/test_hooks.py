"""Unmodified code of people is seen as it trains: its curves are what its framework itself reports."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jupyter_trainlive.protocol.jobdir import write_json
from jupyter_trainlive.protocol.journal import Record
from jupyter_trainlive.protocol.states import Job as FoldedJob
from jupyter_trainlive.protocol.states import Journal, fold_all
from jupyter_trainlive.training import hooks
from jupyter_trainlive.training.hooks import guard, lightning_watcher, losses, optimizers
from jupyter_trainlive.training.hooks.imports import PostImport
from jupyter_trainlive.training.recorder import Recorder, current
from jupyter_trainlive.training.watch import NonFiniteLoss

from .conftest import Job
from .test_boot import Kernel

CODE = Path(__file__).parent / "user_code"
BOOT = "from jupyter_trainlive.training.boot import run; run()"


def work(job: Job, name: str, **spec: Any) -> str:
    """Do a job of somebody's code, as a kernel would; returns its output."""
    code = (CODE / f"{name}.py").read_text()
    write_json(job.dir.spec_file, {"kind": "code", "code": code, **spec})
    environment = {**job.environment(), "TOKENIZERS_PARALLELISM": "false", "TQDM_MININTERVAL": "5"}
    done = subprocess.run(
        [sys.executable, "-c", BOOT], env=environment, cwd=job.dir.path, capture_output=True, text=True, timeout=120
    )
    log = job.dir.output_log.read_text()
    assert done.returncode == 0, done.stderr + log
    assert "watching" not in log, log
    return log


def work_in_kernel(job: Job, name: str) -> str:
    """The same in a real kernel."""
    kernel = Kernel(job).start(kind="code", code=(CODE / f"{name}.py").read_text())
    try:
        assert kernel.manager.provisioner.process.wait(120) == 0  # type: ignore[union-attr]
    finally:
        kernel.stop()
    assert "watching" not in kernel.log, kernel.log
    return kernel.log


def told(job: Job, name: str) -> Any:
    return json.loads((job.dir.path / f"told-{name}.json").read_text())


def parts(job: Job) -> list[list[Record]]:
    """The records of each trainer or loop."""
    found: list[list[Record]] = []
    for record in job.records():
        if record["kind"] == "segment":
            found.append([])
        if found:
            found[-1].append(record)
    return found


def curve(records: list[Record], name: str) -> list[tuple[int, float]]:
    return [(r["step"], r["values"][name]) for r in records if r["kind"] == "metrics" and name in r["values"]]


def kinds(records: list[Record], *names: str) -> list[str]:
    return [record["kind"] for record in records if record["kind"] in names]


def the_hold_is_no_steps_time(records: list[Record]) -> None:
    timed = [r for r in records if r["kind"] == "metrics" and "step_time_seconds" in r["values"]]
    held, resumed = (next(r for r in records if r["kind"] == kind) for kind in ("held", "resumed"))
    before = [r for r in [records[0], *timed] if r["t"] <= held["t"]][-1]
    after = next(r for r in timed if r["t"] > resumed["t"])
    stepping = after["values"]["step_time_seconds"] * (after["step"] - before["step"])
    assert stepping <= after["t"] - before["t"] - (resumed["t"] - held["t"]) + 0.05


ANSWERS = ("held", "pause_refused", "resumed")


def test_plain_loops(job: Job) -> None:
    work(job, "torch_loop", loss_from_backward=True)
    first, judging, by_epoch = parts(job)

    losses, rates = told(job, "first")["losses"], told(job, "first")["rates"]
    assert dict(curve(first, "loss")) == pytest.approx(dict(enumerate(losses, 1)))
    assert curve(first, "accuracy") == list(enumerate(losses, 1))
    assert {1, 12} <= dict(curve(first, "learning_rate")).keys()
    for step, rate in curve(first, "learning_rate"):
        assert rate == pytest.approx(rates[step - 1])
    assert (first[0]["step"], first[0]["total_steps"]) == (0, 12)
    assert kinds(first, *ANSWERS) == ["held", "pause_refused", "resumed"]
    the_hold_is_no_steps_time(first)

    # The third loop names the steps of its own, so it is no segment.
    losses = told(job, "second")
    assert dict(curve(judging, "loss")[:10]) == pytest.approx(dict(enumerate(losses, 1)))
    assert curve(judging, "resumed") == [(101 + index, index) for index in range(6)]
    rates = {rate: step for step, rate in curve(judging, "learning_rate")}
    assert rates == {0.01: 10, 0.3: 106}, "the last ones are not forgotten"
    assert [step for step, _ in curve(judging, "loss") if step > 100] == [103, 104, 105, 106]

    assert curve(by_epoch, "by epoch") == [(0, 0), (1, 1), (2, 2)]
    folded = fold_all(FoldedJob(job.dir.job_id), Journal.TRAINING, job.records())
    assert folded.training.step == by_epoch[-2]["step"], "what is held tells the step"
    assert folded.training.segments == 0, "no loop of somebody's own can be told to stop"
    assert kinds(by_epoch, *ANSWERS, "end") == ["held", "end"]
    assert job.end()["status"] == "cancelled"


def reported(history: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """A curve as a Trainer's own log_history has it."""
    return [(entry["step"], entry[name]) for entry in history if name in entry]


def test_trainers_and_accelerate(job: Job, model: Path) -> None:
    (job.dir.path / "model").symlink_to(model)
    log = work_in_kernel(job, "trainers")
    trainer, seq2seq, sft, accelerate = parts(job)
    for records, name, series in (
        (trainer, "trainer", ("loss", "eval_loss", "grad_norm", "learning_rate", "train_loss")),
        (seq2seq, "seq2seq", ("loss", "grad_norm", "learning_rate")),
        (sft, "sft", ("loss", "mean_token_accuracy", "entropy", "train_loss")),
    ):
        for one in series:
            assert curve(records, one) == reported(told(job, name), one) != [], (name, one)

    assert (trainer[0]["step"], trainer[0]["total_steps"], trainer[0]["total_epochs"]) == (0, 8, 2)
    assert kinds(trainer, *ANSWERS) == ["held", "pause_refused", "resumed"]
    assert [r["path"] for r in trainer if r["kind"] == "checkpoint"] == ["plain/checkpoint-8"]
    assert len(curve(trainer, "after_loss")) == 1
    assert kinds(seq2seq, *ANSWERS) == ["held"]
    assert len(curve(seq2seq, "loss")) < 100, "it was cancelled"
    assert sft[0]["total_steps"] == 4
    assert kinds(sft, *ANSWERS) == ["resumed", "held", "resumed"], "the first is of the one before"

    said = told(job, "accelerate")
    assert curve(accelerate, "train/loss") == list(enumerate(said["losses"], 1))
    assert {1, 6} <= dict(curve(accelerate, "learning_rate")).keys()
    for step, rate in curve(accelerate, "learning_rate"):
        assert rate == pytest.approx(said["rates"][step - 1])
    assert (accelerate[0]["total_steps"], accelerate[0]["trainer"]) == (6, False)
    assert kinds(accelerate, *ANSWERS) == ["held", "resumed"]
    (saved,) = (r for r in accelerate if r["kind"] == "checkpoint")
    assert (saved["step"], saved["path"]) == (6, "state")

    # A kernel, but no notebook that anybody sees.
    assert "100%|██████████| 8/8" in log
    assert "HBox" not in log
    assert "<IPython" not in log


def test_lightning(job: Job) -> None:
    log = work(job, "lightning_fit")
    fit, cancelled, other, failing = parts(job)
    rows = told(job, "fit")
    for name in ("train_loss_step", "train_loss_epoch", "val_loss"):
        # Its loggers number steps from 0; here they count steps done.
        assert curve(fit, name) == [(row["step"] + 1, row[name]) for row in rows if name in row] != []
    assert curve(fit, "eval_loss") == curve(fit, "val_loss")
    assert [step for step, _ in curve(fit, "val_loss")] == [6, 12], "not that of the check before"
    assert (fit[0]["step"], fit[0]["total_steps"], fit[0]["total_epochs"]) == (0, 12, 2)
    assert [step for step, _ in curve(fit, "loss")] == list(range(1, 13)), "each step has its own, though paced"
    assert [loss for _, loss in curve(fit, "loss")] == pytest.approx(told(job, "losses"))
    paused = [r["kind"] for r in fit].index("held")
    assert fit[paused]["step"] == curve(fit[:paused], "loss")[-1][0], "who pauses sees where it has come to"
    assert set(dict(curve(fit, "learning_rate")).values()) == {0.05}
    the_hold_is_no_steps_time(fit)
    assert kinds(fit, *ANSWERS) == ["held", "pause_refused", "resumed"]
    checkpoints = [(r["step"], r["path"]) for r in fit if r["kind"] == "checkpoint"]
    assert checkpoints == [(6, "saved/epoch=0-step=6.ckpt"), (12, "saved/epoch=1-step=12.ckpt")]
    assert job.phases()[:4] == ["checking", "training", "evaluating", "training"]

    assert kinds(cancelled, *ANSWERS) == ["held"]
    assert 3 <= told(job, "cancelled") <= 6
    assert len(curve(cancelled, "val_loss")) == 1, "without a logger, too"
    assert [step for step, _ in curve(cancelled, "loss")] == list(range(1, told(job, "cancelled") + 1))
    assert [step for step, _ in curve(failing, "loss")] == list(range(1, 8))
    assert other[0]["total_steps"] == 3
    assert curve(other, "train_loss_epoch") == [(3, told(job, "other"))]
    assert job.end()["status"] == "cancelled"
    assert "Epoch 1: 100%|██████████| 12/12" in log, "a plain bar"


def test_a_framework_is_hooked_when_it_is_imported_and_not_before(job: Job) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from jupyter_trainlive.training import hooks\n"
        "hooks.install(); hooks.install(loss_from_backward=True); hooks.finish()\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))\n"
        "print(sum(type(finder).__name__ == 'PostImport' for finder in sys.meta_path))\n"
        "from tqdm.auto import tqdm; from tqdm.notebook import tqdm as other; from tqdm.std import tqdm as std\n"
        "print(issubclass(tqdm, std), other is std, std.__module__, sys.modules['tqdm.std'].__spec__.loader)\n"
        "import io; drawn = io.StringIO(); bar = tqdm(range(500), file=drawn, mininterval=30)\n"
        "for index in bar: bar.set_postfix(loss=index)\n"
        "print(drawn.getvalue().count('\\r'), '500/500' in drawn.getvalue())"
    )
    modules, finders, bars, drawn = job.python(code).stdout.splitlines()
    assert drawn == "2 True", "the first and the last"
    assert set(modules.split()) <= {"jupyter_trainlive", "orjson"}
    assert finders == "1"
    assert bars.startswith("True True tqdm.std <_frozen_importlib_external.SourceFileLoader")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that can be imported."""
    (tmp_path / "somebodys_framework.py").write_text("value = 1\nassert __loader__ is __spec__.loader\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield "somebodys_framework"
    sys.modules.pop("somebodys_framework", None)


def test_a_module_is_seen_right_after_its_import(module: str) -> None:
    seen: list[Any] = []
    finder = PostImport()
    finder.watch(module, seen.append)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader.get_source(module)  # type: ignore[union-attr]
    assert seen == [], "to look for it is not to import it"
    imported = importlib.import_module(module)
    assert seen == [imported]
    assert (imported.value, type(imported.__loader__).__name__) == (1, "SourceFileLoader")
    finder.watch(module, seen.append)
    assert seen == [imported, imported], "and at once where it is there"


def test_an_import_that_fails_is_seen_when_it_succeeds(module: str, tmp_path: Path) -> None:
    seen: list[Any] = []
    PostImport().watch("broken_framework", seen.append)
    broken = tmp_path / "broken_framework.py"
    broken.write_text("raise ImportError")
    with pytest.raises(ImportError):
        importlib.import_module("broken_framework")
    assert seen == []
    broken.write_text("value = 2  # now it works")
    importlib.invalidate_caches()
    assert importlib.import_module("broken_framework") is seen[0]
    del sys.modules["broken_framework"]


class Optimizer:
    """Steps, and is seen to."""

    param_groups: ClassVar = [{"lr": 0.5}]

    def step(self) -> None:
        optimizers._stepped(self, (), {})


@pytest.fixture
def plain(in_job: Job, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(optimizers, "_loop", None)
    monkeypatch.setattr(optimizers, "_over", None)
    return in_job


def test_a_hook_that_fails_never_reaches_a_loop(
    plain: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(guard, "_told", set())
    for name in ("metrics", "segment", "at_step"):
        monkeypatch.setattr(Recorder, name, broken)
    optimizer = Optimizer()
    for _ in range(3):
        optimizer.step()
    hooks.finish()
    assert capsys.readouterr().err.count("watching optimizers failed: ZeroDivisionError: a bug of ours") == 1


def test_a_loop_that_is_to_stop_for_its_loss_is_told_at_its_optimizer(plain: Job) -> None:
    write_json(plain.dir.spec_file, {"stop_on_nan": True, "nan_patience": 1})
    optimizer = Optimizer()
    optimizer.step()
    recorder = current()
    assert recorder is not None
    recorder.metrics({"loss": math.nan})
    with pytest.raises(NonFiniteLoss):
        optimizer.step()


def test_losses_of_a_fit_that_never_heard_of_its_end_are_recorded_all_the_same(
    plain: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    watcher = lightning_watcher.Watcher()
    monkeypatch.setattr(lightning_watcher, "_training", watcher)
    loss = torch.tensor([0.5], dtype=torch.bfloat16)
    watcher.step = 2
    watcher._losses = [(step, None, losses.kept(loss) * step) for step in (1, 2)]
    loss.zero_()
    hooks.finish()
    hooks.finish()
    assert plain.series("loss") == [(1, 0.5), (2, 1.0)]


def test_steps_of_a_trainer_and_after_the_end_are_not_counted(plain: Job) -> None:
    recorder = current()
    assert recorder is not None
    optimizer = Optimizer()
    recorder.segment(step=0, total_steps=3, total_epochs=None)
    optimizer.step()
    recorder.segment_over()
    optimizer.step()
    hooks.finish()
    optimizer.step()
    assert plain.series("learning_rate") == [(1, 0.5)]


def test_quick_steps_share_a_record_and_the_last_ones_are_not_lost(plain: Job) -> None:
    optimizer = Optimizer()
    for _ in range(1000):
        optimizer.step()
    assert len(plain.records("metrics")) < 100
    hooks.finish()
    assert plain.series("learning_rate")[-1] == (1000, 0.5)
