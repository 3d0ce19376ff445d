"""``jupyter trainlive run train.py -- --lr 1e-4``: its options, and the job that they submit."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from . import api
from .errors import TrainLiveError
from .job import Job


def add_options(command: argparse.ArgumentParser) -> None:
    """What may be said of a script or a notebook; the arguments of a script follow ``--``."""
    command.add_argument("source", help="a script (*.py) or a notebook (*.ipynb)")
    add_common_options(command, name="that of the file", kernel="jupyter kernelspec list")
    command.add_argument("--cwd", metavar="FOLDER", help="where it works; by default the folder of the file")
    command.add_argument("--processes", type=int, default=1, metavar="N", help="of a script that trains with torchrun")
    command.add_argument(
        "--parameter",
        type=_assignment,
        action="append",
        default=[],
        metavar="K=V",
        help="of a notebook; a JSON value or else a string",
    )
    command.add_argument("--detach", action="store_true", help="do not follow it")
    command.epilog = "What follows -- are the arguments of the script: jupyter trainlive run train.py -- --lr 1e-4"


def add_common_options(parser: argparse.ArgumentParser, *, name: str, kernel: str) -> None:
    """What may be said of a job of code of any kind; `name` and `kernel` are what help says of those two."""
    add = parser.add_argument
    add("--name", help=f"the job's name; by default {name}")
    add("--gpus", type=int, metavar="N", help="how many it waits for; 0 hides them from it")
    add("--kernel", metavar="NAME", help=f"the kernel that it runs in ({kernel})")
    add("--env", type=_assignment, action="append", default=[], metavar="K=V", help="a variable of its environment")
    add("--keep", type=float, metavar="SECONDS", help="keep its kernel for so long after its end")
    add("--priority", type=int, metavar="N", help="higher ones begin first (-100 to 100)")
    add("--stop-on-nan", action="store_true", default=None, help="end it when its loss is NaN")
    add("--loss-from-backward", action="store_true", help="take the loss of a plain torch loop from its backward()")


def common_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those as `launch` takes them."""
    return {
        "loss_from_backward": options.loss_from_backward,
        "name": options.name,
        "kernel_name": options.kernel,
        "gpus": options.gpus,
        "priority": options.priority,
        "stop_on_nan": options.stop_on_nan,
        "keep_kernel": options.keep,
        "env": dict(options.env) or None,
    }


def _assignment(text: str) -> tuple[str, str]:
    """``K=V`` as name and value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def misplaced(arguments: list[str], unknown: list[str], of_script: list[str], source: str) -> str:
    """What is wrong with options that are none of ``run``, and the command as it was meant, most likely."""
    if source.lower().endswith(".ipynb"):
        return f"{' '.join(unknown)}: a notebook's parameters are given with --parameter NAME=VALUE"
    ours = list(arguments)
    for argument in unknown:
        ours.remove(argument)
    command = shlex.join(["jupyter", "trainlive", *ours]) + " -- " + shlex.join([*unknown, *of_script])
    return f"{' '.join(unknown)}: a script's arguments follow --\n\n    {command}"


def submitted(options: argparse.Namespace, args: list[str]) -> Job:
    """The job that runs the script or notebook; raises TrainLiveError."""
    try:
        return api.launch(
            options.source,
            args=args,
            parameters={name: _value(text) for name, text in options.parameter},
            processes=options.processes,
            cwd=options.cwd,
            **common_options(options),
        )
    except TypeError as error:
        # What does not go together, as arguments for a notebook.
        raise TrainLiveError(str(error)) from error


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda word: word)
    except ValueError:
        return text
