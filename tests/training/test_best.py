"""The best model, early stopping, and beginning with the checkpoint of another job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.training.control import Released
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recipes.checkpointing import does_not_fit

from .. import tiny_model
from .test_pause import Runner

BEST = 2
STOPPING = {
    "num_train_epochs": 2,
    "eval_strategy": "steps",
    "eval_steps": 1,
    "early_stopping_patience": 2,
    "load_best_model_at_end": True,
    "save_total_limit": 1,
}


@pytest.fixture
def new_runner(
    model: Path, data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Runner]:
    return lambda: Runner(tmp_path_factory.mktemp("jobs"), model, data(rows=40), monkeypatch)


@pytest.fixture
def worse_after_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations say what the tests want of them; all else is a real training."""
    from jupyter_trainlive.training.recipes.trainer import RecipeTrainer

    evaluate = RecipeTrainer.evaluation_loop

    def evaluated(trainer: RecipeTrainer, *args: Any, **kwargs: Any) -> Any:
        output = evaluate(trainer, *args, **kwargs)
        output.metrics["eval_loss"] = 1.0 + abs(trainer.state.global_step - BEST)
        return output

    monkeypatch.setattr(RecipeTrainer, "evaluation_loop", evaluated)


def weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@pytest.mark.usefixtures("worse_after_the_second")
@pytest.mark.parametrize("adapter", [{}, {"use_peft": True}], ids=["full", "lora"])
def test_it_ends_when_it_gets_no_better_with_the_best_model_whatever_came_in_between(
    new_runner: Callable[[], Runner], adapter: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    name = "adapter" if adapter else "model"
    runner = new_runner()
    # How long it has waited, and which checkpoint is the best, go with the checkpoint.
    runner.run_released(3, **STOPPING, **adapter)
    printed = capsys.readouterr().out
    assert "Stopped early at step 4: no better in 2 evaluations" in printed
    assert f"The best model is kept: step {BEST}, loss 1" in printed
    assert [step for step, _ in runner.job.series("eval_loss")] == [1, 2, 3, 4]
    assert runner.checkpoints() == [f"checkpoint-{BEST}", "checkpoint-4"]
    best = weights(runner.job.dir.checkpoints / f"checkpoint-{BEST}")
    assert same(weights(runner.job.dir.artifacts / name), best)
    assert not same(weights(runner.job.dir.checkpoints / "checkpoint-4"), best)

    # Killed while it saved: nothing is left to train, and what is left is the best again.
    runner.run(**STOPPING, **adapter)
    assert runner.job.records("segment")[-1]["step"] == runner.job.records("segment")[-1]["total_steps"] == 4
    assert [step for step, _ in runner.job.series("loss")] == [1, 2, 3, 4]
    assert same(weights(runner.job.dir.artifacts / name), best)


@pytest.mark.usefixtures("worse_after_the_second")
def test_a_release_at_the_step_of_early_stopping_is_finished_afterwards(new_runner: Callable[[], Runner]) -> None:
    runner = new_runner()
    runner.release_at(4)
    with pytest.raises(Released):
        runner.run(**STOPPING)
    runner.job.wish(Desired.RUNNING)
    runner.run(**STOPPING)
    assert [step for step, _ in runner.job.series("loss")] == [1, 2, 3, 4]
    best = runner.job.dir.checkpoints / f"checkpoint-{BEST}"
    assert same(weights(runner.job.dir.artifacts / "model"), weights(best))


def test_a_training_goes_on_from_the_checkpoint_of_another_job(
    new_runner: Callable[[], Runner], tmp_path: Path
) -> None:
    first, second = new_runner(), new_runner()
    first.run(max_steps=4, save_steps=2, eval_strategy="no")
    folder = first.job.dir.checkpoints / "checkpoint-2"
    second.run(max_steps=4, resume_from_checkpoint=str(folder), eval_strategy="no")
    assert second.job.series("loss") == first.job.series("loss")[2:]
    assert second.weights() == first.weights()
    assert [record["step"] for record in second.job.records("segment")] == [2]
    assert second.job.records("alert") == []

    # Other data: it goes on, and says that rows may be learned twice.
    third = new_runner()
    third.run(max_steps=3, resume_from_checkpoint=str(folder), eval_strategy="no", max_train_samples=20)
    (alert,) = third.job.records("alert")
    assert alert["name"] == "data_changed"
    assert [step for step, _ in third.job.series("loss")] == [3]

    (tmp_path / "empty").mkdir()
    for parameters, reason in (
        ({"resume_from_checkpoint": str(tmp_path / "none")}, "is no folder"),
        ({"resume_from_checkpoint": str(tmp_path / "empty")}, "holds no trainer_state.json"),
        (
            {"resume_from_checkpoint": str(folder), "max_steps": 2},
            "has 2 steps behind it, and this training has only 2",
        ),
        ({"resume_from_checkpoint": str(folder), "use_peft": True}, "holds a whole model and no adapter"),
        (
            {"resume_from_checkpoint": str(folder), "model_name": str(tiny_model.make_model(tmp_path / "wide", 128))},
            "its hidden_size is 64, not 128",
        ),
    ):
        runner = new_runner()
        with pytest.raises(RecipeError, match=reason) as raised:
            runner.run(**{"max_steps": 4, **parameters})
        assert raised.value.field == "resume_from_checkpoint"
        assert runner.job.records("segment") == []
    (folder / "optimizer.pt").write_bytes(b"torn")
    with pytest.raises(RecipeError, match="is not complete"):
        new_runner().run(max_steps=4, resume_from_checkpoint=str(folder))


def test_weights_of_other_shapes_are_told_with_both() -> None:
    text = (
        "Error(s) in loading state_dict for X:\n\tsize mismatch for a.b.weight: copying a param with shape "
        "torch.Size([8, 4]) from checkpoint, the shape in current model is torch.Size([16, 4])."
    )
    found = does_not_fit(RuntimeError(text))
    assert found is not None
    assert str(found) == (
        "resume_from_checkpoint does not fit: a.b.weight has the shape [8, 4] there, and [16, 4] in this training"
    )
    assert found.field == "resume_from_checkpoint"
    assert does_not_fit(RuntimeError("CUDA error")) is None


def test_labels_that_are_more_than_a_checkpoint_has_are_told_with_both_shapes(
    new_runner: Callable[[], Runner], tmp_path: Path
) -> None:
    def run(labels: int, **more: Any) -> Runner:
        rows = tmp_path / f"{labels}.jsonl"
        rows.write_text("".join(f'{{"text": "row {n}", "label": "l{n % labels}"}}\n' for n in range(12)))
        runner = new_runner()
        task = {"task": "sequence-classification", "eval_strategy": "no", "eval_split": 0.0}
        runner.run(**{**task, "dataset_path": str(rows), **more})
        return runner

    folder = run(2, max_steps=1, save_steps=1).job.dir.checkpoints / "checkpoint-1"
    with pytest.raises(RecipeError, match=r"\[2, 64\] there, and \[3, 64\] in this training"):
        run(3, max_steps=2, resume_from_checkpoint=str(folder))
