"""From parameters to the rows of a Trainer: where they come from, how they are split, what is said of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.jobs.errors import InvalidRequest
from jupyter_trainlive.protocol.dataset import DatasetError
from jupyter_trainlive.protocol.parameters import ParameterError, validate
from jupyter_trainlive.protocol.recipe_inputs import check_inputs
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recipes.data import Prepared, prepare
from jupyter_trainlive.training.recipes.rows import Rows


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


@pytest.fixture
def prepared(tokenizer: Any, tmp_path: Path) -> Callable[..., Prepared]:
    def make(rows: Any = None, *, limit: int = 100, seconds: float | None = None, **given: Any) -> Prepared:
        """`rows`: a list to write as JSON Lines, or None where `given` says the path."""
        if rows is not None:
            given["dataset_path"] = str(write(tmp_path / "rows.jsonl", rows))
        return prepare(validate({"model_name": "m", **given}), tokenizer, limit, seconds=seconds)

    return make


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts(tokenizer: Any, rows: Rows) -> list[str]:
    return [tokenizer.decode(row.ids).removesuffix("<|end|>") for row in rows]


def numbered(count: int) -> list[dict[str, str]]:
    return [{"text": f"row {number}"} for number in range(count)]


def test_an_eval_split_is_drawn_by_the_seed_and_samples_are_the_first(
    tokenizer: Any, prepared: Callable[..., Prepared]
) -> None:
    whole = prepared(numbered(40), eval_split=0.25)
    train, evaluation = texts(tokenizer, whole.train), texts(tokenizer, whole.evaluation)
    assert (whole.rows, whole.eval_rows) == (len(train), len(evaluation)) == (30, 10)
    assert sorted(train + evaluation) == sorted(row["text"] for row in numbered(40))
    again, other = prepared(numbered(40), eval_split=0.25), prepared(numbered(40), eval_split=0.25, seed=1)
    assert again.fingerprint == whole.fingerprint
    assert texts(tokenizer, again.evaluation) == evaluation
    assert other.fingerprint != whole.fingerprint
    # No more is read than is needed, so what comes later may be broken.
    few = prepared([*numbered(12), {"broken": 1}], eval_split=0.25, max_train_samples=9)
    assert (few.rows, few.eval_rows) == (9, 3)
    fewer = prepared([*numbered(10), {"broken": 1}], eval_split=0.25, max_train_samples=9, max_eval_samples=1)
    assert (fewer.rows, fewer.eval_rows) == (9, 1)
    assert prepared(numbered(120), eval_split=0.07, max_train_samples=93).rows == 93
    kept = prepared(numbered(40), eval_split=0.5, max_eval_samples=2)
    assert (kept.rows, kept.eval_rows) == (38, 2)
    with pytest.raises(RecipeError, match=r"eval_split 0\.9 leaves no row of 3"):
        prepared(numbered(3), eval_split=0.9)


def test_rows_to_evaluate_on_come_from_their_own_file(
    tokenizer: Any, prepared: Callable[..., Prepared], tmp_path: Path
) -> None:
    own = tmp_path / "own.csv"
    own.write_text("text\none\ntwo\nthree\n")
    data = prepared(numbered(5), eval_dataset_path=str(own), max_train_samples=4, max_eval_samples=2)
    assert texts(tokenizer, data.train) == [row["text"] for row in numbered(4)]
    assert texts(tokenizer, data.evaluation) == ["one", "two"]
    own.write_text("id,text\n1,\n")
    with pytest.raises(DatasetError, match=r"own\.csv, row 1 \(line 2\)") as raised:
        prepared(numbered(5), eval_dataset_path=str(own))
    assert raised.value.field == "eval_dataset_path"


def test_a_folder_of_text_is_packed_and_other_rows_when_asked(
    tokenizer: Any, prepared: Callable[..., Prepared], tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("a.txt", "b.md"):
        (folder / name).write_text(f"This is the text of {name}. " * 10)
    data = prepared(dataset_path=str(folder), limit=20)
    assert (data.packed, data.rows, data.truncated, len(data.train)) == (True, 2, 0, -(-data.train.tokens // 20))
    assert "".join(tokenizer.decode(row.ids) for row in data.train).count("<|end|>") == 2
    assert any("packed into" in line for line in data.summary(20))
    cut = prepared(dataset_path=str(folder), packing=False, limit=20)
    assert (cut.packed, len(cut.train), cut.truncated) == (False, 2, 2)
    (warning,) = cut.warnings
    assert "2 of 2 rows are cut at 20 tokens" in warning
    assert "packing" in warning
    with pytest.raises(RecipeError, match="nothing to learn"):
        prepared([{"prompt": "long " * 90, "completion": "x"}], packing=True, completion_only_loss=True, limit=1)
    split = prepared(numbered(40), packing=True, eval_split=0.25, limit=16)
    assert (split.rows, split.eval_rows) == (30, 10)
    assert (split.train.tokens + split.evaluation.tokens) == prepared(numbered(40)).train.tokens
    assert split.warnings == ()


def test_labels_have_numbers_that_do_not_depend_on_the_order(prepared: Callable[..., Prepared], tmp_path: Path) -> None:
    rows = [{"text": "a", "label": label} for label in (10, 2, 10, 2, 2)]
    task = {"task": "sequence-classification"}
    data = prepared(rows, **task)
    assert data.labels == ("2", "10")
    assert [row.labels[0] for row in data.train] == [1, 0, 1, 0, 0]
    assert prepared(rows[::-1], **task).labels == data.labels
    own = write(tmp_path / "own.jsonl", [{"t": "a", "l": "pos"}, {"t": "a", "l": "odd"}])
    mapping = {"text": "t", "label": "l"}
    named = [{"t": "a", "l": label} for label in ("pos", "neg", "pos")]
    data = prepared(named, **task, column_mapping=mapping, eval_dataset_path=str(own))
    assert data.labels == ("neg", "odd", "pos")
    assert [row.labels[0] for row in data.train] == [2, 0, 2]
    assert [row.labels[0] for row in data.evaluation] == [2, 1]
    assert data.warnings == ("No row to train on has the label odd, which occurs in the evaluation.",)
    split = prepared(rows * 4, **task, eval_split=0.5)
    assert {row.labels[0] for row in split.train} | {row.labels[0] for row in split.evaluation} == {0, 1}
    with pytest.raises(RecipeError, match="have the label 2") as raised:
        prepared(rows[3:], **task)
    assert raised.value.field == "dataset_path"
    every = prepared([{"text": "a", "label": number} for number in range(30)], **task)
    assert "30 different labels in 30 rows" in every.warnings[0]


def test_parquet_gives_the_same_rows_and_names_a_broken_one(
    tokenizer: Any, prepared: Callable[..., Prepared], tmp_path: Path
) -> None:
    import datasets
    import pyarrow
    import pyarrow.parquet

    talk = [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": f"yes {n}"}] for n in range(1200)]
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"talk": talk, "id": list(range(1200))}), path)
    mapping = {"messages": "talk"}
    data = prepared(dataset_path=str(path), column_mapping=mapping)
    same = prepared([{"talk": row} for row in talk], column_mapping=mapping)
    assert data.rows == 1200
    assert data.fingerprint == same.fingerprint
    # The names of labels travel in it, where the package datasets has written it.
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    labelled = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features)
    labelled.to_parquet(str(path))
    data = prepared(dataset_path=str(path), task="sequence-classification")
    assert (data.labels, [row.labels[0] for row in data.train]) == (("no", "yes"), [1, 0])
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", None], "x": [1, 2]}), path)
    with pytest.raises(DatasetError, match='row 2: "text" must be a string, not null'):
        prepared(dataset_path=str(path))
    pyarrow.parquet.write_table(pyarrow.table({"txt": ["a"], "x": [1]}), path)
    with pytest.raises(DatasetError, match='row 1: has only "txt", "x"'):
        prepared(dataset_path=str(path))
    path.write_bytes(path.read_bytes()[:40] + b"PAR1")
    with pytest.raises(DatasetError, match="can't be read as Parquet"):
        prepared(dataset_path=str(path))


def test_a_dataset_of_the_hub_is_read_by_its_splits(
    prepared: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    for split, labels in (("train", [1, 0, 1]), ("test", [0, -1])):
        rows = {"text": ["a"] * len(labels), "label": labels}
        datasets.Dataset.from_dict(rows, features).to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    load, asked = datasets.load_dataset, []

    def load_from_here(name: str, config: str | None, *, split: str) -> Any:
        asked.append((name, config, split))
        return load(str(folder), config, split=split)

    # There is no hub here, but its own reader is.
    monkeypatch.setattr(datasets, "load_dataset", load_from_here)
    hub = {"dataset_path": "owner/data", "task": "sequence-classification"}
    data = prepared(**hub, dataset_test_split="test[:1]")
    assert asked == [("owner/data", None, "train"), ("owner/data", None, "test[:1]")]
    assert (data.rows, data.eval_rows, data.labels) == (3, 1, ("no", "yes"))
    assert [row.labels[0] for row in data.train] == [1, 0, 1]
    with pytest.raises(DatasetError, match=r'owner/data \(test\), row 2: "label" is null'):
        prepared(**hub, dataset_train_split="test")
    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(RecipeError, match=r"dataset_path owner/nothing-there can't be loaded") as raised:
        prepared(dataset_path="owner/nothing-there")
    assert "needs the network" in (raised.value.hint or "")


@pytest.mark.parametrize(("package", "name"), [("pyarrow", "rows.parquet"), ("datasets", "owner/data")])
def test_a_missing_package_is_named_with_the_line_to_install_it(
    prepared: Callable[..., Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    (tmp_path / "rows.parquet").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecipeError, match=f"{package} is missing") as raised:
        prepared(dataset_path=name)
    assert f"pip install {package}" in (raised.value.hint or "")


def test_what_stops_and_what_is_only_estimated(
    tokenizer: Any, prepared: Callable[..., Prepared], tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    def pause() -> None:
        raise Stop

    path = write(tmp_path / "many.jsonl", numbered(2000))
    values = validate({"model_name": "m", "dataset_path": str(path), "eval_split": 0.1})
    with pytest.raises(Stop):
        prepare(values, tokenizer, 100, pause)
    data = prepared(numbered(2000), eval_split=0.1, seconds=0.0)
    assert data.estimated
    assert (data.rows + data.eval_rows, data.scale) == (2000, 2000 / 256)
    assert len(data.train) < 256
    assert not prepared(numbered(300)).estimated
    with pytest.raises(RecipeError, match="no row with a token to learn") as raised:
        prepared([{"messages": [{"role": "user", "content": "hi"}]}])
    assert "assistant_only_loss" in (raised.value.hint or "")
    most = prepared([*numbered(3), *[{"prompt": "long " * 90, "completion": "x"}] * 2], limit=20)
    assert (most.rows, most.unusable, most.truncated) == (3, 2, 2)
    assert any("nothing to learn in their first 20 tokens" in warning for warning in most.warnings)


def test_inputs_are_placed_and_looked_at_before_anything_starts(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", numbered(3))
    (tmp_path / "evaluation.csv").write_text("text\na\n")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    checkpoint = tmp_path / "checkpoint-5"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")

    def check(**given: Any) -> dict[str, Any]:
        return check_inputs(validate({"model_name": str(model), "dataset_path": "rows.jsonl", **given}), tmp_path)

    checked = check(eval_dataset_path="evaluation.csv")
    assert checked["dataset_path"] == str(tmp_path / "rows.jsonl")
    assert checked["eval_dataset_path"] == str(tmp_path / "evaluation.csv")
    assert validate(checked) == checked
    assert (
        check(dataset_path="owner/data", dataset_config="c", dataset_test_split="test")["dataset_path"] == "owner/data"
    )
    refused: list[tuple[dict[str, Any], str, str]] = [
        ({"eval_dataset_path": "nowhere.csv"}, "eval_dataset_path", "nowhere.csv: does not exist"),
        ({"task": "seq2seq"}, "dataset_path", 'rows.jsonl, line 1: has no "prompt"'),
        ({"dataset_train_split": "train"}, "dataset_train_split", "dataset_path, which is on this machine"),
        ({"dataset_config": "c"}, "dataset_config", "dataset_path, which is on this machine"),
        ({"dataset_test_split": "test"}, "dataset_test_split", "set eval_split instead"),
        ({"eval_dataset_path": "owner/data"}, "dataset_test_split", "which split of eval_dataset_path"),
        (
            {"dataset_path": "a/b", "eval_dataset_path": "rows.jsonl", "dataset_test_split": "t"},
            "dataset_test_split",
            "with eval_dataset_path, which is on this machine",
        ),
        ({"dataset_path": "texts", "column_mapping": {"text": "t"}}, "column_mapping", "plain text without columns"),
        ({"resume_from_checkpoint": "nowhere"}, "resume_from_checkpoint", "does not exist"),
        ({"resume_from_checkpoint": "texts"}, "resume_from_checkpoint", "has no trainer_state.json"),
        ({"resume_from_checkpoint": "checkpoint-5"}, "resume_from_checkpoint", "has no weights"),
        ({"model_name": "./nowhere"}, "model_name", "does not exist"),
    ]
    for given, field, text in refused:
        with pytest.raises(ParameterError) as raised:
            check(**given)
        assert raised.value.field == field
        assert text in str(raised.value)
    (checkpoint / "adapter_model.safetensors").touch()
    assert check(resume_from_checkpoint="checkpoint-5")["resume_from_checkpoint"] == str(checkpoint)


def test_a_checkpoint_that_does_not_fit_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    for name in ("model", "whole", "adapter"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "llama", "hidden_size": 64}')
        (tmp_path / name / "trainer_state.json").write_text('{"global_step": 5}')
        (tmp_path / name / "model.safetensors").touch()
    (tmp_path / "adapter" / "adapter_config.json").write_text('{"r": 8, "target_modules": ["q_proj"]}')

    def check(**given: Any) -> None:
        check_inputs(validate({"model_name": "model", "dataset_path": "rows.jsonl", **given}), tmp_path)

    adapter, whole = {"resume_from_checkpoint": "adapter"}, {"resume_from_checkpoint": "whole"}
    check(**whole)
    check(**adapter, use_peft=True, lora_r=8)
    refused: list[tuple[dict[str, Any], str]] = [
        (adapter, "holds an adapter; set use_peft=True"),
        ({**whole, "use_peft": True}, "holds a whole model and no adapter; leave out use_peft"),
        ({**adapter, "use_peft": True}, "holds an adapter of lora_r 8, not 16; set lora_r=8"),
        ({**adapter, "use_peft": True, "lora_r": 8, "lora_target_modules": ["v_proj"]}, "of the modules q_proj"),
        ({**whole, "max_steps": 5}, "has 5 steps behind it, and this training has only 5; raise max_steps"),
    ]
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "config.json").write_text('{"model_type": "llama", "hidden_size": 128}')
    refused.append(({**whole, "model_name": "wide"}, "its hidden_size is 64, not 128"))
    for given, text in refused:
        with pytest.raises(ParameterError) as raised:
            check(**given)
        assert raised.value.field == "resume_from_checkpoint"
        assert text in str(raised.value)


def test_messages_without_a_chat_template_are_refused_before_they_are_queued(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": messages}))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    values = validate({"model_name": ".", "dataset_path": "rows.jsonl"})
    with pytest.raises(ParameterError, match="has rows with messages, but the tokenizer") as raised:
        check_inputs(values, tmp_path)
    assert raised.value.field == "dataset_path"
    assert str(InvalidRequest(raised.value.field, str(raised.value))).count("dataset_path") == 1
    (tmp_path / "chat_template.jinja").touch()
    check_inputs(values, tmp_path)
