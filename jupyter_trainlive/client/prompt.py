"""A prompt for a kept kernel in a terminal: jupyter_console where it is installed, else a simple one."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from .console import Console, ConsoleError, interrupt
from .outputs import print_failure

_LEAVE = ("exit", "quit", "exit()", "quit()")


def has_full_prompt() -> bool:
    """Whether jupyter_console is there, and somebody to type into it."""
    return sys.stdin.isatty() and sys.stdout.isatty() and importlib.util.find_spec("jupyter_console") is not None


def full_prompt(connection_file: Path) -> int:
    """Run jupyter_console on the kernel, which it leaves there."""
    module: Any = importlib.import_module("jupyter_console.app")

    class App(module.ZMQTerminalIPythonApp):  # type: ignore[misc]
        def handle_sigint(self, *args: object) -> None:
            # By itself it interrupts only kernels that it has started.
            if getattr(self.shell, "_executing", False):
                interrupt(self.kernel_client)
            else:
                super().handle_sigint(*args)

    App.launch_instance(argv=["--existing", str(connection_file)])
    return 0


def run_input(console: Console) -> int:
    """Run all of the standard input as one cell; 1 where it fails."""
    try:
        console.run(sys.stdin.read())
    except ConsoleError as error:
        print_failure(error.traceback or [str(error)])
        return 1
    return 0


def prompt(console: Console, banner: str) -> int:
    """Read cells and run them until the end of the input, or ``exit``; the kernel stays."""
    with contextlib.suppress(ImportError):
        # It gives `input` history and the arrow keys.
        importlib.import_module("readline")
    print(banner)
    while True:
        try:
            code = _read(console)
            if code is None or code.strip() in _LEAVE:
                return 0
            if code.strip():
                console.run(code)
        except ConsoleError as error:
            print_failure(error.traceback or [str(error)])
        except KeyboardInterrupt:
            print("\nKeyboardInterrupt")


def _read(console: Console) -> str | None:
    """One cell, of several lines where its first ones want more; None at the end of the input."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input("... " if lines else ">>> "))
        except EOFError:
            print()
            return None
        code = "\n".join(lines)
        # An empty line ends what an indented block began.
        if (len(lines) > 1 and not lines[-1].strip()) or console.is_complete(code):
            return code
