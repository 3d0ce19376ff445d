"""The user's code as a cell of this kernel, and how to leave the kernel after it or hand it over."""

from __future__ import annotations

import asyncio
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .errors import shown_frames


def run(code: str) -> asyncio.Task[BaseException | None] | None:
    """Run `code` as a cell; raises what it raises.

    Magics work and the names are the user's, as in a notebook. A cell that awaits can't finish inside the
    call, since the kernel's loop is what called us: then the rest of it is a task on that loop, whose result
    is the exception it ended with. Without IPython the code runs as a plain `exec` in ``__main__``.
    """
    shell = _shell()
    if shell is None:
        exec(compile(code, "<job>", "exec"), vars(sys.modules["__main__"]))
        return None
    _show_in_log(shell)
    # IPython's advice on SystemExit is for people at a prompt.
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    loop = _running_loop()
    # What can't be transformed is a syntax error, which the synchronous path reports.
    if loop is not None and awaits(shell, code):
        return loop.create_task(run_awaiting(shell, code))
    error = error_of(shell.run_cell(code, store_history=True))
    if error is not None:
        raise error
    return None


def outcome(task: asyncio.Task[BaseException | None]) -> BaseException | None:
    """The exception with which the task of `run` ended."""
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()


def leave() -> bool:
    """Make the kernel exit by itself with status 0 once the request that runs us is answered.

    False where there is no kernel to leave.
    """
    if not in_kernel():
        return False
    # The same as `exit` in a cell: the shell stops the kernel's loop, the application returns from its
    # `start`, and the interpreter ends as any other, exit handlers included.
    _shell().ask_exit()
    return True


def leaving() -> bool:
    """Whether this kernel was told to exit, as by `exit` in the work itself."""
    return bool(getattr(_shell(), "exit_now", False))


def leave_soon(begun: Callable[[], object]) -> None:
    """The same from another thread, as soon as the kernel does nothing else; `begun` is called then."""
    shell = _shell()

    def go() -> None:
        begun()
        # An `exit` that was told to leave the kernel alone would count for this one too.
        shell.keepkernel_on_exit = None
        leave()

    shell.kernel.io_loop.add_callback(go)


def hand_over(
    streams: Mapping[str, Any], names: Mapping[str, Any], error: BaseException | None, hidden: tuple[str, ...]
) -> None:
    """Make this kernel one for a person: cells show what they print, `names` are there, and so is what failed.

    `streams` are the kernel's own, by name. ``%debug`` and `sys.last_value` lead to the frame that raised `error`.
    """
    shell = _shell()
    for publisher in (shell.display_pub, shell.displayhook):
        unregister = getattr(publisher, "unregister_hook", None)
        if unregister is not None:
            unregister(_print_display)
    for name, stream in streams.items():
        # Only a stream that knows whose cell it belongs to can be read by a client.
        if hasattr(stream, "set_parent"):
            setattr(sys, name, stream)
    shell.push(dict(names))
    if error is not None:
        frames = shown_frames(error, hidden)
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, frames
        sys.last_exc = error  # type: ignore[attr-defined, unused-ignore]
        # Else it would lead to what failed in a cell before.
        shell.InteractiveTB.tb = frames
    for name in ("exit", "quit"):
        _leave_console_only(shell, name)


def _leave_console_only(shell: Any, name: str) -> None:
    """Have `exit` in a console end the console, and not the kernel, which stays for its time."""
    leaves = shell.user_ns.get(name)
    if isinstance(leaves, type(shell.exiter)):
        stays = type("Leave", (type(leaves),), {"__call__": lambda self, keep_kernel=True: leaves(keep_kernel=True)})
        shell.user_ns[name] = stays(shell)


def in_kernel() -> bool:
    """Whether this process is a kernel of IPython's."""
    return hasattr(_shell(), "kernel")


def hidden_frames() -> tuple[str, ...]:
    """Folders whose frames only lead to the user's code."""
    module = sys.modules.get("IPython")
    return (str(Path(module.__file__).parent),) if module is not None and module.__file__ else ()


def _shell() -> Any:
    """The IPython shell of this process, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def awaits(shell: Any, code: str) -> bool:
    """Whether a cell awaits, so that it must be run by `run_awaiting`."""
    try:
        return bool(shell.should_run_async(code, transformed_cell=shell.transform_cell(code)))
    except Exception:  # noqa: BLE001 - any transformer's
        return False


async def run_awaiting(shell: Any, code: str) -> BaseException | None:
    """Run a cell on the kernel's loop, cancelled by an interrupt; the exception it ended with."""
    work = asyncio.ensure_future(
        shell.run_cell_async(code, store_history=True, transformed_cell=shell.transform_cell(code))
    )
    loop = asyncio.get_running_loop()
    # The request that runs us is answered by now, and the kernel ignores interrupts between requests.
    signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(work.cancel) and None)
    result = None
    try:
        result = await work
    finally:
        # The synchronous path does this by itself.
        shell.events.trigger("post_execute")
        shell.events.trigger("post_run_cell", result)
    return error_of(result)


def error_of(result: Any) -> BaseException | None:
    """The exception with which IPython's run of a cell ended."""
    error = result.error_before_exec or result.error_in_exec
    return error if isinstance(error, BaseException) else None


def _show_in_log(shell: Any) -> None:
    """What the cell displays, its last value included, goes to the log as plain text."""
    for publisher in (shell.display_pub, shell.displayhook):
        register = getattr(publisher, "register_hook", None)
        if register is not None:
            register(_print_display)


def _print_display(message: dict[str, Any]) -> dict[str, Any]:
    text = message.get("content", {}).get("data", {}).get("text/plain")
    if message.get("msg_type") in ("display_data", "execute_result") and isinstance(text, str):
        print(text)
    return message
