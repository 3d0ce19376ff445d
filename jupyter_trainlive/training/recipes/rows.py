"""Rows as tokens in flat memory, and batches of them.

A row as objects of its own would take a hundred bytes besides its tokens, and processes that make batches would
copy all of it one by one, because looking at an object writes to it.
"""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from ...protocol.parameter_rules import CAUSAL, CLASSIFICATION

if TYPE_CHECKING:
    import torch

#: What torch's cross entropy leaves out.
IGNORED = -100


@dataclass(frozen=True)
class Tokens:
    """One row: its tokens, a mark for each, and its labels.

    In causal-lm a mark of 1 says that the token is to be learned. In sequence-classification the marks are the token
    types, where the tokenizer has them, and the labels are one number. In seq2seq the labels are the target.
    """

    ids: array[int]
    marks: array[int]
    labels: array[int]

    @property
    def learned(self) -> int:
        """Tokens of a causal-lm row that count in the loss; the first one is predicted from nothing, and never does."""
        return sum(self.marks) - sum(self.marks[:1])


class Ragged:
    """Rows of numbers of different length, one behind the other."""

    def __init__(self, typecode: str) -> None:
        self.flat: array[int] = array(typecode)
        self.ends: array[int] = array("q")

    def append(self, numbers: Sequence[int]) -> None:
        if isinstance(numbers, (bytes, bytearray)):
            self.flat.frombytes(numbers)
        else:
            self.flat.extend(numbers)
        self.ends.append(len(self.flat))

    def __len__(self) -> int:
        return len(self.ends)

    def begin(self, index: int) -> int:
        return self.ends[index - 1] if index else 0

    def __getitem__(self, index: int) -> array[int]:
        return self.flat[self.begin(index) : self.ends[index]]

    def length(self, index: int) -> int:
        return self.ends[index] - self.begin(index)


class Rows(Sequence[Tokens]):
    """All rows, or those that were chosen of them: a dataset as a Trainer takes it."""

    def __init__(self, targets: bool = False) -> None:
        """`targets` says whether the labels are tokens, and not one for each row."""
        self.targets = targets
        self.ids, self.marks, self.labels = Ragged("i"), Ragged("B"), Ragged("i")
        self._chosen: array[int] | None = None

    def append(self, ids: Sequence[int], marks: Sequence[int] = (), labels: Sequence[int] = ()) -> None:
        self.ids.append(ids)
        self.marks.append(marks)
        self.labels.append(labels)

    def select(self, indices: Sequence[int]) -> Rows:
        """Those rows, of the same memory."""
        chosen = Rows(self.targets)
        chosen.ids, chosen.marks, chosen.labels = self.ids, self.marks, self.labels
        chosen._chosen = array("q", (self._place(index) for index in indices))
        return chosen

    def __len__(self) -> int:
        return len(self.ids) if self._chosen is None else len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Tokens: ...

    @overload
    def __getitem__(self, index: slice) -> Rows: ...

    def __getitem__(self, index: int | slice) -> Tokens | Rows:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        place = self._place(range(len(self))[index])
        return Tokens(self.ids[place], self.marks[place], self.labels[place])

    def _place(self, index: int) -> int:
        return index if self._chosen is None else self._chosen[index]

    @property
    def lengths(self) -> array[int]:
        """Tokens of each row; of what is read, not of a target."""
        return array("q", (self.ids.length(self._place(index)) for index in range(len(self))))

    @property
    def tokens(self) -> int:
        """Tokens of all rows, targets included."""
        columns = [self.ids, self.labels] if self.targets else [self.ids]
        if self._chosen is None:
            return sum(len(column.flat) for column in columns)
        return sum(column.length(place) for column in columns for place in self._chosen)

    @property
    def learned_tokens(self) -> int:
        """Tokens that count in the loss; of a classification, its rows."""
        if len(self.labels.flat):
            return sum(self.labels.length(self._place(index)) for index in range(len(self)))
        return sum(row.learned for row in self)

    def largest_token(self) -> int:
        """The largest number of a token, targets included; a model must know so many and one more."""
        columns = [self.ids, self.labels] if self.targets else [self.ids]
        return max(max(column.flat, default=-1) for column in columns)

    def packed(self, length: int) -> Rows:
        """All tokens one behind the other, cut into blocks of `length`; blocks with nothing to learn are left out."""
        blocks = self if self._chosen is None else self._gathered()
        whole = Rows()
        total = len(blocks.ids.flat)
        ends = array("q", [*range(length, total, length), total] if total else [])
        for column, flat in ((whole.ids, blocks.ids.flat), (whole.marks, blocks.marks.flat)):
            column.flat, column.ends = flat, ends
        whole.labels.ends = array("q", bytes(8 * len(ends)))
        useful = [index for index, row in enumerate(whole) if row.learned]
        return whole if len(useful) == len(whole) else whole.select(useful)

    def _gathered(self) -> Rows:
        rows = Rows()
        for row in self:
            rows.append(row.ids, row.marks, row.labels)
        return rows

    def relabel(self, numbers: Sequence[int]) -> None:
        """Take for each label of a classification the number that stands at its place."""
        self.labels.flat = array("i", (numbers[label] for label in self.labels.flat))

    def digest(self) -> str:
        """A digest of all there is in these rows; two runs with the same one learn from the same data."""
        digest = hashlib.blake2b(digest_size=16)
        for column in (self.ids, self.marks, self.labels):
            digest.update(column.flat)
            digest.update(column.ends)
        digest.update(self._chosen if self._chosen is not None else b"all")
        return digest.hexdigest()


