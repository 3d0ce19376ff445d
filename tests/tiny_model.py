"""A tiny language model with its tokenizer, and data of every form for it, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

from jupyter_trainlive.training import example

#: Two roles, written so that a turn ends with the end-of-text token.
CHAT_TEMPLATE = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '<|end|>' }}{% endfor %}"


def make_data(path: Path, rows: int = 200, form: str = "text") -> Path:
    """Write a JSON Lines file of `rows` rows: ``text``, ``prompt`` (and completion) or ``messages``."""
    if form == "text":
        return example.make_data(path, rows)
    with path.open("w", encoding="utf-8") as file:
        for text in example.paragraphs()[:rows]:
            if form == "prompt":
                row: dict[str, object] = {"prompt": text[:40], "completion": text[40:]}
            else:
                question = {"role": "user", "content": text[:40]}
                row = {"messages": [question, {"role": "assistant", "content": text[40:]}]}
            file.write(json.dumps(row) + "\n")
    return path


def make_model(folder: Path, hidden: int = 64, chat: bool = False) -> Path:
    """Save an untrained Llama of two layers and its tokenizer into `folder`, for `from_pretrained`."""
    example.make_model(folder, hidden)
    if chat:
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder
