"""The hook for transformers: everything a Trainer does is recorded, and nothing of it can hurt the training."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.protocol.jobdir import write_json
from jupyter_trainlive.protocol.journal import JournalReader
from jupyter_trainlive.protocol.states import Job as FoldedJob
from jupyter_trainlive.protocol.states import Journal, fold
from jupyter_trainlive.protocol.values import carry
from jupyter_trainlive.training import pace
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


def at_step(step: int, do: Callable[[], None]) -> Any:
    """A callback that does something right before a step."""
    from transformers import TrainerCallback

    class AtStep(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == step - 1:
                do()

    return AtStep()


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
    monkeypatch.setattr(pace, "INTERVAL_SECONDS", 0)
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
    run = trainer(extra=[at_step(3, in_job.cancel)], eval_strategy="epoch", save_strategy="epoch", max_steps=-1)
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
def test_a_training_outside_of_a_job_that_can_not_be_recorded_goes_on(
    trainer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRAINLIVE_JOBS_DIR", str(tmp_path / "file" / "jobs"))
    run = trainer()
    run.train()
    assert run.state.global_step == 6
    assert capsys.readouterr().err.count("Nothing can be recorded in") == 1


def test_data_loader_workers_disturb_nothing(in_job: Job, trainer: Callable[..., Any]) -> None:
    run = trainer(dataloader_num_workers=2)
    run.train()
    assert [step for step, _ in in_job.series("loss")] == [2, 4, 6]


def test_a_held_trainer_waits_between_two_steps_and_that_is_no_steps_time(
    in_job: Job, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resume_once_held() -> None:
        while not in_job.records("held"):
            time.sleep(0.005)
        time.sleep(1)
        in_job.wish(Desired.RUNNING)

    def pause() -> None:
        in_job.wish(Desired.PAUSED, 3)
        server.start()

    server = threading.Thread(target=resume_once_held)
    monkeypatch.setattr(pace, "INTERVAL_SECONDS", 0)
    trainer(extra=[at_step(3, pause)]).train()
    server.join()
    (held,), (resumed,) = in_job.records("held"), in_job.records("resumed")
    assert (held["request"], held["step"], resumed["step"]) == (3, 3, 3)
    (segment,) = in_job.records("segment")
    last = in_job.records("metrics")[-1]
    stepping = sum(seconds for _, seconds in in_job.series("step_time_seconds"))
    assert stepping <= last["t"] - segment["t"] - (resumed["t"] - held["t"]) + 0.05


def test_a_trainer_in_code_of_ones_own_can_not_be_released(in_job: Job, trainer: Callable[..., Any]) -> None:
    run = trainer(extra=[at_step(2, lambda: in_job.wish(Desired.RELEASED, 4))])
    run.train()
    assert run.state.global_step == 6
    (segment,), (refused,) = in_job.records("segment"), in_job.records("pause_refused")
    assert segment["checkpoints"] is False
    assert refused["request"] == 4
    assert "hold it instead" in refused["error"]


def test_several_processes_that_train_together_are_neither_held_nor_released(
    in_job: Job, trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainingArguments

    in_job.wish(Desired.PAUSED, 1)
    from jupyter_trainlive import TrainLiveCallback

    callback = TrainLiveCallback()
    run = trainer(callback, logging_steps=100)
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    callback.on_train_begin(run.args, run.state, run.control)
    callback.on_step_end(run.args, run.state, run.control)
    (refused,) = in_job.records("pause_refused")
    assert "Several processes train together" in refused["error"]
    assert in_job.records("held") == []


@pytest.mark.parametrize("stop", [False, True])
def test_a_loss_that_stays_no_number_is_an_alert_or_a_stop(
    in_job: Job, trainer: Callable[..., Any], stop: bool
) -> None:
    write_json(in_job.dir.spec_file, {"nan_patience": 2, "stop_on_nan": stop})
    run = trainer(
        learning_rate=1e30, max_grad_norm=0, logging_steps=1, max_steps=-1, num_train_epochs=2, save_strategy="epoch"
    )
    run.train()
    (alert,) = in_job.records("alert")
    assert alert["name"] == "non_finite_loss"
    assert run.state.global_step == (alert["step"] if stop else 8)
    assert len(in_job.records("checkpoint")) == (0 if stop else 2), "such weights are not worth saving"


def test_after_a_trainer_has_returned_log_is_held_again(in_job: Job, trainer: Callable[..., Any]) -> None:
    from jupyter_trainlive import log

    def resume_once_held() -> None:
        while not in_job.records("held"):
            time.sleep(0.005)
        in_job.wish(Desired.RUNNING)

    trainer().train()
    in_job.wish(Desired.PAUSED, 1)
    server = threading.Thread(target=resume_once_held)
    server.start()
    log({"accuracy": 1.0})
    server.join()
    assert [record["step"] for record in in_job.records("held")] == [6]


def test_of_several_callbacks_in_one_trainer_one_records(in_job: Job, trainer: Callable[..., Any]) -> None:
    from jupyter_trainlive import TrainLiveCallback
    from jupyter_trainlive.training.transformers_callback import AutomaticCallback

    class Asked(TrainLiveCallback):
        """One that somebody has asked for."""

    def recorded(*callbacks: Any, later: Any = None) -> tuple[int, int]:
        before = len(in_job.records("segment")), len(in_job.series("eval_loss"))
        run = trainer(callbacks[0], extra=list(callbacks[1:]), logging_steps=3)
        if later is not None:
            run.add_callback(later)
        run.evaluate()
        run.train()
        run.evaluate()
        assert in_job.series("loss")[-2:] == [(e["step"], e["loss"]) for e in run.state.log_history if "loss" in e]
        return len(in_job.records("segment")) - before[0], len(in_job.series("eval_loss")) - before[1]

    assert recorded(AutomaticCallback()) == (1, 2)
    assert recorded(AutomaticCallback(), TrainLiveCallback(), Asked()) == (1, 2)
    assert recorded(AutomaticCallback(), later=Asked()) == (1, 2)
    assert len(in_job.series("loss")) == 6
