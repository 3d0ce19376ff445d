"""A small JSON file that somebody else wrote, and that may be anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def object_in(file: Path) -> dict[str, Any] | None:
    """The object that is the file's content; None where there is none that can be read."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
