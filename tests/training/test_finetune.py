"""The recipe, end to end on a tiny model: what it learns, what it leaves, and how it fails."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.dataset import DatasetError
from jupyter_trainlive.training.control import Cancelled
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.watch import NonFiniteLoss

from .conftest import Job

Data = Callable[..., Path]


def artifacts(job: Job) -> list[str]:
    return sorted(path.name for path in job.dir.artifacts.iterdir())


def test_loss_falls_and_the_model_can_be_loaded(
    in_job: Job, tune: Callable[..., None], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tune(max_steps=60, eval_split=0.1, eval_steps=30, save_steps=30, warmup_steps=0.1)
    losses = [loss for _, loss in in_job.series("loss")]
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    (_, first), (_, last) = in_job.series("eval_loss")
    assert last < first
    saved = in_job.dir.artifacts / "model"
    assert [record["path"] for record in in_job.records("artifact")] == ["artifacts/model"]
    assert [record["path"] for record in in_job.records("checkpoint")] == [
        "checkpoints/checkpoint-30",
        "checkpoints/checkpoint-60",
    ]
    phases = in_job.phases()
    assert phases[:3] == ["loading data", "loading model", "training"]
    assert phases[-1] == "saving"

    trained, tokenizer = AutoModelForCausalLM.from_pretrained(saved), AutoTokenizer.from_pretrained(saved)
    before = AutoModelForCausalLM.from_pretrained(model)
    batch = tokenizer("This is a help text about Python", return_tensors="pt")
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        loss, loss_before = (network.eval()(**batch, labels=batch["input_ids"]).loss for network in (trained, before))
    assert loss < loss_before
    printed = capsys.readouterr().out
    assert "90 rows to train on, 10 to evaluate on" in printed
    assert printed.count("cut at 64 tokens") == 1, "told once"


@pytest.mark.parametrize("form", ["prompt", "messages"])
def test_all_forms_of_rows_train(in_job: Job, tune: Callable[..., None], data: Data, form: str) -> None:
    tune(dataset_path=str(data(rows=40, form=form)))
    assert [step for step, _ in in_job.series("loss")] == [1, 2, 3, 4]
    assert artifacts(in_job) == ["model"]


def test_the_same_seed_gives_the_same_losses(in_job: Job, tune: Callable[..., None]) -> None:
    tune(eval_split=0.2, eval_strategy="no", seed=5)
    tune(eval_split=0.2, eval_strategy="no", seed=5)
    losses = [loss for _, loss in in_job.series("loss")]
    assert losses[:4] == losses[4:]
    first, second = in_job.series("eval_loss")
    assert first == second, "with an eval_split there is one evaluation at the end"


def test_bf16_gradient_checkpointing_and_accumulation_work_without_a_gpu(
    in_job: Job, tune: Callable[..., None]
) -> None:
    tune(bf16=True, gradient_checkpointing=True, gradient_accumulation_steps=2, max_steps=2)
    assert len(in_job.series("loss")) == 2


def test_cancelling_stops_in_the_middle_and_leaves_no_model(in_job: Job, tune: Callable[..., None]) -> None:
    def cancel() -> None:
        while len(in_job.series("loss")) < 5:
            time.sleep(0.01)
        in_job.cancel()

    watcher = threading.Thread(target=cancel)
    watcher.start()
    with pytest.raises(Cancelled):
        tune(max_steps=100_000)
    watcher.join()
    assert 5 <= in_job.series("loss")[-1][0] < 1000
    assert artifacts(in_job) == []


def test_a_loss_that_stays_no_number_stops_the_training_where_the_job_wants_it(
    in_job: Job, tune: Callable[..., None]
) -> None:
    in_job.dir.spec_file.write_text('{"stop_on_nan": true, "nan_patience": 2}')
    with pytest.raises(NonFiniteLoss, match="in 2 logs in a row"):
        tune(learning_rate=1e3, optim="sgd", max_grad_norm=0, max_steps=50, save_steps=50)
    assert in_job.series("loss")[-1][0] < 50
    assert artifacts(in_job) == []
    assert in_job.records("checkpoint") == []


def test_one_loss_that_is_no_number_does_not_spoil_those_behind_it(
    in_job: Job, tune: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_trainlive.training.recipes.trainer import RecipeTrainer

    step = RecipeTrainer.training_step

    def one_nan(trainer: RecipeTrainer, *args: Any, **kwargs: Any) -> Any:
        loss = step(trainer, *args, **kwargs)
        return loss * math.nan if trainer.state.global_step == 1 else loss

    monkeypatch.setattr(RecipeTrainer, "training_step", one_nan)
    tune()
    assert [loss == "nan" for _, loss in in_job.series("loss")] == [False, True, False, False]


def test_a_failed_save_leaves_nothing_half_saved(
    in_job: Job, tune: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedTokenizerFast

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", full)
        with pytest.raises(OSError, match="No space"):
            tune(max_steps=1, save_strategy="no")
    assert artifacts(in_job) == []
    assert list(in_job.dir.path.glob(".saving*")) == []


@pytest.mark.parametrize(
    ("parameters", "text", "hint"),
    [
        (
            {"model_name": "no-such-owner/no-such-model"},
            "no-such-owner/no-such-model can't be loaded",
            "HF_TOKEN",
        ),
        ({"eval_split": 0.999}, "eval_split 0.999 leaves no row of 100", "add rows"),
        ({"fp16": True}, "fp16 needs a GPU", "bf16"),
    ],
)
def test_what_can_be_known_before_training_is_said_before(
    in_job: Job,
    tune: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, Any],
    text: str,
    hint: str,
) -> None:
    import huggingface_hub.constants
    import torch

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError) as raised:
        tune(**parameters)
    assert text in str(raised.value)
    assert hint in (raised.value.hint or "")
    assert in_job.records("segment") == []


def test_a_folder_that_holds_no_usable_model(in_job: Job, tune: Callable[..., None], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "no-such-type"}')
    with pytest.raises(RecipeError, match="can't be loaded"):
        tune(model_name=str(broken))


def test_a_broken_row_behind_what_the_server_checked(in_job: Job, tune: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n{"text": 3}\n')
    with pytest.raises(DatasetError, match="line 2"):
        tune(dataset_path=str(path))


def test_a_tokenizer_that_is_not_the_models(
    in_job: Job, tune: Callable[..., None], model: Path, tmp_path: Path
) -> None:
    import shutil

    from transformers import LlamaConfig, LlamaForCausalLM

    folder = shutil.copytree(model, tmp_path / "mixed")
    config = LlamaConfig.from_pretrained(model)
    config.vocab_size = 100
    LlamaForCausalLM(config).save_pretrained(folder)
    with pytest.raises(RecipeError, match="knows only 100"):
        tune(model_name=str(folder))


def test_the_saved_model_keeps_its_cache_and_nothing_is_told_of_kernels(
    in_job: Job, tune: Callable[..., None], model: Path
) -> None:
    saved = in_job.dir.artifacts / "model"
    tune(max_steps=1)
    before, after = (json.loads((folder / "config.json").read_bytes()) for folder in (model, saved))
    assert after.get("use_cache") == before.get("use_cache")
    told = logging.LogRecord("x", logging.WARNING, "", 1, "Failed to load CPU gemm_4bit_forward from …", (), None)
    assert not logging.getLogger("bitsandbytes.backends.cpu.ops").filter(told)
