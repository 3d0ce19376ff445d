"""What cells display, for whoever listens within this kernel; where nobody outside is connected, nobody else does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

#: A message of the kernel's protocol: display_data, update_display_data, execute_result or clear_output.
Message = dict[str, Any]


def type_of(message: Message) -> str:
    """What kind of message it is."""
    return str(message.get("msg_type") or message.get("header", {}).get("msg_type") or "")


@contextlib.contextmanager
def heard(shell: Any, hear: Callable[[Message], None]) -> Iterator[None]:
    """Within the block `hear` is called with all that is displayed from this thread; what it raises is its own."""

    def hook(message: Message) -> Message:
        with contextlib.suppress(Exception):
            hear(message)
        return message

    with _hooked(shell.display_pub, hook), _hooked(shell.displayhook, hook):
        yield


@contextlib.contextmanager
def _hooked(publisher: Any, hook: Callable[[Message], Message]) -> Iterator[None]:
    if hasattr(publisher, "register_hook"):
        publisher.register_hook(hook)
        try:
            yield
        finally:
            publisher.unregister_hook(hook)
    elif hasattr(publisher, "finish_displayhook"):
        # Before ipykernel 7 nobody could listen to last values.
        finish = publisher.finish_displayhook

        def listened() -> None:
            message = getattr(publisher, "msg", None)
            if message and message.get("content", {}).get("data"):
                hook(message)
            finish()

        publisher.finish_displayhook = listened
        try:
            yield
        finally:
            publisher.finish_displayhook = finish
    else:
        yield
