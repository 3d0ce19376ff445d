"""Which part of a conversation, as the chat template writes it, is the assistant's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import RecipeError

#: A template that says itself what the assistant generates.
_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")

Message = tuple[str, str]
Span = tuple[int, int]


class Template:
    """The chat template of a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        chat_template = getattr(tokenizer, "chat_template", None)
        if not chat_template:
            raise RecipeError(
                "dataset_path has rows with messages, but the model's tokenizer has no chat template",
                "Use the instruction-tuned variant of the model, or write rows as text or as prompt and completion.",
                field="dataset_path",
            )
        self._tokenizer = tokenizer
        self.marked = isinstance(chat_template, str) and bool(_MARKED.search(chat_template))

    def text(self, messages: Sequence[Message]) -> str:
        """The whole conversation; raises RecipeError where the template refuses it."""
        try:
            return self._written(messages)
        except Exception as error:
            raise RecipeError(
                f"dataset_path has a conversation that the model's chat template refuses: {error}",
                "Many templates want roles to alternate between user and assistant, beginning with user.",
                field="dataset_path",
            ) from error

    def marked_tokens(self, messages: Sequence[Message]) -> tuple[list[int], list[int]] | None:
        """Tokens and their marks by the template itself; None where it marks nothing."""
        if not self.marked:
            return None
        try:
            written = self._tokenizer.apply_chat_template(
                _listed(messages), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
            )
            ids, marks = list(written["input_ids"]), list(written["assistant_masks"])
        except Exception:  # noqa: BLE001 (then it is found out in the other way, which says what is wrong)
            return None
        return (ids, marks) if any(marks) and len(ids) == len(marks) else None

    def answers(self, messages: Sequence[Message], text: str) -> list[Span]:
        """Where in `text`, which is the whole conversation, the assistant's turns are, with what ends them.

        A turn begins where the template would have the model begin, and ends where the next one does. Where the
        template writes earlier turns otherwise once there are later ones, it is looked for by its content.
        Raises RecipeError where it can't be found.
        """
        spans: list[Span] = []
        behind = 0
        for index, (role, content) in enumerate(messages):
            if role != "assistant":
                continue
            before, after = messages[:index], messages[: index + 1]
            begin = self._length_if_prefix(before, text, prompting=True) if before else None
            upto = text if len(after) == len(messages) else self._try(after)
            if begin is None or begin < behind:
                begin = _find(text, content, behind)
            end = len(upto) if upto is not None and text.startswith(upto) else None
            if end is None or end < begin:
                end = _end_by_content(text, content, begin, upto)
            spans.append((begin, end))
            behind = end
        return spans

    def _length_if_prefix(self, messages: Sequence[Message], text: str, *, prompting: bool) -> int | None:
        written = self._try(messages, prompting=prompting)
        return len(written) if written is not None and text.startswith(written) else None

    def _try(self, messages: Sequence[Message], *, prompting: bool = False) -> str | None:
        try:
            return self._written(messages, prompting=prompting)
        except Exception:  # noqa: BLE001 (a part of a conversation may be none in its eyes)
            return None

    def _written(self, messages: Sequence[Message], *, prompting: bool = False) -> str:
        text = self._tokenizer.apply_chat_template(_listed(messages), tokenize=False, add_generation_prompt=prompting)
        return str(text)


def _listed(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in messages]


def _find(text: str, content: str, behind: int) -> int:
    at = text.find(content.strip(), behind)
    if at < 0:
        raise RecipeError(
            "The model's chat template changes what the assistant says, so that the answers can't be told apart",
            "Set assistant_only_loss to false: then all of each conversation is learned.",
            field="assistant_only_loss",
        )
    return at


def _end_by_content(text: str, content: str, begin: int, alone: str | None) -> int:
    """The end of a turn, with what ends it where it stood last, in `alone`."""
    content = content.strip()
    end = _find(text, content, begin) + len(content)
    at = alone.rfind(content) if alone is not None and content else -1
    ending = alone[at + len(content) :] if alone is not None and at >= 0 else ""
    return end + len(ending) if text.startswith(ending, end) else end
