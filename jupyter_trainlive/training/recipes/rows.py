"""Rows of text as tokens with their labels, and batches of them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...protocol.dataset import Completion, Conversation, Row, Text
from ..errors import RecipeError

if TYPE_CHECKING:
    import torch

#: What torch's cross entropy leaves out.
IGNORED = -100


@dataclass(frozen=True)
class Tokens:
    """One row: its token ids, of which the first `given` are read but not learned."""

    ids: array[int]
    given: int = 0

    @property
    def learned(self) -> int:
        """Tokens that count in the loss; the very first one is predicted from nothing, so it never does."""
        return len(self.ids) - max(1, self.given)


@dataclass
class Encoded:
    """All usable rows, and what had to be cut or left out."""

    rows: list[Tokens]
    truncated: int = 0
    unusable: int = 0

    @property
    def tokens(self) -> int:
        return sum(len(row.ids) for row in self.rows)


def encode(rows: Iterable[Row], tokenizer: Any, max_length: int, pause: Callable[[], None]) -> Encoded:
    """Rows as tokens, at most `max_length` each; rows without a token to learn are left out and counted.

    `pause` is called now and then, and may raise to stop. Raises RecipeError where conversations come without
    a chat template for them, DatasetError where the rows' source does.
    """
    encoded = Encoded([])
    for index, row in enumerate(rows):
        if index % 256 == 0:
            pause()
        ids, given = _ids(row, tokenizer)
        encoded.truncated += len(ids) > max_length
        tokens = Tokens(array("i", ids[:max_length]), min(given, max_length))
        if tokens.learned > 0:
            encoded.rows.append(tokens)
        else:
            encoded.unusable += 1
    return encoded


def _ids(row: Row, tokenizer: Any) -> tuple[list[int], int]:
    """Token ids of a row, and how many of the first ones are only given."""
    if isinstance(row, Text):
        return _ended(_plain(tokenizer, row.text), tokenizer), 0
    if isinstance(row, Completion):
        prompt = _plain(tokenizer, row.prompt)
        if prompt and prompt[-1] == tokenizer.eos_token_id:
            # Some tokenizers end every text; the completion is still to come.
            prompt.pop()
        # Apart, so that no token lies across the border: the model begins where the prompt ended.
        completion = list(tokenizer(row.completion, add_special_tokens=False)["input_ids"])
        return prompt + _ended(completion, tokenizer), len(prompt)
    return _conversation(row, tokenizer), 0


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text)["input_ids"])


def _ended(ids: list[int], tokenizer: Any) -> list[int]:
    end = tokenizer.eos_token_id
    return ids if end is None or (ids and ids[-1] == end) else [*ids, end]


def _conversation(row: Conversation, tokenizer: Any) -> list[int]:
    if not tokenizer.chat_template:
        raise RecipeError(
            "dataset_path has rows with messages, but the model's tokenizer has no chat template",
            "Use the instruction-tuned variant of the model, or write rows as text or as prompt and completion.",
        )
    messages = [{"role": role, "content": content} for role, content in row.messages]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:
        raise RecipeError(
            f"dataset_path has a conversation that the model's chat template refuses: {error}",
            "Many templates want roles to alternate between user and assistant, beginning with user.",
        ) from error
    # The template has written the special tokens already.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def collate(rows: Sequence[Tokens], pad: int) -> dict[str, torch.Tensor]:
    """A batch, padded on the right to its longest row; without padding and what was given in the loss."""
    import torch

    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED)
    for index, row in enumerate(rows):
        tokens = torch.tensor(row.ids, dtype=torch.long)
        ids[index, : len(tokens)] = tokens
        mask[index, : len(tokens)] = 1
        labels[index, row.given : len(tokens)] = tokens[row.given :]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
