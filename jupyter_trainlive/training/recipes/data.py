"""From the recipe's parameters to the rows that a Trainer takes: read, encoded, split and packed."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ...protocol.dataset import DatasetError, Row, Source, locate, read_rows, rows_of
from ...protocol.parameter_rules import CAUSAL, CLASSIFICATION
from ..errors import RecipeError
from .encoding import Encoded, Encoder
from .rows import Rows
from .tables import read_hub, read_parquet

_TRAIN_SPLIT = "train"
#: Labels as in a class of its own for every other row are rather ids or texts.
_FEW_LABELS = 20


@dataclass(frozen=True)
class Prepared:
    """Rows to train and to evaluate on, and what there is to say of them."""

    train: Rows
    evaluation: Rows
    #: Names of the labels by number; empty where the task is no classification.
    labels: tuple[str, ...]
    #: Usable rows before they were packed.
    rows: int
    eval_rows: int
    #: Of both.
    truncated: int
    unusable: int
    packed: bool
    warnings: tuple[str, ...] = ()
    #: Whether `seconds` ended before the rows: then the numbers of rows are an estimate, and `train` and `evaluation`
    #: hold only those that were taken as tokens: one in `scale`.
    estimated: bool = False
    scale: float = 1.0
    eval_scale: float = 1.0

    @property
    def many_cut(self) -> bool:
        """Whether so many rows are cut that a warning tells of them."""
        return self.truncated > 0.1 * (self.rows + self.eval_rows)

    @property
    def many_unusable(self) -> bool:
        """Whether so many rows are left out that a warning tells of them."""
        return self.unusable > 0.1 * (self.rows + self.eval_rows + self.unusable)

    @property
    def fingerprint(self) -> str:
        """The same for the same rows, tokenizer and parameters: if it is another, the data is no longer the same."""
        parts = (self.train.digest(), self.evaluation.digest(), *self.labels)
        return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()

    def summary(self, limit: int) -> list[str]:
        """What to print of it; `limit` is that of a row's tokens."""
        tokens = self.train.tokens + self.evaluation.tokens
        lines = [f"{self.rows} rows to train on, {self.eval_rows} to evaluate on, {tokens} tokens in all"]
        if self.packed:
            lines.append(f"packed into {len(self.train)} blocks of at most {limit} tokens")
        if self.labels:
            shown = ", ".join(self.labels[:10]) + (", …" if len(self.labels) > 10 else "")
            lines.append(f"{len(self.labels)} labels: {shown}")
        if self.truncated and not self.many_cut:
            lines.append(f"{self.truncated} rows were cut at {limit} tokens")
        if self.unusable and not self.many_unusable:
            lines.append(f"{self.unusable} rows were left out: nothing to learn in their first {limit} tokens")
        return lines


