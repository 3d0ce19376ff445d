"""Rows as tokens: what is learned, what is only given, what is cut, and how it lies in a batch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.dataset import Completion, Conversation, Labelled, Row, Text
from jupyter_trainlive.training.errors import RecipeError
from jupyter_trainlive.training.recipes.encoding import Encoded, Encoder
from jupyter_trainlive.training.recipes.rows import IGNORED, Rows, Tokens, collator

#: As many templates do: what a turn ends with, a turn that is begun for the model, a system's turn of their own.
USUAL = (
    "{% if messages[0]['role'] != 'system' %}<s>system\nHelp.</s>\n{% endif %}"
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
#: As some do: the last answer is written with what earlier ones lack.
THINKING = (
    "{% for m in messages %}<s>{{ m['role'] }}\n"
    "{% if loop.last and m['role'] == 'assistant' %}<think></think>{% endif %}{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
MARKED = (
    "{% for m in messages %}{{ m['role'] + ':' }}{% if m['role'] == 'assistant' %}"
    "{% generation %}{{ m['content'] | trim }}{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}\n{% endfor %}"
)
SHOUTING = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
TALK = (("user", "hi"), ("assistant", " Größe ok "), ("user", "ok"), ("assistant", "ok"))


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


@pytest.fixture(scope="module")
def bert() -> Any:
    """A tokenizer as BERT has it: special tokens at both ends, and types that tell a pair apart."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def encoded(tokenizer: Any, *rows: Row, max_length: int | None = 100, **options: Any) -> Encoded:
    return Encoder(tokenizer, max_length, **options).encode(rows)


def learned(tokenizer: Any, row: Tokens) -> str:
    return str(tokenizer.decode([token for token, mark in zip(row.ids, row.marks, strict=True) if mark]))


def test_a_text_is_learned_whole_and_ends(tokenizer: Any) -> None:
    (row,) = encoded(tokenizer, Text("The quick fox")).rows
    assert tokenizer.decode(row.ids) == learned(tokenizer, row) == "The quick fox<|end|>"
    assert row.learned == len(row.ids) - 1


def test_pieces_of_a_document_are_one(tokenizer: Any) -> None:
    pieces = encoded(tokenizer, Text("The quick", ends=False), Text(" fox", begins=False)).rows
    assert [tokenizer.decode(row.ids) for row in pieces] == ["The quick", " fox<|end|>"]


def test_a_prompt_is_given_and_its_completion_learned(tokenizer: Any) -> None:
    rows = encoded(tokenizer, Completion("Question: why?", " Because."), Text("a much longer row " * 3)).rows
    batch = collator("causal-lm", tokenizer)([rows[0], rows[1]])
    labels = batch["labels"][0]
    assert tokenizer.decode(labels[labels != IGNORED]) == " Because.<|end|>"
    assert tokenizer.decode(rows[0].ids) == "Question: why? Because.<|end|>"
    assert batch["input_ids"].shape == batch["labels"].shape == (2, len(rows[1].ids))
    assert batch["attention_mask"].sum(1).tolist() == [len(row.ids) for row in rows]
    # What counts in the loss is what the Trainer counts as learned.
    assert (batch["labels"] != IGNORED).sum() == rows.learned_tokens == sum(row.learned for row in rows)
    (all_of_it,) = encoded(tokenizer, Completion("Question: why?", " Because."), completion_only=False).rows
    assert learned(tokenizer, all_of_it) == "Question: why? Because.<|end|>"


def test_padding_changes_no_loss(tokenizer: Any, model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model).eval()
    collate = collator("causal-lm", tokenizer)
    short, long = encoded(tokenizer, Completion("Who?", " Me."), Text("another row " * 9)).rows
    with torch.no_grad():
        alone = [network(**collate([row])).loss * row.learned for row in (short, long)]
        together = network(**collate([short, long])).loss * (short.learned + long.learned)
    assert torch.allclose(sum(alone), together, rtol=1e-4)


