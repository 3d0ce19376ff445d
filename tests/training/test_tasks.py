"""Classification and sequence to sequence, with tiny models made on the spot; further arguments of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.parameters import ParameterError, validate
from jupyter_trainlive.protocol.recipe_inputs import check_inputs
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.example import paragraphs
from jupyter_trainlive.training.recipes.arguments import make_arguments
from jupyter_trainlive.training.recipes.models import load_config

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
    with pytest.raises(RecipeError, match=r"task seq2seq is not what model_name .* is for, a decoder") as raised:
        tune(task="seq2seq", dataset_path=str(data(rows=40, form="prompt")))
    assert raised.value.hint == 'Set task="causal-lm", or give an encoder-decoder model.'
    assert raised.value.field == "task"


@pytest.mark.parametrize(
    ("config", "task", "instead"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "causal-lm", "sequence-classification"),
        ({"model_type": "bert", "architectures": ["BertModel"]}, "seq2seq", "sequence-classification"),
        ({"model_type": "bert", "is_decoder": True}, "causal-lm", None),
        ({"model_type": "bert"}, "sequence-classification", None),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "causal-lm", "seq2seq"),
        ({"model_type": "bart", "architectures": ["BartModel"]}, "causal-lm", "seq2seq"),
        ({"model_type": "bart", "architectures": ["BartForCausalLM"]}, "causal-lm", None),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "seq2seq", "causal-lm"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "causal-lm", None),
        ({"model_type": "of_tomorrow"}, "seq2seq", None),
        ({}, "causal-lm", None),
    ],
)
def test_a_config_tells_the_task_where_that_is_certain(
    tmp_path: Path, config: dict[str, Any], task: str, instead: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    rows = {"causal-lm": {"text": "a"}, "seq2seq": {"prompt": "a", "completion": "b"}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows.get(task, {"text": "a", "label": "b"})))
    values = validate({"model_name": ".", "dataset_path": "rows.jsonl", "task": task})
    if instead is None:
        check_inputs(values, tmp_path)
        return
    with pytest.raises(ParameterError, match=f'set task="{instead}"') as raised:
        check_inputs(values, tmp_path)
    assert raised.value.field == "task"


@pytest.mark.parametrize(("kind", "instead"), [("bert", "sequence-classification"), ("t5", "seq2seq")])
def test_what_is_no_decoder_is_not_trained_as_one(tmp_path: Path, kind: str, instead: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(RecipeError, match="task causal-lm is not") as raised:
        load_config(str(tmp_path), "causal-lm")
    assert f'Set task="{instead}"' in (raised.value.hint or "")


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


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        ({"use_liger_kernel": True}, "use_liger_kernel", "pip install liger-kernel"),
        ({"accelerator_config": {"nope": 1}}, "accelerator_config", "Known are"),
        ({"lr_scheduler_type": "cosine", "lr_scheduler_kwargs": {"num_cycles": "q"}}, "lr_scheduler_kwargs", "cosine"),
        ({"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"a": 1}}, "lr_scheduler_kwargs", "Leave it out"),
        (
            {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": "no"}},
            "gradient_checkpointing_kwargs",
            "true or false",
        ),
        ({"tf32": True}, "tf32", "Leave tf32 out"),
    ],
)
def test_objects_that_a_training_can_not_use_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], field: str, text: str
) -> None:
    import importlib.util

    if field == "use_liger_kernel":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError) as raised:
        make_arguments(validate({"model_name": "m", "dataset_path": "d", **more}), tmp_path)
    assert raised.value.field == field
    assert text in f"{raised.value} {raised.value.hint}"


def test_a_schedule_takes_what_is_its_own(tmp_path: Path) -> None:
    given = {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 1}}
    more = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    make_arguments(validate({"model_name": "m", "dataset_path": "d", **given, **more}), tmp_path)
