"""Holding and releasing the recipe: afterwards it goes on as if nothing had been in between, number by number."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.checkpoints import MANIFEST, is_complete
from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.protocol.jobdir import ATTEMPT_VARIABLE, JOB_DIR_VARIABLE
from jupyter_trainlive.training import recorder as recorder_module
from jupyter_trainlive.training.control import Cancelled, Gate, Released
from jupyter_trainlive.training.recipes import checkpointing, finetune
from jupyter_trainlive.training.recorder import current

from .conftest import Job

Data = Callable[..., Path]
Numbers = dict[str, list[tuple[int, Any]]]

#: Four steps of two batches make an epoch, evaluated at its end; two epochs.
EVERY_STEP = {"num_train_epochs": 2, "gradient_accumulation_steps": 2}
#: The loss is logged at steps 1, 5 and 10, which are none of those at which the tests release.
EVERY_FIFTH = {"max_steps": 11, "logging_steps": 5, "eval_steps": 3, "gradient_accumulation_steps": 2}
#: Only a few numbers beside the model's are trained, with a dropout of their own.
ADAPTER = {"use_peft": True, "lora_dropout": 0.2, "max_steps": 4, "logging_steps": 2, "eval_steps": 2}
NAMES = ("loss", "grad_norm", "learning_rate", "eval_loss", "train_loss")


@pytest.fixture(scope="module")
def dropping_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with dropout, so that the state of the random numbers matters."""
    folder = shutil.copytree(model, tmp_path_factory.mktemp("dropping") / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.2}))
    return folder


class Runner:
    """Runs the recipe for a job, in this process, and asks for things at exact steps."""

    def __init__(self, parent: Path, model: Path, data: Path, patch: pytest.MonkeyPatch) -> None:
        self.job = Job(parent)
        self._defaults = {
            "model_name": str(model),
            "dataset_path": str(data),
            "max_length": 32,
            "eval_split": 0.2,
            "learning_rate": 3e-3,
            "per_device_train_batch_size": 4,
            "lr_scheduler_type": "cosine",
        }
        self._patch = patch
        self.attempt = 0

    def run(self, **parameters: Any) -> None:
        """One more attempt."""
        self.attempt += 1
        self._patch.setenv(JOB_DIR_VARIABLE, str(self.job.dir.path))
        self._patch.setenv(ATTEMPT_VARIABLE, str(self.attempt))
        self._patch.setattr(recorder_module, "_current", None)
        self._patch.setattr(recorder_module, "_current_process", None)
        recorder = current()
        assert recorder is not None
        try:
            finetune.run({**self._defaults, **parameters}, self.job.dir, recorder)
        finally:
            recorder.close()

    def at_step(self, step: int | None, do: Callable[[], None]) -> None:
        """Do something right before the training asks, behind `step`, what is wanted; once."""
        ask, pending = Gate.ask, [do]

        def asked(gate: Gate, at: int | None, **options: Any) -> Desired:
            if at == step and pending:
                pending.pop()()
            return ask(gate, at, **options)

        self._patch.setattr(Gate, "ask", asked)

    def release_at(self, step: int | None) -> None:
        self.at_step(step, lambda: self.job.wish(Desired.RELEASED, 1))

    def run_released(self, step: int | None, **parameters: Any) -> None:
        """Two attempts: the first leaves behind `step`, the second goes on to the end."""
        self.release_at(step)
        with pytest.raises(Released):
            self.run(**parameters)
        self.job.wish(Desired.RUNNING)
        self.run(**parameters)

    def numbers(self) -> Numbers:
        return {name: self.job.series(name) for name in NAMES}

    def weights(self) -> bytes:
        (file,) = self.job.dir.artifacts.glob("*/*.safetensors")
        return file.read_bytes()

    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in self.job.dir.checkpoints.iterdir())


NewRunner = Callable[[], Runner]


@pytest.fixture(scope="module")
def new_runner(
    dropping_model: Path, data: Data, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[pytest.MonkeyPatch], Runner]:
    import torch

    # So small a model is slower with more.
    torch.set_num_threads(1)
    rows = data(rows=40)
    return lambda patch: Runner(tmp_path_factory.mktemp("jobs"), dropping_model, rows, patch)


@pytest.fixture
def runner(new_runner: Callable[[pytest.MonkeyPatch], Runner], monkeypatch: pytest.MonkeyPatch) -> Runner:
    return new_runner(monkeypatch)


@pytest.fixture(scope="module")
def uninterrupted(
    new_runner: Callable[[pytest.MonkeyPatch], Runner],
) -> Callable[..., tuple[Numbers, bytes]]:
    """The numbers and the weights of a run with these parameters that nothing comes in between of."""
    done: dict[str, tuple[Numbers, bytes]] = {}

    def run(**parameters: Any) -> tuple[Numbers, bytes]:
        key = json.dumps(parameters)
        if key not in done:
            with pytest.MonkeyPatch.context() as patch:
                runner = new_runner(patch)
                runner.run(**parameters)
                done[key] = runner.numbers(), runner.weights()
        return done[key]

    return run


