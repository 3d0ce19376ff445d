"""LoRA and QLoRA: what is trained, what a checkpoint holds, and what is left of it in the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.checkpoints import is_complete
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recipes import saving

from .conftest import Job

Tune = Callable[..., dict[str, Any]]
LORA = {"use_peft": True, "lora_r": 4}


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("four_bits", [False, True], ids=["lora", "qlora"])
def test_an_adapter_is_trained_saved_and_merged(
    in_job: Job, tune: Tune, model: Path, four_bits: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = (model / "model.safetensors").read_bytes()
    left = tune(
        **LORA,
        load_in_4bit=four_bits,
        merge_adapter=True,
        gradient_checkpointing=True,
        max_steps=12,
        learning_rate=3e-2,
        eval_split=0.1,
        eval_steps=6,
        save_steps=6,
    )
    losses = [loss for _, loss in in_job.series("loss")]
    # Beside weights that are random numbers there is not much to learn.
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.1
    (_, first), (_, last) = in_job.series("eval_loss")
    assert last < first
    assert [record["path"] for record in in_job.records("artifact")] == ["artifacts/adapter", "artifacts/model"]
    assert (model / "model.safetensors").read_bytes() == before

    for checkpoint in in_job.dir.checkpoints.iterdir():
        assert is_complete(checkpoint)
        assert {"adapter_model.safetensors", "adapter_config.json", "optimizer.pt"} <= {
            f.name for f in checkpoint.iterdir()
        }
        assert not list(checkpoint.glob("model*.safetensors")), "the model itself is no part of it"
    trained, everything = left["model"].get_nb_trainable_parameters()
    assert trained < everything / 5
    assert f"{trained:,} parameters are trained, of {everything:,}" in capsys.readouterr().out
    assert all(part.dtype == torch.float32 for part in left["model"].parameters() if part.requires_grad)

    artifacts = in_job.dir.artifacts
    base = AutoModelForCausalLM.from_pretrained(model)
    adapted = PeftModel.from_pretrained(base, artifacts / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(artifacts / "model")
    batch = AutoTokenizer.from_pretrained(artifacts / "adapter")(
        "This is a help text about Python", return_tensors="pt"
    )
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        one, other = (network.eval()(**batch).logits for network in (adapted, merged))
        untouched = AutoModelForCausalLM.from_pretrained(model).eval()(**batch).logits
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(one, untouched, atol=1e-2)
    if four_bits:
        assert left["model"].get_base_model().is_loaded_in_4bit, "what was trained is left as it is"


def test_an_adapter_that_can_not_be_merged_is_not_lost(
    in_job: Job, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> None:
        raise MemoryError("1.5 TiB")

    monkeypatch.setattr(saving, "merged", no_memory)
    with pytest.raises(RecipeError, match=r"The adapter lies in .*/adapter, but it could not be merged: MemoryError"):
        tune(**LORA, merge_adapter=True, max_steps=1, lora_target_modules=["q_proj", "v_proj"])
    assert [path.name for path in in_job.dir.artifacts.iterdir()] == ["adapter"]
    assert [record["path"] for record in in_job.records("artifact")] == ["artifacts/adapter"]
    assert list(in_job.dir.path.glob(".saving*")) == []


def test_what_can_not_be_adapted_is_refused_with_what_could(in_job: Job, tune: Tune) -> None:
    with pytest.raises(RecipeError, match="lora_target_modules does not fit the model") as raised:
        tune(**LORA, lora_target_modules=["query_key_value"])
    assert "q_proj" in (raised.value.hint or "")
    assert raised.value.field == "lora_target_modules"


@pytest.mark.parametrize(
    ("package", "parameters", "remedy"),
    [
        ("peft", {"use_peft": True}, 'pip install "peft'),
        ("bitsandbytes", {"use_peft": True, "load_in_4bit": True}, 'pip install "bitsandbytes'),
    ],
)
def test_a_missing_package_is_named_with_the_line_for_pip(
    in_job: Job,
    tune: Tune,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    parameters: dict[str, Any],
    remedy: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecipeError, match=f"{package} is missing in the environment of the training kernel") as raised:
        tune(**parameters)
    assert remedy in (raised.value.hint or "")
    assert raised.value.field in parameters
