"""The contract of the WebSocket for machines: JSON Schemas of both dialects, and an AsyncAPI document."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_FILES = {"plain": "plain.schema.json", "v1": "v1.schema.json", "asyncapi": "asyncapi.json"}


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """``plain``, ``v1``: the JSON Schema (draft 2020-12) of all messages of that dialect; ``asyncapi``: the document.

    In ``v1``, ``$defs/frame`` is what the server sends, and ``$defs/request`` what a client does. References between
    the files are relative to where they lie. Read when it is first asked for, and not to be changed.
    """
    content: dict[str, Any] = json.loads((Path(__file__).parent / "schemas" / _FILES[name]).read_text("utf-8"))
    return content
