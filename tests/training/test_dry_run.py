"""A dry run says what the training then does, and about as much memory as it then takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.parameters import validate
from jupyter_trainlive.training import question
from jupyter_trainlive.training.recipes import memory
from jupyter_trainlive.training.recipes.adapters import attach
from jupyter_trainlive.training.recipes.dry_run import describe
from jupyter_trainlive.training.recipes.models import empty_model, load_config, load_model, load_tokenizer

from .conftest import Job

Tune = Callable[..., dict[str, Any]]
ADAPTERS = {"full": {}, "lora": {"use_peft": True}, "qlora": {"use_peft": True, "load_in_4bit": True}}


def parameters(model: Path, rows: Path, **more: Any) -> dict[str, Any]:
    return {"model_name": str(model), "dataset_path": str(rows), "max_length": 64, **more}


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_it_says_what_the_training_then_does(
    in_job: Job, tune: Tune, model: Path, data: Callable[..., Path], adapter: str
) -> None:
    given = {
        **ADAPTERS[adapter],
        "num_train_epochs": 2,
        "max_steps": -1,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 3,
        "eval_split": 0.2,
    }
    told = describe(parameters(model, data(rows=40), **given), devices=1, seconds=60)
    trainer = tune(dataset_path=str(data(rows=40)), **given)["trainer"]
    assert told["steps"] == trainer.state.max_steps == len(in_job.series("loss"))
    assert (told["rows"], told["eval_rows"]) == (len(trainer.train_dataset), len(trainer.eval_dataset)) == (32, 8)
    assert told["tokens"] == trainer.train_dataset.tokens + trainer.eval_dataset.tokens, "as the log says"
    assert told["steps_per_epoch"] == 3
    trained = sum(part.numel() for part in trainer.model.parameters() if part.requires_grad)
    everything = sum(part.numel() for part in trainer.model.parameters())
    assert (told["trainable_parameters"], told["all_parameters"]) == (trained, everything)
    assert told["truncated_rows"] > 0
    assert any("rows are cut at 64 tokens" in warning for warning in told["warnings"])
    assert told["memory_gb"]["total"] == pytest.approx(sum(told["memory_gb"].values()) / 2)
    assert not told["estimated"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_memory_that_is_told_is_that_of_the_real_model(model: Path, adapter: str) -> None:
    import torch

    values = validate(parameters(model, model, **ADAPTERS[adapter]))
    tokenizer = load_tokenizer(str(model))
    config = load_config(str(model), "causal-lm")
    real, empty = load_model(values, config, tokenizer), empty_model(values, config, tokenizer)
    if values["use_peft"]:
        real, empty = attach(real, values), attach(empty, values)
    told = memory.estimate(empty, values, length=63, vocabulary=config.vocab_size)
    held = sum(part.numel() * part.element_size() for part in real.parameters())
    states = {id(s): s for p in real.parameters() if (s := getattr(p, "quant_state", None)) is not None}.values()
    held += sum(s.absmax.nbytes + s.state2.absmax.nbytes for s in states)
    assert told.model == pytest.approx(held, rel=0.03)
    assert told.gradients == 4 * sum(part.numel() for part in real.parameters() if part.requires_grad)
    assert told.optimizer == 2 * told.gradients

    # What torch really keeps for the backward pass, plus what comes with the loss.
    kept: dict[int, torch.UntypedStorage] = {}
    weights = {part.untyped_storage().data_ptr() for part in real.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage())
        return tensor

    ids = torch.zeros((8, 63), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        real.train()(input_ids=ids, labels=ids)
    logits = 4 * 8 * 63 * config.vocab_size
    assert told.activations == pytest.approx(sum(storage.nbytes() for storage in kept.values()) + 2 * logits, rel=0.3)


def test_what_saves_memory_is_seen_to_save_it(model: Path) -> None:
    def activations(**more: Any) -> float:
        values = validate(parameters(model, model, **more))
        config = load_config(str(model), "causal-lm")
        return memory.estimate(empty_model(values, config, load_tokenizer(str(model))), values, 63, 512).activations

    plain = activations()
    assert activations(gradient_checkpointing=True) < plain
    assert activations(per_device_train_batch_size=16) > 1.8 * plain
    assert activations(bf16=True) < 0.9 * plain


def test_packed_rows_are_told_as_blocks_and_a_checkpoint_by_the_steps_to_go(
    in_job: Job, tune: Tune, model: Path, data: Callable[..., Path]
) -> None:
    tune(max_steps=3, save_steps=2, dataset_path=str(data(rows=40)), packing=True)
    folder = in_job.dir.checkpoints / "checkpoint-2"
    given = {"max_steps": 6, "packing": True, "resume_from_checkpoint": str(folder)}
    notes = " ".join(describe(parameters(model, data(rows=40), **given), devices=1, seconds=60)["warnings"])
    assert re.search(r"Packed, the 40 rows to learn are \d+ blocks of at most 64 tokens", notes)
    assert "4 of the 6 steps are to go" in notes


def test_the_note_of_cut_rows_says_what_can_be_done(model: Path, data: Callable[..., Path]) -> None:
    def note(length: int) -> str:
        long = data(rows=40).with_name("long.jsonl")
        long.write_text('{"text": "' + "help with Python " * 2000 + '"}\n')
        told = describe(parameters(model, long) | {"max_length": length}, devices=1, seconds=60)["warnings"]
        return next(text for text in told if "are cut at" in text)

    assert note(64).endswith("raise max_length above 64 or set packing, which cuts nothing off.")
    assert re.search(r"tokens, the most that the model takes; set packing, which cuts nothing off\.$", note(100_000))


_KWARGS = ("gradient_checkpointing_kwargs", "has nope")


@pytest.mark.parametrize(
    ("more", "field", "text"),
    [
        ({"eval_split": 0.999}, "eval_split", "leaves no row"),
        ({"model_name": "/no/such/model"}, "model_name", "does not exist"),
        ({"dataset_path": "/no/such/rows.jsonl"}, "dataset_path", "does not exist"),
        ({"resume_from_checkpoint": "/no/such/checkpoint"}, "resume_from_checkpoint", "is no folder"),
        ({"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"nope": 1}}, *_KWARGS),
        ({"lr_scheduler_kwargs": {"num_cycles": 2}}, "lr_scheduler_kwargs", "does not fit lr_scheduler_type linear"),
        ({"use_peft": True, "lora_target_modules": ["nope"]}, "lora_target_modules", "does not fit the model"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    model: Path, data: Callable[..., Path], more: dict[str, Any], field: str, text: str
) -> None:
    asked = {"parameters": parameters(model, data(rows=40)) | more, "devices": 1, "seconds": 60}
    error = question._answer(asked)["error"]
    assert error["field"] == field
    assert text in error["message"]


def test_whatever_fails_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_trainlive.training.recipes import dry_run

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(dry_run, "describe", broken)
    error = question._answer({"parameters": {}, "devices": 1, "seconds": 1})["error"]
    assert error == {"field": None, "message": "ZeroDivisionError: division by zero"}
