"""What a cell in a kept kernel shows, shown here: as outputs of a cell in IPython, as text elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

Message = dict[str, Any]


def shower() -> Callable[[Message], None]:
    """How messages are shown here: as a cell's outputs in IPython, as text elsewhere."""
    module = sys.modules.get("IPython")
    if module is not None and module.get_ipython() is not None:
        return _show_in_ipython
    return show_as_text


def _show_in_ipython(message: Message) -> None:
    from IPython.display import clear_output, publish_display_data

    kind, content = message["msg_type"], message["content"]
    if kind in ("display_data", "execute_result", "update_display_data"):
        publish_display_data(  # type: ignore[no-untyped-call, unused-ignore]
            data=content["data"],
            metadata=content.get("metadata", {}),
            transient=content.get("transient"),
            update=kind == "update_display_data",
        )
    elif kind == "clear_output":
        clear_output(wait=bool(content.get("wait")))  # type: ignore[no-untyped-call, unused-ignore]
    else:
        show_as_text(message)


def show_as_text(message: Message) -> None:
    """Print what a message shows to somebody who sees text only."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        stream = sys.stderr if content["name"] == "stderr" else sys.stdout
        stream.write(_coloured(content["text"]))
        stream.flush()
    elif kind in ("display_data", "execute_result"):
        print(_coloured(str(content["data"].get("text/plain", ""))), flush=True)


def print_failure(traceback: list[str]) -> None:
    """The lines of a cell's traceback, for a terminal."""
    print(_coloured("\n".join(traceback)), file=sys.stderr, flush=True)


def _coloured(text: str) -> str:
    """The text as it is for a terminal, without its colours for anything else."""
    return text if sys.stdout.isatty() or _in_kernel() else _ESCAPES.sub("", text)


def _in_kernel() -> bool:
    return hasattr(sys.stdout, "set_parent")
