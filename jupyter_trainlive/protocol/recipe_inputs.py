"""What a fine-tune's parameters name on this machine: data, model and checkpoint, looked at before it is queued."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checks import ParameterError, short
from .dataset import CHECK_LIMIT_BYTES, Conversation, DatasetError, Source, check, locate, read_rows
from .json_file import object_in
from .model_names import check_model
from .model_tasks import misfit, read_config
from .parameter_rules import CAUSAL
from .resuming import check_fits

_WEIGHTS = ("*.safetensors", "*.bin", "*.safetensors.index.json", "*.bin.index.json")


def check_inputs(values: Mapping[str, Any], base: Path, limit_bytes: int = CHECK_LIMIT_BYTES) -> dict[str, Any]:
    """What `validate` returned, with absolute paths of what is here; relative ones begin at `base`.

    Reads about the first `limit_bytes` of each file of rows. What comes from the hub is not looked for. Raises
    ParameterError.
    """
    checked = dict(values)
    data = _data("dataset_path", checked, base, limit_bytes)
    evaluation = _data("eval_dataset_path", checked, base, limit_bytes) if checked["eval_dataset_path"] else None
    _check_splits(checked, data, evaluation)
    if data.format in ("text", "folder") and checked["column_mapping"] and evaluation is None:
        raise ParameterError("column_mapping", "has no use with dataset_path, which is plain text without columns")
    checked["model_name"] = check_model(checked["model_name"], base)
    _check_task(checked)
    _check_template(checked, data)
    if checked["resume_from_checkpoint"] is not None:
        checked["resume_from_checkpoint"] = check_checkpoint(checked["resume_from_checkpoint"], base)
        check_fits(Path(checked["resume_from_checkpoint"]), checked)
    return checked


def _data(field: str, values: dict[str, Any], base: Path, limit_bytes: int) -> Source:
    try:
        source = locate(values[field], base)
        values[field] = source.name
        if source.local:
            check(source.name, limit_bytes, task=values["task"], column_mapping=values["column_mapping"])
    except DatasetError as error:
        raise ParameterError(field, str(error)) from None
    return source


def _check_task(values: Mapping[str, Any]) -> None:
    """A model on this machine says in its config.json what it is."""
    name, task = values["model_name"], values["task"]
    found = misfit(read_config(Path(name)), task) if Path(name).is_absolute() else None
    if found is not None:
        what, instead = found
        raise ParameterError(
            "task", f'{task} is not what model_name {short(name)} is for, {what}; set task="{instead}"'
        )


def _check_template(values: Mapping[str, Any], data: Source) -> None:
    """A folder with a tokenizer says in its files whether it has a chat template, which messages need."""
    folder = Path(values["model_name"])
    if values["task"] != CAUSAL or not data.local or data.format == "parquet" or not folder.is_absolute():
        return
    tokenizer = object_in(folder / "tokenizer_config.json")
    if tokenizer is None or tokenizer.get("chat_template") or any(folder.glob("chat_template*")):
        return
    try:
        row = next(read_rows(data.name, task=CAUSAL, column_mapping=values["column_mapping"]), None)
    except DatasetError as error:
        raise ParameterError("dataset_path", str(error)) from None
    if isinstance(row, Conversation):
        raise ParameterError(
            "dataset_path",
            f"has rows with messages, but the tokenizer of model_name {short(values['model_name'])} has no chat "
            "template; use the instruction-tuned variant of the model, or write rows as text or as prompt and "
            "completion",
        )


def _check_splits(values: Mapping[str, Any], data: Source, evaluation: Source | None) -> None:
    """Splits and configurations are of the hub's datasets."""
    of_hub = [source for source in (data, evaluation) if source is not None and not source.local]
    if data.local and values["dataset_train_split"]:
        raise ParameterError("dataset_train_split", "has no use with dataset_path, which is on this machine")
    if values["dataset_config"] and not of_hub:
        raise ParameterError("dataset_config", "has no use with dataset_path, which is on this machine")
    tested = data if evaluation is None else evaluation
    where = "dataset_path" if evaluation is None else "eval_dataset_path"
    if values["dataset_test_split"] and tested.local:
        remedy = "; set eval_split instead, such as 0.1" if evaluation is None else ""
        raise ParameterError("dataset_test_split", f"has no use with {where}, which is on this machine{remedy}")
    if evaluation is not None and not evaluation.local and not values["dataset_test_split"]:
        raise ParameterError("dataset_test_split", "is missing; say which split of eval_dataset_path to evaluate on")


def check_checkpoint(name: str, base: Path | None = None) -> str:
    """The absolute path of a checkpoint that a Trainer wrote; raises ParameterError where it is none."""
    try:
        folder = (base or Path.cwd()) / Path(name).expanduser()
        problem = _lacks(folder)
    except (OSError, RuntimeError, ValueError) as error:
        problem = f"can't be looked at: {getattr(error, 'strerror', None) or error}"
    if problem is not None:
        remedy = "give a folder like checkpoint-500 that a Trainer has written"
        raise ParameterError("resume_from_checkpoint", f"{short(name)} {problem}; {remedy}")
    return str(folder.resolve())


def _lacks(folder: Path) -> str | None:
    if not folder.is_dir():
        return "is a file" if folder.exists() else f"does not exist ({folder})"
    if not (folder / "trainer_state.json").is_file():
        return "has no trainer_state.json"
    if not any(True for pattern in _WEIGHTS for _ in folder.glob(pattern)):
        return "has no weights of a model or an adapter"
    return None
