"""The recipe's parameters: defaults, and an error that names the field for everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from packaging.version import Version

from jupyter_trainlive.protocol.contract import schema
from jupyter_trainlive.protocol.model_names import check_model
from jupyter_trainlive.protocol.parameters import (
    GROUPS,
    OPTIMIZERS,
    OWN,
    PARAMETERS,
    SCHEDULERS,
    ParameterError,
    training_arguments,
    validate,
)
from jupyter_trainlive.protocol.training_arguments import FURTHER, INSTEAD, RENAMED, RESERVED

GIVEN = {"model_name": "owner/model", "dataset_path": "/data/rows.jsonl"}


def test_what_is_not_given_has_its_default() -> None:
    values = validate(GIVEN)
    assert list(values) == list(PARAMETERS)
    assert values["num_train_epochs"] == 3.0
    assert values["max_steps"] == -1
    assert values["learning_rate"] == 5e-5
    assert values["max_length"] == 1024
    assert values["eval_strategy"] == "no"
    assert (values["save_strategy"], values["save_steps"]) == ("steps", 500)


def test_null_means_not_given() -> None:
    assert validate({**GIVEN, **dict.fromkeys(("seed", "eval_steps", "max_steps"))}) == validate(GIVEN)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"eval_split": 0.1}, {"eval_strategy": "epoch", "eval_steps": None}),
        ({"eval_split": 0.1, "eval_steps": 50}, {"eval_strategy": "steps", "eval_steps": 50}),
        ({"eval_split": 0.1, "eval_strategy": "no"}, {"eval_strategy": "no"}),
        ({"warmup_steps": 0.1}, {"warmup_steps": 0.1}),
        ({"warmup_steps": 20.0}, {"warmup_steps": 20}),
        ({"seed": 7.0, "max_steps": 5}, {"seed": 7, "max_steps": 5}),
        ({"save_strategy": "epoch"}, {"save_steps": None}),
        ({"save_steps": 0.25}, {"save_steps": 0.25}),
        ({"eval_dataset_path": "e.csv"}, {"eval_strategy": "epoch", "save_strategy": "steps"}),
        ({"dataset_test_split": "test", "eval_steps": 5}, {"eval_strategy": "steps"}),
        # What has no use without another is not there.
        ({}, {"lora_r": None, "load_in_4bit": None, "early_stopping_threshold": None, "completion_only_loss": True}),
        ({"use_peft": True}, {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "load_in_4bit": False}),
        ({"use_peft": True, "lora_target_modules": ["q"]}, {"lora_target_modules": ["q"]}),
        ({"merge_adapter": False, "task": "seq2seq", "packing": False}, {"merge_adapter": None, "packing": None}),
        # The best model is one of the checkpoints.
        (
            {"eval_split": 0.1, "load_best_model_at_end": True},
            {"save_strategy": "epoch", "save_steps": None, "metric_for_best_model": "loss", "greater_is_better": False},
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "eval_steps": 20},
            {"save_strategy": "steps", "save_steps": 20},
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "eval_steps": 0.1, "save_steps": 0.3},
            {"save_strategy": "steps", "save_steps": 0.3},
        ),
        (
            {
                "task": "sequence-classification",
                "eval_split": 0.1,
                "early_stopping_patience": 2,
                "metric_for_best_model": "eval_accuracy",
            },
            {
                "metric_for_best_model": "accuracy",
                "greater_is_better": True,
                "early_stopping_threshold": 0.0,
                "save_strategy": "steps",
                "assistant_only_loss": None,
            },
        ),
        # Others of transformers, and their new names.
        ({"adam_beta2": 0.95, "dataloader_num_workers": 2.0}, {"adam_beta2": 0.95, "dataloader_num_workers": 2}),
        ({"activation_checkpointing": True}, {"gradient_checkpointing": True}),
        (
            {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
            {"lr_scheduler_kwargs": {"min_lr": 1e-6}},
        ),
    ],
)
def test_what_follows_is_filled_in_and_valid_again(given: dict[str, Any], expected: dict[str, Any]) -> None:
    values = validate({**GIVEN, **given})
    assert {name: values[name] for name in expected} == expected
    assert validate(values) == values
    for name in expected:
        assert type(values[name]) is type(expected[name])


@pytest.mark.parametrize(
    ("given", "field", "text"),
    [
        ({"learning_rte": 1e-4}, "learning_rte", "did you mean learning_rate?"),
        ({"qwertz": 1}, "qwertz", "known are model_name, dataset_path"),
        ({"warmup_ratio": 0.1}, "warmup_ratio", "did you mean warmup_steps?"),
        ({"model_name": None}, "model_name", "is missing"),
        ({"model_name": " "}, "model_name", "must not be empty"),
        ({"model_name": 3}, "model_name", "must be a string, not a int"),
        ({"dataset_path": "a\0b"}, "dataset_path", "zero character"),
        ({"learning_rate": "1e-4"}, "learning_rate", "must be a number, not a string"),
        ({"learning_rate": 0}, "learning_rate", "must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate", "finite"),
        ({"learning_rate": True}, "learning_rate", "must be a number, not a boolean"),
        ({"num_train_epochs": -1}, "num_train_epochs", "must be above 0"),
        ({"max_steps": 0}, "max_steps", "-1"),
        ({"max_steps": -2}, "max_steps", "must be at least -1"),
        ({"max_steps": 10**400}, "max_steps", "finite"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size", "must be at least 1"),
        ({"per_device_train_batch_size": 1.5}, "per_device_train_batch_size", "whole number"),
        ({"gradient_accumulation_steps": [1]}, "gradient_accumulation_steps", "not a list"),
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type", "must be one of linear, cosine"),
        ({"lr_scheduler_type": ["linear"]}, "lr_scheduler_type", "must be one of"),
        ({"warmup_steps": -1}, "warmup_steps", "a share of them"),
        ({"warmup_steps": 1.5}, "warmup_steps", "a share of them"),
        ({"weight_decay": -0.1}, "weight_decay", "at least 0"),
        ({"bf16": 1}, "bf16", "must be true or false"),
        ({"bf16": True, "fp16": True}, "fp16", "choose one"),
        ({"max_length": 1}, "max_length", "must be at least 2"),
        ({"eval_split": 1}, "eval_split", "below 1"),
        ({"eval_split": -0.1}, "eval_split", "at least 0"),
        ({"eval_steps": 10}, "eval_steps", "set eval_split"),
        ({"eval_strategy": "epoch"}, "eval_strategy", "set eval_split"),
        ({"eval_split": 0.1, "eval_strategy": "steps"}, "eval_steps", "is missing"),
        ({"eval_split": 0.1, "eval_strategy": "epoch", "eval_steps": 5}, "eval_steps", "no use"),
        ({"save_strategy": "no", "save_steps": 5}, "save_steps", "no use"),
        ({"save_strategy": "best"}, "save_strategy", "must be one of"),
        ({"save_total_limit": 0}, "save_total_limit", "must be at least 1"),
        ({"seed": -1}, "seed", "must be at least 0"),
        ({"seed": 2**32}, "seed", "must be at most 4294967295"),
        ({"task": "chat"}, "task", "must be one of causal-lm, sequence-classification, seq2seq"),
        ({"dataset_path": "a\ud800"}, "dataset_path", "no valid Unicode"),
        ({"column_mapping": "text"}, "column_mapping", "must be an object"),
        ({"column_mapping": {"text": 3}}, "column_mapping", "of 'text' must be a string"),
        ({"column_mapping": {"label": "l"}}, "column_mapping", "with task causal-lm the columns are text, prompt"),
        ({"column_mapping": {"text": "a", "prompt": "b"}}, "column_mapping", "mixes prompt and completion with text"),
        ({"column_mapping": {"prompt": "a", "completion": "a"}}, "column_mapping", "for both prompt and completion"),
        ({"max_train_samples": 0}, "max_train_samples", "at least 1"),
        ({"max_eval_samples": 5}, "max_eval_samples", "set eval_split, such as 0.1, or eval_dataset_path"),
        ({"eval_split": 0.1, "eval_dataset_path": "e"}, "eval_split", "and eval_dataset_path both"),
        ({"eval_split": 0.1, "dataset_test_split": "test"}, "eval_split", "and dataset_test_split both"),
        ({"lora_r": 16}, "lora_r", "has no use without use_peft; remove it, or set use_peft to true"),
        ({"load_in_4bit": True}, "load_in_4bit", "without use_peft"),
        ({"use_peft": True, "lora_target_modules": "q_proj"}, "lora_target_modules", 'a list of names or "all-linear"'),
        ({"use_peft": True, "lora_target_modules": ["a", ""]}, "lora_target_modules", "[1] must not be empty"),
        ({"task": "seq2seq", "packing": True}, "packing", "with task seq2seq; remove it, or set task to causal-lm"),
        ({"early_stopping_threshold": 0.1}, "early_stopping_threshold", "without early_stopping_patience"),
        ({"early_stopping_patience": 3}, "early_stopping_patience", "set eval_split"),
        ({"load_best_model_at_end": True}, "load_best_model_at_end", "set eval_split"),
        ({"eval_split": 0.1, "metric_for_best_model": "loss"}, "metric_for_best_model", "load_best_model_at_end or"),
        (
            {"eval_split": 0.1, "eval_strategy": "no", "load_best_model_at_end": True},
            "eval_strategy",
            '"no" goes against load_best_model_at_end',
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "metric_for_best_model": "accuracy"},
            "metric_for_best_model",
            "with task sequence-classification only",
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "greater_is_better": True},
            "greater_is_better",
            "against metric_for_best_model loss",
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "save_steps": 100},
            "save_strategy",
            '"steps" and eval_strategy "epoch" must be the same',
        ),
        (
            {"eval_split": 0.1, "load_best_model_at_end": True, "eval_steps": 30, "save_steps": 100},
            "save_steps",
            "100 must be a multiple of eval_steps 30",
        ),
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type", "set eval_split"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "lr_scheduler_type", "with num_decay_steps"),
        ({"lr_scheduler_kwargs": {"x": float("nan")}}, "lr_scheduler_kwargs", "what JSON can carry"),
        ({"optim": "galore_adamw"}, "optim_target_modules", "is missing"),
        ({"optim_target_modules": ["a"]}, "optim_target_modules", "with optim adamw_torch"),
        ({"dataloader_prefetch_factor": 2}, "dataloader_prefetch_factor", "without dataloader_num_workers"),
        ({"gradient_checkpointing_kwargs": {}, "gradient_checkpointing": 1}, "gradient_checkpointing", "true or false"),
        (
            {"gradient_checkpointing_kwargs": {"a": 1}},
            "gradient_checkpointing_kwargs",
            "without gradient_checkpointing",
        ),
        ({"activation_checkpointing": True, "gradient_checkpointing": False}, "activation_checkpointing", "differ"),
        ({"adam_beta1": 1}, "adam_beta1", "below 1"),
        ({"output_dir": "/x"}, "output_dir", "is set by the recipe"),
        ({"hub_token": "secret"}, "hub_token", "a token never belongs into a job"),
        ({"deepspeed": {}}, "deepspeed", "launch(…, processes=N)"),
        ({"max_seq_length": 5}, "max_seq_length", "did you mean max_length?"),
        ({"lora_rank": 5}, "lora_rank", "did you mean lora_r"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(ParameterError) as raised:
        validate({**GIVEN, **given})
    assert raised.value.field == field
    assert str(raised.value) == f"{field} {raised.value.message}"
    assert text in raised.value.message


@pytest.mark.parametrize("parameters", [None, [], "model", 3])
def test_parameters_must_be_an_object(parameters: object) -> None:
    with pytest.raises(ParameterError, match="must be an object"):
        validate(parameters)


def test_names_and_choices_are_those_of_the_installed_transformers() -> None:
    import transformers
    from transformers import Seq2SeqTrainingArguments, TrainingArguments
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    known = set(TrainingArguments.__dataclass_fields__)
    assert set(PARAMETERS) - OWN | set(FURTHER) <= known
    # Each is passed on, or refused with a reason; of later versions nobody knows yet.
    if Version(transformers.__version__) < Version("5.25"):
        assert known <= set(PARAMETERS) | set(FURTHER) | set(RESERVED) | set(RENAMED)
    assert set(RESERVED) <= set(Seq2SeqTrainingArguments.__dataclass_fields__)
    assert not set(INSTEAD) & (known | set(PARAMETERS))
    for choice in SCHEDULERS:
        SchedulerType(choice)
    for choice in OPTIMIZERS:
        OptimizerNames(choice)


def test_what_is_passed_on_is_what_transformers_takes(tmp_path: Path) -> None:
    from transformers import TrainingArguments

    given = {
        **GIVEN,
        **{"eval_split": 0.1, "load_best_model_at_end": True, "use_peft": True, "early_stopping_patience": 2},
        **{"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
        **{"adam_beta1": 0.8, "eval_steps": 10, "save_steps": 20, "max_train_samples": 5},
    }
    passed = training_arguments(validate(given))
    assert not set(passed) & OWN
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, **passed)
    assert (arguments.adam_beta1, arguments.save_steps, arguments.metric_for_best_model) == (0.8, 20, "loss")
    assert arguments.greater_is_better is False


#: Of every type, and on both sides of the bounds that there are.
PROBES: tuple[Any, ...] = (
    *(True, False, "", " ", "x", "no", "steps", "linear", "loss", "seq2seq", "all-linear", "spawn"),
    *(-2, -1, 0, 1, 2, 3.0, 1.5, 0.5, 0.999, 1e-9, -1e-9, 1e4, 1e10, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**60),
    *([], ["a"], [""], [1], ["a"] * 1001, {}, {"text": "a"}, {"text": ""}, {"a": "b"}, {"label": "a", "text": "b"}),
)


def test_the_schema_says_what_the_check_says() -> None:
    published = schema("finetune")
    Draft202012Validator.check_schema(published)
    assert published["required"] == ["model_name", "dataset_path"]
    assert list(published["properties"]) == [*PARAMETERS, *FURTHER]
    assert list(dict.fromkeys(p["x-group"] for p in published["properties"].values())) == list(
        dict.fromkeys([PARAMETERS[name].group for name in PARAMETERS] + [GROUPS[-1]])
    )
    assert not Draft202012Validator(published).is_valid({**GIVEN, "learning_rte": 1})
    assert Draft202012Validator(published).is_valid(validate(GIVEN))
    for name, about in published["properties"].items():
        assert about["title"]
        assert about["description"]
        assert about["x-group"] in GROUPS
        check = PARAMETERS[name].check if name in PARAMETERS else FURTHER[name].check
        if "default" in about:
            assert check(about["default"]) == about["default"]
        validator = Draft202012Validator(about)
        assert validator.is_valid(None) is (name not in published["required"])
        for probe in PROBES:
            try:
                check(probe)
                good = True
            except ValueError:
                good = False
            assert validator.is_valid(probe) is good, (name, probe)


def test_a_model_is_a_saved_folder_or_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = tmp_path / "models" / "tiny"
    saved.mkdir(parents=True)
    (saved / "config.json").write_text("{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_model(str(saved)) == str(saved)
    assert check_model("models/tiny", tmp_path) == str(saved)
    assert check_model("./models/tiny", tmp_path) == str(saved)
    assert check_model("~/models/tiny", Path("/")) == str(saved)
    for name in ("gpt2", "HuggingFaceTB/SmolLM2-135M", "a/b.c_d"):
        assert check_model(name, tmp_path) == name
    # A folder that only happens to bear the name of a hub's model.
    (tmp_path / "gpt2").mkdir()
    assert check_model("gpt2", tmp_path) == "gpt2"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/nowhere/model", "does not exist"),
        ("./model", "does not exist"),
        ("~/nowhere/model", "does not exist"),
        ("./empty", "without config.json"),
        ("./file", "is a file"),
        ("a/b/c", "neither a folder here nor a hub id"),
        ("my model", "neither a folder here nor a hub id"),
        ("owner/na--me", "neither a folder here nor a hub id"),
        ("x" * 5000, "model_name"),
    ],
)
def test_what_can_be_no_model_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError) as raised:
        check_model(name, tmp_path)
    assert raised.value.field == "model_name"
    assert text in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"learning_rate": "nan"}, "learning_rate must be a finite number, but is nan"),
        ({"optim_args": "eps=1"}, "optim_args has no use with optim adamw_torch, which takes none; remove it"),
        ({"optim": "sgd", "optim_args": "momentum"}, "must be written as"),
        ({"optim": "sgd", "optim_args": "beta=1"}, "but optim sgd takes momentum"),
        ({"optim": "sgd", "optim_args": "momentum=much"}, "must be a number"),
    ],
)
def test_what_an_optimizer_can_not_use_is_named(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        validate({**GIVEN, **given})
    validate({**GIVEN, "optim": "sgd", "optim_args": "momentum=0.9, nesterov=true"})