@pytest.mark.parametrize(
    ("parameters", "step"),
    [
        (EVERY_STEP, 3),
        (EVERY_STEP, 4),  # the end of an epoch, with its evaluation
        (EVERY_STEP, 8),  # the last one
        (EVERY_FIFTH, 4),
        (EVERY_FIFTH, 6),  # evaluated, not logged
        (EVERY_FIFTH, 11),  # the last one, in the middle of an epoch
        (ADAPTER, 3),
        (ADAPTER, 4),  # the last one
        ({**ADAPTER, "load_in_4bit": True, "bf16": True}, 2),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "-".join(value),
)
def test_losses_after_a_release_are_those_of_an_uninterrupted_run(
    runner: Runner,
    uninterrupted: Callable[..., tuple[Numbers, bytes]],
    parameters: dict[str, Any],
    step: int,
) -> None:
    numbers, weights = uninterrupted(**parameters)
    assert len(numbers["loss"]) > 2
    assert len(numbers["eval_loss"]) > 1
    runner.run_released(step, **parameters)
    assert runner.numbers() == numbers
    assert runner.weights() == weights
    assert [record["step"] for record in runner.job.records("segment")] == [0, step]
    assert [record["attempt"] for record in runner.job.records("start")] == [1, 2]
    assert {record["checkpoints"] for record in runner.job.records("segment")[:1]} == {True}
    assert runner.job.records("pause_refused") == []


def test_several_releases_in_one_job_change_nothing(
    runner: Runner, uninterrupted: Callable[..., tuple[Numbers, bytes]]
) -> None:
    numbers, weights = uninterrupted(**EVERY_FIFTH)
    for step in (2, 3, 8):
        runner.release_at(step)
        with pytest.raises(Released):
            runner.run(**EVERY_FIFTH)
        runner.job.wish(Desired.RUNNING)
        assert not (runner.job.dir.artifacts / "model").exists()
    runner.run(**EVERY_FIFTH)
    assert runner.numbers() == numbers
    assert runner.weights() == weights


def test_losses_after_a_hold_are_those_of_an_uninterrupted_run(
    runner: Runner, uninterrupted: Callable[..., tuple[Numbers, bytes]]
) -> None:
    def status() -> str:
        progress: dict[str, str] = json.loads(runner.job.dir.progress_file.read_bytes())
        return progress["status"]

    def resume_once_held() -> None:
        while status() != "paused":
            time.sleep(0.005)
        runner.job.wish(Desired.RUNNING)

    server = threading.Thread(target=resume_once_held)

    def pause() -> None:
        runner.job.wish(Desired.PAUSED, 7)
        server.start()

    numbers, weights = uninterrupted(**EVERY_STEP)
    runner.at_step(3, pause)
    runner.run(**EVERY_STEP)
    server.join()
    assert runner.numbers() == numbers
    assert runner.weights() == weights
    (held,), (resumed,) = runner.job.records("held"), runner.job.records("resumed")
    assert (held["request"], held["step"], resumed["step"]) == (7, 3, 3)
    assert status() == "running"


def test_a_held_training_can_be_released(runner: Runner) -> None:
    def release_once_held() -> None:
        while not runner.job.records("held"):
            time.sleep(0.005)
        runner.job.wish(Desired.RELEASED, 2)

    server = threading.Thread(target=release_once_held)

    def pause() -> None:
        runner.job.wish(Desired.PAUSED, 1)
        server.start()

    runner.at_step(2, pause)
    with pytest.raises(Released):
        runner.run(**EVERY_STEP)
    server.join()
    assert runner.job.records("resumed") == []
    assert runner.checkpoints() == ["checkpoint-2"]
    assert [record["path"] for record in runner.job.records("checkpoint")] == ["checkpoints/checkpoint-2"]
    assert runner.job.series("train_loss") == []


def test_a_held_training_can_be_cancelled(runner: Runner) -> None:
    def cancel_once_held() -> None:
        while not runner.job.records("held"):
            time.sleep(0.005)
        runner.job.cancel()

    server = threading.Thread(target=cancel_once_held)

    def pause() -> None:
        runner.job.wish(Desired.PAUSED, 1)
        server.start()

    runner.at_step(2, pause)
    with pytest.raises(Cancelled):
        runner.run(**EVERY_STEP)
    server.join()
    assert runner.job.series("loss")[-1][0] == 2
    assert runner.checkpoints() == []


def test_what_is_still_loading_leaves_at_once_and_begins_again(runner: Runner) -> None:
    runner.release_at(None)
    with pytest.raises(Released):
        runner.run(**EVERY_STEP)
    assert runner.job.records("segment") == []
    runner.job.wish(Desired.RUNNING)
    runner.run(max_steps=2)
    assert [step for step, _ in runner.job.series("loss")] == [1, 2]


def test_a_release_comes_too_late_when_all_steps_are_done(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_trainlive.training.recipes.trainer import RecipeTrainer

    train_from = RecipeTrainer.train_from

    def trained(trainer: RecipeTrainer, checkpoint: Path | None, *, finished: bool = False) -> None:
        train_from(trainer, checkpoint, finished=finished)
        runner.job.wish(Desired.RELEASED, 5)

    monkeypatch.setattr(RecipeTrainer, "train_from", trained)
    runner.run(max_steps=2)
    (refused,) = runner.job.records("pause_refused")
    assert refused["request"] == 5
    assert "All steps are done" in refused["error"]
    assert (runner.job.dir.artifacts / "model").is_dir()


def test_without_any_complete_checkpoint_it_begins_again_and_says_so(
    runner: Runner, uninterrupted: Callable[..., tuple[Numbers, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    runner.release_at(4)
    with pytest.raises(Released):
        runner.run(**EVERY_STEP)
    (checkpoint,) = runner.job.dir.checkpoints.iterdir()
    (checkpoint / "optimizer.pt").write_bytes(b"torn")
    (runner.job.dir.checkpoints / ".saving-checkpoint-5").mkdir()
    runner.job.wish(Desired.RUNNING)
    capsys.readouterr()
    runner.run(**EVERY_STEP, save_steps=4)
    assert "no complete checkpoint to go on from, so the training begins again" in capsys.readouterr().out
    numbers, _ = uninterrupted(**EVERY_STEP)
    assert runner.job.series("loss")[-8:] == numbers["loss"]
    assert runner.checkpoints() == ["checkpoint-4", "checkpoint-8"]
    assert all(is_complete(path) for path in runner.job.dir.checkpoints.iterdir()), "the torn one was replaced"


def test_only_the_newest_checkpoints_are_kept_and_all_of_them_are_complete(runner: Runner) -> None:
    runner.run(max_steps=7, save_steps=2, save_total_limit=2)
    assert runner.checkpoints() == ["checkpoint-6", "checkpoint-7"]
    assert [record["step"] for record in runner.job.records("checkpoint")] == [2, 4, 6, 7]
    for checkpoint in runner.job.dir.checkpoints.iterdir():
        assert is_complete(checkpoint)
        assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= set(
            json.loads((checkpoint / MANIFEST).read_text())["files"]
        )


class FullDisk:
    """A disk on which the next `writes` checkpoints find no room while they are written."""

    def __init__(self, patch: pytest.MonkeyPatch, writes: int = 1) -> None:
        self.left = writes
        sync = checkpointing._sync

        def full(path: Path) -> None:
            if path.name == "optimizer.pt" and self.left:
                self.left -= 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            sync(path)

        patch.setattr(checkpointing, "_sync", full)


@pytest.mark.parametrize("step", [3, 4, 8])
def test_a_release_that_finds_no_room_is_refused_and_the_training_goes_on(
    runner: Runner,
    uninterrupted: Callable[..., tuple[Numbers, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    FullDisk(monkeypatch)
    runner.release_at(step)
    runner.run(**EVERY_STEP, save_strategy="no")
    numbers, weights = uninterrupted(**EVERY_STEP)
    assert runner.numbers() == numbers
    assert runner.weights() == weights
    (refused,) = runner.job.records("pause_refused")
    assert refused["request"] == 1
    assert f"The checkpoint of step {step} could not be written: the disk is full at" in refused["error"]
    assert runner.checkpoints() == []
    assert runner.job.records("alert") == runner.job.records("checkpoint") == []


def test_a_checkpoint_in_between_that_finds_no_room_is_an_alert(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch)
    runner.run(max_steps=4, save_steps=2)
    (alert,) = runner.job.records("alert")
    assert (alert["name"], alert["step"]) == ("checkpoint_failed", 2)
    assert alert["message"].endswith("The training goes on.")
    assert [record["step"] for record in runner.job.records("checkpoint")] == [4]
    assert runner.checkpoints() == ["checkpoint-4"]


def test_room_is_looked_at_before_a_checkpoint_is_begun(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([1 << 40, 1 << 40, 1 << 40, 1000])
    monkeypatch.setattr(checkpointing, "free_bytes", lambda folder: next(free))
    runner.run(max_steps=6, save_steps=2)
    (alert,) = runner.job.records("alert")
    assert alert["step"] == 6
    assert "it takes about" in alert["message"]


def test_another_error_while_saving_is_not_hidden(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpointing, "_sync", broken)
    with pytest.raises(OSError, match="Permission denied"):
        runner.run(max_steps=2, save_steps=2)
    assert runner.checkpoints() == []


def test_a_training_whose_result_would_find_no_room_does_not_begin(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_trainlive.training.errors import RecipeError

    monkeypatch.setattr(checkpointing, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(RecipeError, match=r"need \S+ MB, and 1\.0 MB are free") as raised:
        runner.run(max_steps=2)
    assert 'save_strategy "no"' in (raised.value.hint or "")
    assert runner.job.records("segment") == []
