"""A tiny language model with its tokenizer, and data for it, made on the spot without any network.

The text is what every Python carries: the help topics of `pydoc_data.topics`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

VOCABULARY = 512
#: Two roles, written so that a turn ends with the end-of-text token.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '<|end|>' }}{% endfor %}"
)


def paragraphs(least: int = 80) -> list[str]:
    """English paragraphs of at least `least` characters, some thousand of them."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    pieces = (re.sub(r"\s+", " ", piece).strip() for piece in re.split(r"\n\s*\n", text))
    return [piece for piece in pieces if len(piece) >= least]


def make_data(path: Path, rows: int = 200, form: str = "text") -> Path:
    """Write a JSON Lines file of `rows` rows: ``text``, ``prompt`` (and completion) or ``messages``."""
    with path.open("w", encoding="utf-8") as file:
        for text in paragraphs()[:rows]:
            if form == "text":
                row: dict[str, object] = {"text": text}
            elif form == "prompt":
                row = {"prompt": text[:40], "completion": text[40:]}
            else:
                question = {"role": "user", "content": text[:40]}
                row = {"messages": [question, {"role": "assistant", "content": text[40:]}]}
            file.write(json.dumps(row) + "\n")
    return path


def make_model(folder: Path, hidden: int = 64, chat: bool = False) -> Path:
    """Save an untrained Llama of two layers and its tokenizer into `folder`, for `from_pretrained`."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        paragraphs(), vocab_size=VOCABULARY, special_tokens=["<|end|>"], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token="<|end|>")
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