@pytest.mark.parametrize(
    ("template", "answers"),
    [
        (USUAL, ["Größe ok</s>\n", "ok</s>\n"]),
        (THINKING, [" Größe ok </s>\n", "<think></think>ok</s>\n"]),
        (MARKED, ["Größe ok", "ok"]),
    ],
)
def test_of_a_conversation_the_answers_are_learned(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, template: str, answers: list[str]
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", template)
    (row,) = encoded(tokenizer, Conversation(TALK), max_length=500).rows
    whole = tokenizer.apply_chat_template([{"role": role, "content": said} for role, said in TALK], tokenize=False)
    assert tokenizer.decode(row.ids) == whole
    assert learned(tokenizer, row) == "".join(answers)
    (row,) = encoded(tokenizer, Conversation(TALK), max_length=500, assistant_only=False).rows
    assert learned(tokenizer, row) == whole
    # Without an answer nothing is left to learn.
    assert encoded(tokenizer, Conversation(TALK[:1])).unusable == 1


def test_an_answer_first_and_one_that_says_nothing(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", USUAL)
    talk = (("assistant", "hello"), ("user", "hello"), ("assistant", ""), ("user", "x"), ("assistant", "hello"))
    (row,) = encoded(tokenizer, Conversation(talk), max_length=500).rows
    assert learned(tokenizer, row) == "hello</s>\n</s>\nhello</s>\n"


def test_a_token_across_the_border_of_an_answer_is_learned(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    prompt = "{% if add_generation_prompt %}assistant: {% endif %}"
    monkeypatch.setattr(tokenizer, "chat_template", template + prompt)
    (row,) = encoded(tokenizer, Conversation((("user", "hi"), ("assistant", "the")))).rows
    assert learned(tokenizer, row) == " the\n"


def test_tokenizers_that_tell_no_places_learn_the_same(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", USUAL)
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    (row,) = encoded(tokenizer, Conversation(TALK), max_length=500).rows
    assert learned(tokenizer, row) == "Größe ok</s>\nok</s>\n"


def test_a_template_that_hides_the_answers_is_refused_with_the_remedy(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", SHOUTING)
    with pytest.raises(RecipeError, match="can't be told apart") as raised:
        encoded(tokenizer, Conversation((("assistant", "a"), ("user", "b"), ("assistant", "c"))))
    assert "assistant_only_loss" in (raised.value.hint or "")
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('odd roles') }}")
    with pytest.raises(RecipeError, match="odd roles"):
        encoded(tokenizer, Conversation(TALK))
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(RecipeError, match="no chat template") as raised:
        encoded(tokenizer, Conversation(TALK))
    assert "instruction-tuned" in (raised.value.hint or "")


def test_long_rows_are_cut_and_rows_with_nothing_to_learn_left_out(tokenizer: Any) -> None:
    result = encoded(tokenizer, Text("word " * 50), Completion("prompt " * 50, "x"), Text("ok"), max_length=10)
    assert [len(row.ids) <= 10 for row in result.rows] == [True, True]
    assert (result.read, result.truncated, result.unusable) == (3, 2, 1)


def test_packed_rows_lose_nothing_and_fill_their_blocks(tokenizer: Any) -> None:
    rows = encoded(tokenizer, Text("one"), Completion("q" * 9, "a"), Text("word " * 30), max_length=None).rows
    ids = [token for row in rows for token in row.ids]
    marks = [mark for row in rows for mark in row.marks]
    packed = rows.packed(8)
    assert [token for row in packed for token in row.ids] == ids
    assert [mark for row in packed for mark in row.marks] == marks
    assert all(len(row.ids) == 8 for row in packed[:-1])
    assert packed.tokens == rows.tokens == len(ids)
    # Of some of them as of all of them, and a block without anything to learn is none.
    some = rows.select([2, 0])
    assert [token for row in some.packed(8) for token in row.ids] == [*rows[2].ids, *rows[0].ids]
    given = encoded(tokenizer, Completion("q " * 40, "a"), max_length=None).rows
    assert all(row.learned for row in given.packed(8))
    assert len(given.packed(8)) < len(given[0].ids) // 8


def test_a_classification_reads_a_text_or_a_pair_and_keeps_what_ends_it(bert: Any) -> None:
    rows = [Labelled("a b c d e f", "no"), Labelled("a", 3, "b c"), Labelled("a", "no")]
    result = encoded(bert, *rows, max_length=5, task="sequence-classification")
    assert [bert.decode(row.ids) for row in result.rows] == [
        "[CLS] a b c [SEP]",
        "[CLS] a [SEP] b [SEP]",
        "[CLS] a [SEP]",
    ]
    assert (result.truncated, result.unusable) == (2, 0)
    batch = collator("sequence-classification", bert)(list(result.rows))
    assert batch["labels"].tolist() == [0, 1, 0]
    assert batch["token_type_ids"].tolist() == [[0] * 5, [0, 0, 0, 1, 1], [0] * 5]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1] * 5, [1, 1, 1, 0, 0]]
    result.rows.relabel([1, 0])
    assert [list(row.labels) for row in result.rows] == [[1], [0], [1]]


def test_seq2seq_reads_the_prompt_and_learns_the_completion(bert: Any) -> None:
    result = encoded(bert, Completion("a b c d", "e"), Completion("a", "e f g h"), max_length=4, task="seq2seq")
    batch = collator("seq2seq", bert)(list(result.rows))
    assert [bert.decode(ids) for ids in batch["input_ids"]] == ["[CLS] a b [SEP]", "[CLS] a [SEP] [PAD]"]
    assert batch["labels"].tolist() == [[2, 8, 3, IGNORED], [2, 8, 9, 3]]
    assert result.truncated == 2
    assert (result.rows.tokens, result.rows.learned_tokens, result.rows.largest_token()) == (14, 7, 9)

    class Shifts:
        def prepare_decoder_input_ids_from_labels(self, labels: Any) -> Any:
            return labels.roll(1, 1)

    batch = collator("seq2seq", bert, Shifts())(list(result.rows))
    assert batch["decoder_input_ids"].tolist() == [[IGNORED, 2, 8, 3], [3, 2, 8, 9]]


def test_rows_lie_flat_and_can_be_chosen_and_sent_to_a_process(tokenizer: Any) -> None:
    rows = Rows()
    for index in range(1000):
        rows.append([index] * (index % 7 + 2), b"\1" * (index % 7 + 2))
    assert len(pickle.dumps(rows)) < 5 * rows.tokens + 25 * len(rows)
    chosen = pickle.loads(pickle.dumps(rows.select([5, 3, 999])))[1:]
    assert [row.ids[0] for row in chosen] == [3, 999]
    assert list(chosen.lengths) == [5, 7]
    assert (chosen.tokens, rows.largest_token(), rows[-1].ids[0]) == (12, 999, 999)
    with pytest.raises(IndexError):
        chosen[2]
    assert rows.digest() != rows[:999].digest() != chosen.digest()
    collate = pickle.loads(pickle.dumps(collator("causal-lm", tokenizer)))
    assert collate([rows[3]])["labels"].tolist() == [[IGNORED, 3, 3, 3, 3]]
