"""A tiny language model and English text for it, made on the spot without any network.

The text is what every Python carries: the help topics of `pydoc_data.topics`, some 465,000 characters.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_VOCABULARY = 512
_END = "<|end|>"


def example(folder: str | Path = "trainlive-example") -> tuple[str, str]:
    """Make a tiny untrained Llama and a JSONL file of English in `folder`; returns the paths of both.

    About 0.5 million parameters and 2,000 rows. Needs torch and transformers; raises OSError where it can't write.
    """
    place = Path(folder).expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    return str(make_model(place / "model", hidden=128)), str(make_data(place / "text.jsonl"))


def paragraphs(least: int = 80) -> list[str]:
    """English paragraphs of at least `least` characters, some two thousand of them."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    pieces = (re.sub(r"\s+", " ", piece).strip() for piece in re.split(r"\n\s*\n", text))
    return [piece for piece in pieces if len(piece) >= least]


def make_data(path: Path, rows: int | None = None) -> Path:
    """Write a JSON Lines file of ``text`` rows, all there are or the first `rows`."""
    with path.open("w", encoding="utf-8") as file:
        for text in paragraphs()[:rows]:
            file.write(json.dumps({"text": text}) + "\n")
    return path


def make_model(folder: Path, hidden: int = 64) -> Path:
    """Save an untrained Llama of two layers and its tokenizer into `folder`, for `from_pretrained`."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    # A bar for a file of two megabytes only stands in the way of what the notebook is about.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(paragraphs(), vocab_size=_VOCABULARY, special_tokens=[_END], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=_END)  # type: ignore[no-untyped-call]
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
