"""Real trainings that go wrong, watched: a Trainer that learns its rows by heart, and one whose weights are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Job


def test_a_real_trainer_is_told_of_overfitting_and_of_a_leap_and_of_nothing_else(in_job: Job, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from jupyter_trainlive import TrainLiveCallback

    class Leap(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step == 40:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.mul_(30.0)

    class Classifier(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            logits = self.layers(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    def train(extra: list[Any], **options: Any) -> None:
        torch.manual_seed(0)
        # Labels that say nothing can only be learned by heart.
        rows = [{"x": torch.randn(16), "labels": int(torch.randint(4, ()))} for _ in range(64)]
        arguments = TrainingArguments(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=16,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **options,
        )
        Trainer(
            Classifier(),
            arguments,
            train_dataset=rows[:32],
            eval_dataset=rows[32:],
            callbacks=[TrainLiveCallback(), *extra],
        ).train()

    train([], max_steps=100, eval_strategy="steps", eval_steps=10, learning_rate=3e-2)
    (overfitting,) = in_job.records("alert")
    assert overfitting["name"] == "overfitting"
    evals = dict(in_job.series("eval_loss"))
    rises = [evals[step] for step in range(overfitting["step"] - 30, overfitting["step"] + 1, 10)]
    assert rises == sorted(rises)
    assert f"{rises[-1]:.4g} at step {overfitting['step']}" in overfitting["message"]

    train([Leap()], max_steps=60, learning_rate=1e-3)
    _, leap = in_job.records("alert")
    assert leap["name"] == "loss_spike"
    assert 41 <= leap["step"] <= 44
