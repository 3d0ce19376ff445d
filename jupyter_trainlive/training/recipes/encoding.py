"""Rows of text become tokens, by task: what is learned, what is only given, what is cut."""

from __future__ import annotations

import bisect
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...protocol.dataset import Completion, Conversation, Labelled, Row, Text
from ...protocol.parameter_rules import CAUSAL, CLASSIFICATION, SEQ2SEQ
from .conversations import Template
from .rows import Rows

#: Rows that a tokenizer is given at once, which it does quicker than one by one, and their characters.
_BATCH = 256
_BATCH_CHARACTERS = 4 << 20

#: Tokens, marks and labels of a row, and whether it was cut.
Coded = tuple[Sequence[int], Sequence[int], Sequence[int], bool]


@dataclass
class Encoded:
    """All usable rows, and what had to be cut or left out."""

    rows: Rows
    #: Rows that were taken as tokens, the unusable among them, and those that were only counted.
    read: int = 0
    counted: int = 0
    truncated: int = 0
    unusable: int = 0

    @property
    def scale(self) -> float:
        """All rows by those that were taken as tokens."""
        return (self.read + self.counted) / self.read if self.read else 1.0


class Encoder:
    """Makes tokens of rows, at most `max_length` each; None: as many as there are, to be packed later."""

    def __init__(
        self,
        tokenizer: Any,
        max_length: int | None,
        *,
        task: str = CAUSAL,
        completion_only: bool = True,
        assistant_only: bool = True,
    ) -> None:
        self.task = task
        self._tokenizer, self._max_length = tokenizer, max_length
        self._completion_only, self._assistant_only = completion_only, assistant_only
        #: The labels that were seen, in the order in which they were.
        self.seen: dict[str | int, int] = {}

    def encode(
        self, rows: Iterable[Row], pause: Callable[[], None] = lambda: None, until: float | None = None
    ) -> Encoded:
        """Rows as tokens; those without anything to learn are left out and counted.

        `pause` is called now and then, and may raise to stop. Behind `until`, of `time.monotonic`, rows are only
        counted. Raises RecipeError where conversations can't be written by the chat template, and what `rows` raise.
        """
        encoded = Encoded(Rows(targets=self.task == SEQ2SEQ))
        batches = _batched(rows)
        for batch in batches:
            pause()
            for ids, marks, labels, cut in self._coded(batch):
                encoded.read += 1
                encoded.truncated += cut
                if self._is_usable(ids, marks, labels):
                    encoded.rows.append(ids, marks, labels)
                else:
                    encoded.unusable += 1
            if until is not None and time.monotonic() > until:
                break
        for batch in batches:
            pause()
            encoded.counted += len(batch)
        return encoded

    def _is_usable(self, ids: Sequence[int], marks: Sequence[int], labels: Sequence[int]) -> bool:
        if self.task != CAUSAL:
            return bool(ids and labels)
        # A first token is predicted from nothing, unless another row comes before it.
        return any(marks if self._max_length is None else itertools.islice(marks, 1, None))

    def _coded(self, batch: Sequence[Row]) -> Iterator[Coded]:
        if self.task == CLASSIFICATION:
            return self._labelled([row for row in batch if isinstance(row, Labelled)])
        if self.task == CAUSAL:
            return self._causal(batch)
        return self._targets([row for row in batch if isinstance(row, Completion)])

    def _causal(self, batch: Sequence[Row]) -> Iterator[Coded]:
        """Texts are tokenized all at once, before the rows are put together of them."""
        begun: list[str] = []
        bare: list[str] = []
        for row in batch:
            if isinstance(row, Text):
                (begun if row.begins else bare).append(row.text)
            elif isinstance(row, Completion):
                begun.append(row.prompt)
                # Apart, so that no token lies across the border: the model begins where the prompt ended.
                bare.append(row.completion)
        begun_ids, bare_ids = iter(self._tokens(begun)), iter(self._tokens(bare, special=False))
        for row in batch:
            if isinstance(row, Text):
                ids = next(begun_ids if row.begins else bare_ids)
                ids = self._ended(ids) if row.ends else self._unended(ids)
                marks: Sequence[int] = b"\1" * len(ids)
            elif isinstance(row, Completion):
                prompt, completion = self._unended(next(begun_ids)), self._ended(next(bare_ids))
                ids = prompt + completion
                marks = (b"\0" if self._completion_only else b"\1") * len(prompt) + b"\1" * len(completion)
            elif isinstance(row, Conversation):
                ids, marks = self._conversation(row)
            else:
                continue
            length = self._max_length or len(ids)
            yield ids[:length], marks[:length], (), len(ids) > length

    def _conversation(self, row: Conversation) -> tuple[list[int], Sequence[int]]:
        template = self._template
        if self._assistant_only and (marked := template.marked_tokens(row.messages)) is not None:
            return marked
        text = template.text(row.messages)
        if not self._assistant_only:
            # The template has written the special tokens already.
            (ids,) = self._tokens([text], special=False)
            return ids, b"\1" * len(ids)
        spans = template.answers(row.messages, text)
        if not getattr(self._tokenizer, "is_fast", False):
            return self._piece_by_piece(text, spans)
        coded = self._tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        marks = bytearray(len(coded["input_ids"]))
        firsts, lasts = zip(*coded["offset_mapping"], strict=True) if marks else ((), ())
        for begin, end in spans:
            # One across the border is learned, or an answer that is part of one token never would be.
            learned = range(bisect.bisect_right(lasts, begin), bisect.bisect_left(firsts, end))
            marks[learned.start : learned.stop] = b"\1" * len(learned)
        return list(coded["input_ids"]), marks

    def _piece_by_piece(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[list[int], Sequence[int]]:
        """For tokenizers that do not tell where a token stands."""
        pieces: list[tuple[str, bytes]] = []
        at = 0
        for begin, end in spans:
            pieces += [(text[at:begin], b"\0"), (text[begin:end], b"\1")]
            at = end
        pieces.append((text[at:], b"\0"))
        pieces = [piece for piece in pieces if piece[0]]
        coded = self._tokens([piece for piece, _ in pieces], special=False)
        marks = b"".join(mark * len(ids) for ids, (_, mark) in zip(coded, pieces, strict=True))
        return list(itertools.chain.from_iterable(coded)), marks

    @property
    def _template(self) -> Template:
        if not hasattr(self, "_made_template"):
            self._made_template = Template(self._tokenizer)
        return self._made_template

    def _labelled(self, batch: Sequence[Labelled]) -> Iterator[Coded]:
        for paired, rows in itertools.groupby(batch, key=lambda row: row.pair is not None):
            group = list(rows)
            texts = [row.text for row in group]
            pairs = [row.pair for row in group] if paired else None
            coded = self._cut(texts, pairs)
            for row, (ids, types, cut) in zip(group, coded, strict=True):
                label = self.seen.setdefault(row.label, len(self.seen))
                yield ids, types, (label,), cut

    def _targets(self, batch: Sequence[Completion]) -> Iterator[Coded]:
        prompts = self._cut([row.prompt for row in batch])
        targets = self._cut([row.completion for row in batch], target=True)
        for (ids, _, cut), (target, _, target_cut) in zip(prompts, targets, strict=True):
            yield ids, (), target, cut or target_cut

    def _cut(
        self, texts: Sequence[str], pairs: Sequence[str | None] | None = None, *, target: bool = False
    ) -> list[tuple[list[int], list[int], bool]]:
        """Tokens with their types, cut so that the special ones at the end stay, and whether they were cut."""

        def tokenize(texts: Sequence[str], pairs: Sequence[str | None] | None, **options: Any) -> Any:
            given = {"text_target": list(texts)} if target else {"text": list(texts)}
            if pairs is not None:
                given["text_pair"] = list(pairs)  # type: ignore[arg-type]
            return self._tokenizer(**given, return_attention_mask=False, verbose=False, **options)

        limit = self._max_length
        coded = tokenize(texts, pairs)
        ids = [list(row) for row in coded["input_ids"]]
        types = [list(row) for row in coded.get("token_type_ids", [()] * len(ids))]
        long = [index for index, row in enumerate(ids) if limit is not None and len(row) > limit]
        if long:
            # Cut by the tokenizer, which knows what has to stay; and without this first try nobody would know of it.
            again = tokenize(
                [texts[index] for index in long],
                None if pairs is None else [pairs[index] for index in long],
                truncation=True,
                max_length=limit,
            )
            for place, index in enumerate(long):
                ids[index] = list(again["input_ids"][place])
                if "token_type_ids" in again:
                    types[index] = list(again["token_type_ids"][place])
        cut = set(long)
        return [(row, types[index], index in cut) for index, row in enumerate(ids)]

    def _tokens(self, texts: Sequence[str], *, special: bool = True) -> list[list[int]]:
        if not texts:
            return []
        coded = self._tokenizer(
            list(texts),
            add_special_tokens=special,
            return_attention_mask=False,
            verbose=False,
        )
        return [list(ids) for ids in coded["input_ids"]]

    def _ended(self, ids: list[int]) -> list[int]:
        end = self._tokenizer.eos_token_id
        return ids if end is None or (ids and ids[-1] == end) else [*ids, end]

    def _unended(self, ids: list[int]) -> list[int]:
        """Some tokenizers end every text; here more is to come."""
        end = self._tokenizer.eos_token_id
        return ids[:-1] if end is not None and ids and ids[-1] == end else ids


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += _characters(row)
        if len(batch) >= _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _characters(row: Row) -> int:
    if isinstance(row, Completion):
        return len(row.prompt) + len(row.completion)
    if isinstance(row, Conversation):
        return sum(len(content) for _, content in row.messages)
    return len(row.text)
