"""The contract for machines: JSON Schemas of both dialects of the WebSocket, an AsyncAPI document, the parameters."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from . import parameter_schema

_FILES = {"plain": "plain.schema.json", "v1": "v1.schema.json", "asyncapi": "asyncapi.json"}


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """``plain``, ``v1``: the JSON Schema (draft 2020-12) of all messages of that dialect; ``asyncapi``: the document.

    In ``v1``, ``$defs/frame`` is what the server sends, and ``$defs/request`` what a client does. References between
    the files are relative to where they lie. ``finetune``: the JSON Schema of the recipe's parameters. Read when it is
    first asked for, and not to be changed.
    """
    if name == "finetune":
        return parameter_schema.schema()
    content: dict[str, Any] = json.loads((Path(__file__).parent / "schemas" / _FILES[name]).read_text("utf-8"))
    return content
