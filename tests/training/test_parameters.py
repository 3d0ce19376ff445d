"""The recipe's parameters: defaults, and an error that names the field for everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.parameters import (
    PARAMETERS,
    SCHEDULERS,
    ParameterError,
    check_model,
    validate,
)

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
    from transformers import TrainingArguments
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    ours = {"model_name", "dataset_path", "max_length", "eval_split"}
    assert set(PARAMETERS) - ours <= set(TrainingArguments.__dataclass_fields__)
    for choice in SCHEDULERS:
        SchedulerType(choice)
    for choice in ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd"):
        OptimizerNames(choice)


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
