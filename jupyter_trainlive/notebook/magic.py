"""``%%trainlive``: the cell runs as a job, and what stands below it is the job, live."""

from __future__ import annotations

import argparse
import shlex
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from ..client import Job, TrainLiveError, launch
from ..client.errors import JobFailed, VariableError
from ..client.run import add_common_options, common_options
from ..protocol.states import Status
from . import display

_DESCRIPTION = (
    "Run this cell as a job in a fresh training kernel, and show it live. The cell is done at once; its value, also in "
    "_, is the job. The job knows nothing of this notebook but the variables that are taken along."
)


def register(shell: Any) -> None:
    """Let the shell know the magic, and how jobs show themselves."""

    def trainlive(line: str, cell: str | None = None) -> Job | None:
        options = _options(line)
        if options.help:
            print(_parser().format_help())
            return None
        if cell is None:
            raise UsageError("%%trainlive runs a cell: write it with two %, in the cell's first line")
        try:
            return _run(shell, options, cell)
        except (TrainLiveError, KeyboardInterrupt) as error:
            # IPython shows it without a traceback, whose frames are ours.
            text = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [text]  # type: ignore[union-attr]
            raise

    trainlive.__doc__ = _parser().format_help()
    shell.register_magic_function(trainlive, "line_cell", "trainlive")
    display.register(shell)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%trainlive: {message}")


def _parser() -> _Parser:
    parser = _Parser("%%trainlive", description=_DESCRIPTION, add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("-h", "--help", action="store_true", help="show this, and start nothing")
    add_common_options(parser, name="code", kernel="by default that of this notebook")
    add("--with", dest="names", action="append", default=[], metavar="A,B", help="variables that it gets copies of")
    add("--follow", action="store_true", help="wait for its end; an interrupt leaves it running")
    return parser


def _options(line: str) -> argparse.Namespace:
    try:
        options, unknown = _parser().parse_known_args(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"%%trainlive: {error}") from None
    if unknown:
        problem = f"unrecognized arguments: {' '.join(unknown)}"
        if options.names and not unknown[0].startswith("-"):
            together = ",".join([*options.names, *unknown])
            problem += f"; names of variables are separated by commas, without spaces: --with {together}"
        raise UsageError(f"%%trainlive: {problem}")
    return options


def _run(shell: InteractiveShell, options: argparse.Namespace, cell: str) -> Job:
    job = launch(code=cell, variables=_variables(shell, options.names), **common_options(options))
    if not options.follow:
        # The value of the cell, which shows itself.
        return job
    display.show(job.job_id, job.name)
    _follow(job)
    display.is_shown(job)
    return job


def _variables(shell: InteractiveShell, lists: list[str]) -> dict[str, Any]:
    names = [name.strip() for text in lists for name in text.split(",") if name.strip()]
    for name in names:
        if name not in shell.user_ns:
            raise VariableError(name, "there is no variable of that name in this notebook")
    return {name: shell.user_ns[name] for name in names}


def _follow(job: Job) -> None:
    """Wait for the job's end; raises JobFailed where it did not complete."""
    try:
        job.wait()
    except KeyboardInterrupt:
        advice = f"{job.job_id} runs on, and is not followed any more; trainlive.get({job.job_id!r}).cancel() ends it"
        raise KeyboardInterrupt(advice) from None
    closing = job.progress
    if closing["status"] != Status.COMPLETED.value:
        hint = f" {closing['hint']}" if closing.get("hint") else ""
        reason = closing["error"] or "no reason is known"
        raise JobFailed(f"{job.job_id} {closing['status']}: {reason}{hint}", job.job_id)
