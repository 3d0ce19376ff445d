"""Rows of Parquet files and of the hub's datasets, which need packages of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...protocol.data_files import Found
from ...protocol.dataset import DatasetError
from ...protocol.parameter_rules import COLUMNS
from ..errors import RecipeError

_ROWS = 500


def read_parquet(path: Path, task: str, column_mapping: Mapping[str, str] | None, field: str) -> Iterator[Found]:
    """Number and columns of each row, a few hundred rows at a time. Raises DatasetError and RecipeError."""
    try:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]
        import pyarrow.parquet  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise _missing("pyarrow", field, "a Parquet file") from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            wanted = _wanted(list(schema.names), task, column_mapping)
            labels = _label_names_in(schema.metadata)
            # A dot in a name would mean a column within a column.
            columns = None if wanted is None or any("." in name for name in wanted) else wanted
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield None, number, _named(row, labels)
    except (pyarrow.ArrowException, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DatasetError(path, None, f"can't be read as Parquet: {lines[0][:300]}", number or None) from None


def read_hub(
    name: str, config: str | None, split: str, task: str, column_mapping: Mapping[str, str] | None, field: str
) -> Iterator[Found]:
    """Number and columns of each row of a split, downloaded into the cache of `datasets`. Raises RecipeError."""
    try:
        import datasets  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise _missing("datasets", field, "a dataset of the hub") from None
    # Bars are for terminals.
    datasets.disable_progress_bars()
    try:
        data = datasets.load_dataset(name, config, split=split)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise RecipeError(
            f"{field} {name} can't be loaded: {type(error).__name__}: {lines[0][:300]}",
            f"Check {field}, dataset_config and the split ({split}) for typing errors. A dataset of the hub needs the "
            "network, or its files in the cache, and a token (HF_TOKEN) where its owner grants access. For rows on "
            "this machine give the path of a file.",
            field=field,
        ) from error
    wanted = _wanted(list(data.column_names), task, column_mapping)
    if wanted is not None:
        # Or pictures and sounds beside the text would be decoded.
        data = data.select_columns(wanted)
    labels = {
        column: list(feature.names)
        for column, feature in data.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    for begin in range(0, len(data), _ROWS):
        batch: dict[str, list[Any]] = data[begin : begin + _ROWS]
        for offset, cells in enumerate(zip(*batch.values(), strict=True)):
            yield None, begin + offset + 1, _named(dict(zip(batch, cells, strict=True)), labels)


def _missing(package: str, field: str, what: str) -> RecipeError:
    return RecipeError(
        f"{field} is {what}, and {package} is missing in the environment of the training kernel",
        f"Run pip install {package} in that environment, or write the rows as JSON Lines.",
        field=field,
    )


def _wanted(there: Sequence[str], task: str, column_mapping: Mapping[str, str] | None) -> list[str] | None:
    """The columns that the task reads; None (all) where one is not there, so that an error can name what is."""
    mapping = column_mapping or {}
    if task == "causal-lm" and not mapping:
        return [column for column in COLUMNS[task] if column in there] or None
    needed = {
        mapping.get(column, column)
        for column in COLUMNS[task]
        if column in mapping or _belongs(column, task, mapping, there)
    }
    return [name for name in there if name in needed] if needed <= set(there) else None


def _belongs(column: str, task: str, mapping: Mapping[str, str], there: Sequence[str]) -> bool:
    """Whether a column that is not mapped is read by its own name."""
    if column == "text_pair":
        return column in there
    if task == "causal-lm":
        return column in ("prompt", "completion") and bool({"prompt", "completion"} & set(mapping))
    return True


def _label_names_in(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of labels as `datasets` writes them into Parquet files."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: list(feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(row: dict[str, Any], labels: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """With labels by their names; the number -1 says that a row has none."""
    for column, names in labels.items():
        value = row.get(column)
        if isinstance(value, int):
            row[column] = names[value] if 0 <= value < len(names) else None
    return row