def prepare(
    values: Mapping[str, Any],
    tokenizer: Any,
    limit: int,
    pause: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> Prepared:
    """Read and encode what checked parameters name; rows take at most `limit` tokens.

    The same parameters and data always give the same rows in the same order. `pause` is called now and then, and may
    raise to stop. After `seconds` of it the rest is only counted. Raises DatasetError, RecipeError and what
    `pause` raises.
    """
    source = _located(values, "dataset_path")
    packed = bool(values["packing"]) if values["packing"] is not None else source.format in ("folder", "text")
    packed = packed and values["task"] == CAUSAL
    encoder = Encoder(
        tokenizer,
        None if packed else limit,
        task=values["task"],
        completion_only=values["completion_only_loss"] is not False,
        assistant_only=values["assistant_only_loss"] is not False,
    )
    until = None if seconds is None else time.monotonic() + seconds
    rows = islice(_read(source, values, "dataset_path", values["dataset_train_split"]), _most(values))
    encoded = encoder.encode(rows, pause, until)
    learned = set(encoder.seen)
    _check_usable(encoded, values)
    train, evaluation, evaluated = encoded.rows, Rows(), None
    if values["eval_split"]:
        train, evaluation = _split(encoded.rows, values)
    elif values["eval_dataset_path"] or values["dataset_test_split"]:
        evaluated = encoder.encode(islice(_evaluation_rows(values), values["max_eval_samples"]), pause, until)
        if not len(evaluated.rows):
            field = "eval_dataset_path" if values["eval_dataset_path"] else "dataset_test_split"
            raise RecipeError(f"{field} has no usable row", "Give longer rows, or raise max_length.", field=field)
        evaluation = evaluated.rows
    labels, warnings = _labels(values, encoder, encoded.rows, None if evaluated is None else evaluated.rows, learned)
    scale, eval_scale = encoded.scale, (evaluated or encoded).scale
    both = [encoded] if evaluated is None else [encoded, evaluated]
    counts = len(train), len(evaluation)
    if packed:
        train, evaluation = train.packed(limit), evaluation.packed(limit)
        _check_blocks(train, evaluation, counts)
    prepared = Prepared(
        train=train,
        evaluation=evaluation,
        labels=labels,
        rows=round(counts[0] * scale),
        eval_rows=round(counts[1] * eval_scale),
        truncated=round(sum(part.truncated * part.scale for part in both)),
        unusable=round(sum(part.unusable * part.scale for part in both)),
        packed=packed,
        warnings=warnings,
        estimated=any(part.counted for part in both),
        scale=scale,
        eval_scale=eval_scale,
    )
    return _with_warnings(prepared, values, limit)


def _located(values: Mapping[str, Any], field: str) -> Source:
    try:
        return locate(values[field])
    except DatasetError as error:
        error.field = field
        raise


def _read(source: Source, values: Mapping[str, Any], field: str, split: str | None) -> Iterator[Row]:
    task, mapping = values["task"], values["column_mapping"]
    try:
        if source.format == "parquet":
            yield from rows_of(read_parquet(Path(source.name), task, mapping, field), source.name, task, mapping)
        elif source.format == "hub":
            split = split or _TRAIN_SPLIT
            found = read_hub(source.name, values["dataset_config"], split, task, mapping, field)
            yield from rows_of(found, f"{source.name} ({split})", task, mapping)
        else:
            yield from read_rows(source.name, task=task, column_mapping=mapping)
    except DatasetError as error:
        error.field = field
        raise


def _evaluation_rows(values: Mapping[str, Any]) -> Iterator[Row]:
    field = "eval_dataset_path" if values["eval_dataset_path"] else "dataset_path"
    return _read(_located(values, field), values, field, values["dataset_test_split"])


def _most(values: Mapping[str, Any]) -> int | None:
    """Rows to read: those to train on, and with an eval_split those that will be kept from it."""
    wanted: int | None = values["max_train_samples"]
    split: float = values["eval_split"]
    if wanted is None or not split:
        return wanted
    most = math.ceil(wanted / (1 - split))
    if values["max_eval_samples"]:
        most = min(most, wanted + int(values["max_eval_samples"]))
    # In numbers that a computer can't carry exactly, one may be missing.
    while most - _kept(most, values) < wanted:
        most += 1
    return most


def _kept(rows: int, values: Mapping[str, Any]) -> int:
    """Of so many rows, those to evaluate on."""
    split: float = values["eval_split"]
    count = math.ceil(rows * split)
    most: int | None = values["max_eval_samples"]
    return count if most is None else min(count, most)


def _split(rows: Rows, values: Mapping[str, Any]) -> tuple[Rows, Rows]:
    """Rows to train on and rows to evaluate on, drawn by the seed."""
    count = _kept(len(rows), values)
    if count >= len(rows):
        raise RecipeError(
            f"eval_split {values['eval_split']:g} leaves no row of {len(rows)} to train on",
            "Lower eval_split or add rows.",
            field="eval_split",
        )
    drawn = random.Random(values["seed"]).sample(range(len(rows)), count)
    chosen = set(drawn)
    train = [index for index in range(len(rows)) if index not in chosen]
    return rows.select(train), rows.select(sorted(chosen))


def _check_usable(encoded: Encoded, values: Mapping[str, Any]) -> None:
    if len(encoded.rows):
        return
    hint = "Give longer rows, or raise max_length."
    if values["task"] == CAUSAL and values["assistant_only_loss"]:
        hint += " Of messages only those of the role assistant are learned, unless assistant_only_loss is false."
    raise RecipeError("dataset_path has no row with a token to learn", hint, field="dataset_path")


def _check_blocks(train: Rows, evaluation: Rows, counts: tuple[int, int]) -> None:
    for blocks, count, what in ((train, counts[0], "train"), (evaluation, counts[1], "evaluate")):
        if count and not len(blocks):
            raise RecipeError(
                f"Packed, the rows to {what} on have nothing to learn", "Give longer rows, or set packing to false."
            )


def _labels(
    values: Mapping[str, Any], encoder: Encoder, train: Rows, evaluation: Rows | None, learned: set[str | int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the labels in an order that does not depend on that of the rows, which take their numbers."""
    if values["task"] != CLASSIFICATION:
        return (), ()
    names = sorted({str(label) for label in encoder.seen}, key=_order)
    if len(names) < 2:
        raise RecipeError(
            f"All rows of dataset_path have the label {names[0]}",
            "A classification needs two different ones; column_mapping says which column is the label.",
            field="dataset_path",
        )
    numbers = {name: number for number, name in enumerate(names)}
    by_seen = [numbers[str(label)] for label in encoder.seen]
    for rows in (train, evaluation):
        if rows is not None:
            rows.relabel(by_seen)
    warnings = []
    never = sorted({str(label) for label in encoder.seen} - {str(label) for label in learned}, key=_order)
    if never:
        shown = ", ".join(never[:5]) + (", …" if len(never) > 5 else "")
        warnings.append(f"No row to train on has the label {shown}, which occurs in the evaluation.")
    if len(names) > max(_FEW_LABELS, len(train) // 2):
        warnings.append(f"There are {len(names)} different labels in {len(train)} rows; is it the right column?")
    return tuple(names), tuple(warnings)


def _order(name: str) -> tuple[int, int, str]:
    """Numbers as numbers, before words."""
    try:
        return 0, int(name), name
    except ValueError:
        return 1, 0, name


def _with_warnings(prepared: Prepared, values: Mapping[str, Any], limit: int) -> Prepared:
    """With what somebody would want to know before three days are over."""
    warnings = list(prepared.warnings)
    if prepared.many_cut:
        most = limit < values["max_length"]
        remedies = [] if most else [f"raise max_length above {limit}"]
        if values["task"] == CAUSAL:
            remedies.append("set packing, which cuts nothing off")
        cut = f"{prepared.truncated} of {prepared.rows + prepared.eval_rows} rows are cut at {limit} tokens"
        if most:
            cut += ", the most that the model takes"
        warnings.append(f"{'; '.join(filter(None, (cut, ' or '.join(remedies))))}.")
    if prepared.many_unusable:
        warnings.append(
            f"{prepared.unusable} rows have nothing to learn in their first {limit} tokens and are left out."
        )
    return replace(prepared, warnings=tuple(warnings))