def collator(task: str, tokenizer: Any, model: Any = None) -> Callable[[Sequence[Tokens]], dict[str, torch.Tensor]]:
    """What makes batches of rows for a Trainer; it can be pickled.

    `model` is needed for seq2seq with label smoothing alone, which takes the labels away from the model.
    """
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    if task == CAUSAL:
        return functools.partial(collate, pad=pad)
    if task == CLASSIFICATION:
        types = "token_type_ids" in tokenizer.model_input_names
        return functools.partial(collate_labelled, pad=pad, types=types)
    return functools.partial(collate_targets, pad=pad, model=model)


def collate(rows: Sequence[Tokens], pad: int) -> dict[str, torch.Tensor]:
    """A batch, padded on the right to its longest row; without padding and what was given in the loss."""
    import torch

    batch = _inputs(rows, pad)
    marks = _padded([row.marks for row in rows], 0)
    # Predicted from nothing, the first one counts nowhere; here it would count in the number of tokens only.
    marks[:, 0] = 0
    return {**batch, "labels": torch.where(marks == 1, batch["input_ids"], IGNORED)}


def collate_labelled(rows: Sequence[Tokens], pad: int, types: bool) -> dict[str, torch.Tensor]:
    """A batch with one label a row, and the token types where the model wants them."""
    import torch

    batch = _inputs(rows, pad)
    if types:
        batch["token_type_ids"] = _padded([row.marks for row in rows], 0, batch["input_ids"].shape[1])
    batch["labels"] = torch.tensor([row.labels[0] for row in rows])
    return batch


def collate_targets(rows: Sequence[Tokens], pad: int, model: Any = None) -> dict[str, torch.Tensor]:
    """A batch with a target for each row, padded with what the loss leaves out."""
    batch = _inputs(rows, pad)
    batch["labels"] = _padded([row.labels for row in rows], IGNORED)
    if model is not None and hasattr(model, "prepare_decoder_input_ids_from_labels"):
        batch["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    return batch


def _inputs(rows: Sequence[Tokens], pad: int) -> dict[str, torch.Tensor]:
    lengths = [len(row.ids) for row in rows]
    ones = [array("B", b"\1" * length) for length in lengths]
    return {"input_ids": _padded([row.ids for row in rows], pad), "attention_mask": _padded(ones, 0)}


def _padded(rows: Sequence[array[int]], pad: int, width: int = 0) -> torch.Tensor:
    import torch

    width = max(width, *(len(row) for row in rows))
    padded = torch.full((len(rows), width), pad, dtype=torch.long)
    for index, row in enumerate(rows):
        if row:
            kind = torch.uint8 if row.typecode == "B" else torch.int32
            padded[index, : len(row)] = torch.frombuffer(row, dtype=kind)
    return padded
