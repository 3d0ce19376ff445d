"""Rows as tokens: what is learned, what is only given, and what is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.dataset import Completion, Conversation, Row, Text
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recipes.rows import IGNORED, Encoded, collate, encode


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def encoded(tokenizer: Any, *rows: Row, max_length: int = 100) -> Encoded:
    return encode(rows, tokenizer, max_length, lambda: None)


def test_a_text_is_learned_whole_and_ends(tokenizer: Any) -> None:
    (row,) = encoded(tokenizer, Text("The quick fox")).rows
    assert tokenizer.decode(row.ids) == "The quick fox<|end|>"
    assert row.given == 0


def test_a_prompt_is_given_and_its_completion_learned(tokenizer: Any) -> None:
    rows = encoded(tokenizer, Completion("Question: why?", " Because."), Text("a much longer row " * 3)).rows
    batch = collate(rows, pad=0)
    labels = batch["labels"][0]
    learned = labels[labels != IGNORED]
    assert tokenizer.decode(learned) == " Because.<|end|>"
    assert tokenizer.decode(rows[0].ids) == "Question: why? Because.<|end|>"
    assert batch["input_ids"].shape == batch["labels"].shape == (2, len(rows[1].ids))
    assert batch["attention_mask"].sum(1).tolist() == [len(row.ids) for row in rows]


def test_padding_changes_no_loss(tokenizer: Any, model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model).eval()
    short, long = encoded(tokenizer, Completion("Who?", " Me."), Text("another row " * 9)).rows
    with torch.no_grad():
        alone = [network(**collate([row], pad=0)).loss * row.learned for row in (short, long)]
        together = network(**collate([short, long], pad=0)).loss * (short.learned + long.learned)
    assert torch.allclose(sum(alone), together, rtol=1e-4)


def test_a_conversation_goes_through_the_chat_template(tokenizer: Any) -> None:
    (row,) = encoded(tokenizer, Conversation((("user", "hi"), ("assistant", "hello")))).rows
    assert tokenizer.decode(row.ids) == "user: hi<|end|>assistant: hello<|end|>"


def test_a_conversation_without_a_chat_template_is_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(RecipeError, match="no chat template") as raised:
        encoded(tokenizer, Conversation((("user", "hi"),)))
    assert "instruction-tuned" in (raised.value.hint or "")


def test_long_rows_are_cut_and_rows_with_nothing_to_learn_left_out(tokenizer: Any) -> None:
    result = encoded(tokenizer, Text("word " * 50), Completion("prompt " * 50, "x"), Text("ok"), max_length=10)
    assert [len(row.ids) <= 10 for row in result.rows] == [True, True]
    assert (result.truncated, result.unusable) == (2, 1)
