"""A kernel that looks like a plain Python while a script runs in it: no shell, no prompt, no loop that runs."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

#: What interactive sessions have, and scripts look for to know that they are in one.
_PROMPTS = ("ps1", "ps2", "ps3")


def shell() -> Any:
    """The IPython shell of this process, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """Hide within the block that this is a kernel which runs a cell."""
    with _without_shell(shell()), _without_loop():
        yield


@contextlib.contextmanager
def _without_shell(shell: Any) -> Iterator[None]:
    if shell is None:
        yield
        return
    prompts = {name: vars(sys).pop(name) for name in _PROMPTS if hasattr(sys, name)}
    marks = {name: vars(builtins).pop(name) for name in ("__IPYTHON__",) if hasattr(builtins, name)}
    # `get_ipython`, and instead of `exit` and `quit` what asks the kernel to leave and goes on.
    trap = getattr(shell, "builtin_trap", None)
    if trap is not None:
        trap.deactivate()
    try:
        yield
    finally:
        if trap is not None:
            trap.activate()
        vars(sys).update(prompts)
        vars(builtins).update(marks)


@contextlib.contextmanager
def _without_loop() -> Iterator[None]:
    """Let `asyncio.run` work, though the kernel's own loop is what called us, and waits until we return."""
    running: asyncio.AbstractEventLoop | None = None
    with contextlib.suppress(RuntimeError):
        running = asyncio.get_running_loop()
    if running is None:
        yield
        return
    task = asyncio.current_task()
    fresh = asyncio.new_event_loop()
    _switch(running, None, None)
    asyncio.set_event_loop(fresh)
    try:
        yield
    finally:
        asyncio.set_event_loop(running)
        _switch(running, running, task)
        if not fresh.is_running():
            fresh.close()


def _switch(of: asyncio.AbstractEventLoop, loop: asyncio.AbstractEventLoop | None, task: Any) -> None:
    """Say which loop and which of its tasks this thread runs."""
    # Since Python 3.12; before, which task runs was kept with each loop.
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    if swap is not None and task is None:
        swap(of, None)
    asyncio._set_running_loop(loop)
    if swap is not None and task is not None:
        swap(of, task)
