"""Classification and sequence to sequence, with tiny models made on the spot; further arguments of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.parameters import validate
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.example import paragraphs
from jupyter_trainlive.training.recipes.arguments import make_arguments

from .conftest import Job

Tune = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that are easily told apart."""
    path = tmp_path_factory.mktemp("labelled") / "rows.jsonl"
    rows = [
        {"sentence": f"yes yes yes {text[:30]}" if index % 2 else f"no no no {text[:30]}", "sentiment": label}
        for index, text in enumerate(paragraphs()[:60])
        for label in [("negative", "positive")[index % 2]]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def t5(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(folder)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("adapter", [{}, {"use_peft": True, "merge_adapter": True}], ids=["full", "lora"])
def test_a_classifier_learns_its_labels_and_keeps_their_names(
    in_job: Job, tune: Tune, labelled: Path, adapter: dict[str, Any]
) -> None:
    from transformers import pipeline

    left = tune(
        task="sequence-classification",
        dataset_path=str(labelled),
        column_mapping={"text": "sentence", "label": "sentiment"},
        max_steps=30,
        learning_rate=1e-2,
        eval_split=0.2,
        eval_steps=15,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        **adapter,
    )
    steps = [step for step, _ in in_job.series("eval_accuracy")]
    accuracies = [value for _, value in in_job.series("eval_accuracy")]
    assert steps == [15, 30]
    assert max(accuracies) == 1.0
    assert left["trainer"].state.best_metric == 1.0
    classify = pipeline("text-classification", model=str(in_job.dir.artifacts / "model"), device="cpu")
    assert [answer["label"] for answer in classify(["yes yes yes and more of it", "no no no and more of it"])] == [
        "positive",
        "negative",
    ]


def test_an_encoder_and_a_decoder_learn_to_answer(in_job: Job, tune: Tune, t5: Path, data: Callable[..., Path]) -> None:
    from transformers import AutoModelForSeq2SeqLM

    tune(
        task="seq2seq",
        model_name=str(t5),
        dataset_path=str(data(rows=40, form="prompt")),
        max_steps=20,
        learning_rate=1e-2,
        eval_split=0.2,
        label_smoothing_factor=0.1,
    )
    losses = [loss for _, loss in in_job.series("loss")]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])
    assert in_job.series("eval_loss")
    saved = AutoModelForSeq2SeqLM.from_pretrained(in_job.dir.artifacts / "model")
    assert saved.config.decoder_start_token_id == 0


def test_a_model_of_another_task_is_refused_with_the_reason(in_job: Job, tune: Tune, data: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError, match="can't be loaded") as raised:
        tune(task="seq2seq", dataset_path=str(data(rows=40, form="prompt")))
    assert "must be an encoder-decoder model" in (raised.value.hint or "")
    assert raised.value.field == "model_name"


def test_further_arguments_reach_the_trainer_and_strange_ones_are_named(tmp_path: Path) -> None:
    values = validate({"model_name": "m", "dataset_path": "d", "adam_beta2": 0.9, "gradient_checkpointing": True})
    arguments = make_arguments(values, tmp_path)
    assert arguments.adam_beta2 == 0.9
    assert arguments.gradient_checkpointing
    assert arguments.save_total_limit is None, "the store of the recipe sees to it"
    with pytest.raises(RecipeError, match="of_tomorrow is no argument of transformers 5") as raised:
        make_arguments({**values, "of_tomorrow": 1}, tmp_path)
    assert raised.value.field == "of_tomorrow"


def test_an_optimizer_whose_package_is_missing_is_named_with_it(in_job: Job, tune: Tune) -> None:
    with pytest.raises(RecipeError, match="optim galore_adamw can't be used") as raised:
        tune(optim="galore_adamw", optim_target_modules="all-linear", max_steps=1)
    assert "pip install galore-torch" in (raised.value.hint or "")
