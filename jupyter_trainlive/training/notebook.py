"""A notebook as a job: its cells one after another, as a person would run them, and what they put out kept in it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocol.control import Desired
from ..protocol.jobdir import JobDir
from ..protocol.notebooks import INJECTED_TAG, Cell, parse, source_of, tags_of, unassigned, with_parameters
from . import cell as cells
from .control import NO_RELEASE, Cancelled
from .displays import Message, heard, type_of
from .errors import RecipeError, place, shown_frames
from .executed import Executed, Tee
from .plain_python import shell as present_shell
from .recorder import Recorder, warn
from .watch import NonFiniteLoss

#: Cells with these tags are meant to raise, or not to be run; nbclient and Jupyter Book know them too.
_MAY_RAISE, _SKIPPED = "raises-exception", "skip-execution"


def run(spec: Mapping[str, Any], job_dir: JobDir, recorder: Recorder) -> asyncio.Task[BaseException | None] | None:
    """Run the notebook as it was when the job was submitted; raises what a cell raises, which names the cell.

    From the first cell that awaits on the rest is a task on the kernel's loop, whose result is the exception it ended
    with. The executed notebook is in the artifacts, whatever happens.
    """
    path, parameters = spec.get("path"), spec.get("parameters")
    if not isinstance(path, str) or not isinstance(parameters, dict):
        raise ValueError("spec.json has no path of a notebook and its parameters")
    shell = present_shell()
    if shell is None:
        raise RecipeError(
            "This kernel can't run notebooks, as it has no IPython.", "Choose a kernel made with ipykernel."
        )
    name = Path(path).name
    written = parse((job_dir.inputs / name).read_bytes())
    for one in unassigned(written, parameters, shell.transform_cell):
        warn(f"{one} is not assigned in the notebook's cell of parameters")
    notebook = with_parameters(written, parameters)
    executed = Executed(notebook, job_dir.artifacts / name)
    # IPython's advice on SystemExit is for people at a prompt.
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    with contextlib.ExitStack() as held:
        held.callback(recorder.artifact, f"{job_dir.artifacts.name}/{name}")
        held.callback(executed.close)
        held.enter_context(_listening(shell, executed))
        work = _Work(shell, executed, recorder, added=len(notebook["cells"]) > len(written["cells"]))
        if work.until_one_awaits():
            return None
        rest = work.rest(held.pop_all())
    return asyncio.get_running_loop().create_task(rest)


class _Work:
    """The cells that are yet to be run; `added` says that the one with the parameters is not in the user's file."""

    def __init__(self, shell: Any, executed: Executed, recorder: Recorder, *, added: bool) -> None:
        self._added = added
        self._added_before = 0
        self._shell = shell
        self._executed = executed
        self._recorder = recorder
        self._cells = [one for one in executed.notebook["cells"] if _is_run(one)]

    def until_one_awaits(self) -> bool:
        """Run cells up to one that awaits; whether all were run. Raises what a cell raises."""
        while self._go_on():
            if _in_loop() and cells.awaits(self._shell, source_of(self._cells[0])):
                return False
            self._run(self._cells.pop(0))
        return True

    async def rest(self, held: contextlib.ExitStack) -> BaseException | None:
        """Run the other cells, from one that awaits on; the exception that ended it. `held` is closed then."""
        # Caught within, as an exception out of a task may be one that ends the kernel.
        try:
            with held:
                while not self.until_one_awaits():
                    cell = self._cells.pop(0)
                    place_in_file = self._begin(cell)
                    self._end(cell, place_in_file, await cells.run_awaiting(self._shell, source_of(cell)))
                    # It let the next interrupt cancel it; what follows is interrupted as any code.
                    signal.signal(signal.SIGINT, signal.default_int_handler)
        except BaseException as error:  # noqa: BLE001 - every end is recorded
            return error
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return None

    def _go_on(self) -> bool:
        """Whether there is a further cell to be run now; waits while the job is held."""
        if not self._cells or cells.leaving():
            return False
        if self._recorder.stop is not None:
            raise NonFiniteLoss(*self._recorder.stop.args)
        if self._recorder.gate.ask(self._recorder.step, no_release=NO_RELEASE) is Desired.CANCELLED:
            raise Cancelled
        return True

    def _run(self, cell: Cell) -> None:
        place_in_file = self._begin(cell)
        self._end(cell, place_in_file, cells.error_of(self._shell.run_cell(source_of(cell), store_history=True)))

    def _begin(self, cell: Cell) -> int:
        """Begin a cell; which one it is, counting those of the user's file that are run."""
        count = int(self._shell.execution_count)
        self._executed.begin(cell, count)
        if self._added and INJECTED_TAG in tags_of(cell):
            self._added_before = 1
        return count - self._added_before

    def _end(self, cell: Cell, place_in_file: int, error: BaseException | None) -> None:
        if error is not None:
            self._executed.failed(error, _traceback_of(error))
        self._executed.save()
        if error is not None and not (_MAY_RAISE in tags_of(cell) and isinstance(error, Exception)):
            raise place(error, f"Cell [{place_in_file}]")


def _in_loop() -> bool:
    """Whether a loop runs this; without one a cell may await within the call."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


def _is_run(cell: Cell) -> bool:
    return cell["cell_type"] == "code" and bool(source_of(cell).strip()) and _SKIPPED not in tags_of(cell)


@contextlib.contextmanager
def _listening(shell: Any, executed: Executed) -> Iterator[None]:
    """Tell the notebook what is printed and displayed within the block, which the log has too."""
    streams = log, _ = sys.stdout, sys.stderr

    def displayed(message: Message) -> None:
        text = message.get("content", {}).get("data", {}).get("text/plain")
        if isinstance(text, str) and type_of(message) != "update_display_data":
            print(text, file=log)
        executed.displayed(message)

    sys.stdout = Tee(sys.stdout, "stdout", executed)
    sys.stderr = Tee(sys.stderr, "stderr", executed)
    try:
        with heard(shell, displayed):
            yield
    finally:
        sys.stdout, sys.stderr = streams


def _traceback_of(error: BaseException) -> list[str]:
    """The lines of its traceback, from the first frame that is the cell's own."""
    try:
        frames = shown_frames(error, (str(Path(__file__).parent), *cells.hidden_frames()))
        return "".join(traceback.format_exception(type(error), error, frames)).splitlines()
    except Exception as failure:  # noqa: BLE001 - somebody's __str__ or __repr__
        return [f"{type(error).__name__} (whose traceback can't be shown: {type(failure).__name__})"]
