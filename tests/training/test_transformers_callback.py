"""The hook for transformers: everything a Trainer does is recorded, and nothing of it can hurt the training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.journal import JournalReader
from jupyter_trainlive.protocol.states import Job as FoldedJob
from jupyter_trainlive.protocol.states import Journal, fold
from jupyter_trainlive.protocol.values import carry
from jupyter_trainlive.training.recorder import Recorder

from .conftest import Job


@pytest.fixture
def trainer(model: Path, tmp_path: Path) -> Callable[..., Any]:
    """Makes a real Trainer of a tiny model on eight rows, four of them to evaluate on."""

    def make(callback: Any = None, extra: list[Any] | None = None, **options: Any) -> Any:
        import torch
        from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

        from jupyter_trainlive import TrainLiveCallback

        rows = [{"input_ids": ids, "labels": ids} for ids in torch.arange(128).reshape(8, 16)]
        arguments = {
            "max_steps": 6,
            "per_device_train_batch_size": 2,
            "logging_steps": 2,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "logging_nan_inf_filter": False,
            "output_dir": str(tmp_path / "out"),
            **options,
        }
        return Trainer(
            model=AutoModelForCausalLM.from_pretrained(model),
            args=TrainingArguments(**arguments),
            train_dataset=rows,
            eval_dataset=rows[:4],
            callbacks=[callback or TrainLiveCallback(), *(extra or [])],
        )

    return make


def test_what_the_trainer_logs_is_in_the_journal(in_job: Job, trainer: Callable[..., Any]) -> None:
    run = trainer(eval_strategy="steps", eval_steps=3, save_strategy="steps", save_steps=3)
    run.train()
    for name in ("loss", "eval_loss", "learning_rate", "grad_norm", "train_loss"):
        history = [(entry["step"], entry[name]) for entry in run.state.log_history if name in entry]
        assert in_job.series(name) == history, name
        assert history
    assert in_job.series("epoch") == in_job.series("step") == []
    (segment,) = in_job.records("segment")
    assert (segment["step"], segment["total_steps"], segment["total_epochs"]) == (0, 6, 2)
    assert in_job.phases() == [
        "training",
        "evaluating",
        "saving",
        "training",
        "evaluating",
        "saving",
        "training",
    ]
    assert [record["step"] for record in in_job.records("checkpoint")] == [3, 6]
    for record in in_job.records("checkpoint"):
        assert (Path(record["path"]) / "model.safetensors").is_file()


def test_steps_are_timed_and_the_last_one_is_always_recorded(in_job: Job, trainer: Callable[..., Any]) -> None:
    trainer(logging_steps=100, gradient_accumulation_steps=2).train()
    times = dict(in_job.series("step_time_seconds"))
    rates = dict(in_job.series("samples_per_second"))
    assert {1, 6} <= set(times)
    assert len(times) < 6, "fast steps share a record"
    for step, seconds in times.items():
        assert 0 < seconds < 5
        assert rates[step] == pytest.approx(2 * 2 / seconds)
    folded = FoldedJob(in_job.dir.job_id)
    for record in JournalReader(in_job.dir.training_journal).read():
        folded = fold(folded, Journal.TRAINING, record)
    assert (folded.training.step, folded.training.total_steps, folded.progress) == (6, 6, 100)
    assert folded.training.epoch == folded.training.total_epochs == 3


def test_slow_steps_are_all_recorded(in_job: Job, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_trainlive.training import transformers_callback

    monkeypatch.setattr(transformers_callback, "STEP_INTERVAL_SECONDS", 0)
    trainer(logging_steps=100).train()
    assert [step for step, _ in in_job.series("step_time_seconds")] == [1, 2, 3, 4, 5, 6]


def test_a_resumed_run_begins_where_it_was(in_job: Job, trainer: Callable[..., Any], tmp_path: Path) -> None:
    trainer(max_steps=3, save_strategy="steps", save_steps=3).train()
    trainer(max_steps=6).train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-3"))
    assert [record["step"] for record in in_job.records("segment")] == [0, 3]
    assert in_job.series("loss")[-1][0] == 6


def test_a_loss_that_is_no_number_is_shown_as_such(in_job: Job, trainer: Callable[..., Any]) -> None:
    run = trainer(learning_rate=1e30, max_grad_norm=0, logging_steps=1)
    run.train()
    history = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    assert any(math.isnan(loss) for loss in history)
    assert [value for _, value in in_job.series("loss")] == [carry(loss) for loss in history]


def test_cancelling_stops_at_the_next_step_and_saves_nothing_more(in_job: Job, trainer: Callable[..., Any]) -> None:
    from transformers import TrainerCallback

    class CancelAtThree(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 2:
                in_job.cancel()

    run = trainer(extra=[CancelAtThree()], eval_strategy="epoch", save_strategy="epoch", max_steps=-1)
    run.train()
    assert run.state.global_step == 3
    assert in_job.series("eval_loss") == []
    assert in_job.records("checkpoint") == []


def test_a_callback_that_fails_never_reaches_the_training(
    in_job: Job,
    trainer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    for name in ("metrics", "phase", "segment", "checkpoint", "at_step"):
        monkeypatch.setattr(Recorder, name, broken)
    run = trainer(eval_strategy="steps", eval_steps=3, save_strategy="steps", save_steps=3)
    run.train()
    assert run.state.global_step == 6
    assert capsys.readouterr().err.count("watching it failed: ZeroDivisionError: a bug of ours") == 1


@pytest.mark.usefixtures("outside")
def test_outside_of_a_job_it_only_says_so(trainer: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    run = trainer()
    run.train()
    assert run.state.global_step == 6
    assert capsys.readouterr().err.count("nothing is recorded") == 1


def test_data_loader_workers_disturb_nothing(in_job: Job, trainer: Callable[..., Any]) -> None:
    run = trainer(dataloader_num_workers=2)
    run.train()
    assert [step for step, _ in in_job.series("loss")] == [2, 4, 6]
