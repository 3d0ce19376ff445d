"""The command line: ``jupyter trainlive run | list | status | watch | download | pause | resume | cancel | …``."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from . import api, connection, run
from .errors import TrainLiveError
from .job import Job, kept_words, remark
from .terminal import ByteBar, ProgressBar, plain

#: So much of its output is shown of a job that did not complete.
_TAIL_LINES = 20


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0 when it did what it says, 1 otherwise, 2 for bad usage."""
    options = _parsed(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of few characters shows the rest as question marks.
        sys.stdout.reconfigure(errors="replace")
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except TrainLiveError as error:
        print(f"jupyter trainlive: {plain(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read our output has enough; the interpreter's own last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; what follows ``--`` is a script's own, whatever it looks like."""
    of_script: list[str] = []
    if arguments[:1] == ["run"] and "--" in arguments:
        at = arguments.index("--")
        arguments, of_script = arguments[:at], arguments[at + 1 :]
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        if options.run is _run:
            parser.error(run.misplaced(arguments, unknown, of_script, options.source))
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.of_script = of_script
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("jupyter trainlive", description="Watch and control training jobs.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    running = commands.add_parser("run", help="run a script or a notebook as a job, and follow it", allow_abbrev=False)
    run.add_options(running)
    running.set_defaults(run=_run)
    for name, act, help_text in (
        ("list", _list, "the latest jobs, newest first"),
        ("status", _status, "one job's latest message, as JSON"),
        ("watch", _watch, "follow a job to its end; exit status 0 if it completed"),
        ("log", _log, "the output of a job"),
        ("files", _files, "what a job left"),
        ("download", _download, "copy a job's model, or any file or folder that it left, to here"),
        ("pause", _pause, "hold a job at its next step"),
        ("resume", _resume, "let a paused job go on, or one that ended before its time"),
        ("cancel", _cancel, "ask a job to stop"),
        ("console", _console, "a prompt in the kernel that is kept after a job's end"),
        ("end-kernel", _end_kernel, "end the kernel that is kept after a job's end"),
        ("delete", _delete, "delete an ended job with all its files"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(run=act)
        if name == "list":
            command.add_argument("--limit", type=int, default=20, help="how many at most (20)")
        else:
            command.add_argument("job_id")
        if name == "download":
            command.add_argument("path", nargs="?", default="artifacts", help="as `files` lists them (artifacts)")
            command.add_argument("--to", type=Path, default=Path(), help="the folder to put it in (this one)")
        if name == "pause":
            command.add_argument("--release", action="store_true", help="write a checkpoint and free its GPU")
    clean = commands.add_parser("clean", help="delete old jobs and checkpoints; without limits: as configured")
    clean.add_argument("--max-age-days", type=float, help="ended jobs older than this")
    clean.add_argument("--max-total-gb", type=float, help="old checkpoints, then the oldest jobs, beyond this in all")
    clean.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    clean.set_defaults(run=_clean)
    reindex = commands.add_parser("reindex", help="build the server's index of the jobs again from their directories")
    reindex.set_defaults(run=_reindex)
    demo = commands.add_parser("demo", help="run the quickstart in JupyterLab and follow its job here")
    demo.add_argument("--exit", action="store_true", help="stop when the job has ended")
    demo.add_argument(
        "--folder", type=Path, default=Path("trainlive-demo"), help="where the quickstart and its jobs are put"
    )
    demo.set_defaults(run=_demo)
    return parser


def _list(options: argparse.Namespace) -> int:
    for info in connection.current().get("api/training/jobs", limit=options.limit)["jobs"]:
        progress = "" if info["progress"] is None else f"{info['progress']:.0f} %"
        loss = "" if info["loss"] is None else f"loss {info['loss']:.4g}"
        line = f"{info['job_id']}  {info['status']:<11} {progress:>5}  {loss:<12} {plain(info['name'])}"
        print(line + plain(remark(info, ": ")))
    return 0


def _status(options: argparse.Namespace) -> int:
    print(json.dumps(api.get(options.job_id).progress, indent=2))
    return 0


def _run(options: argparse.Namespace) -> int:
    job = run.submitted(options, options.of_script)
    _told(job)
    if options.detach:
        return 0
    try:
        return _followed(job)
    except KeyboardInterrupt:
        print(f"\n{job.job_id} runs on; `jupyter trainlive cancel {job.job_id}` ends it.", file=sys.stderr)
        return 130


def _watch(options: argparse.Namespace) -> int:
    return _followed(api.get(options.job_id))


def _followed(job: Job) -> int:
    closing = asyncio.run(watch(job))
    print(plain(closing["error"] or "") or f"completed, final loss {closing['final_loss']}")
    if closing.get("hint"):
        print(plain(closing["hint"]))
    if closing["status"] == "completed":
        return 0
    if tail := job.info()["output_tail"].rstrip():
        print("\n" + "\n".join(plain(tail, lines=True).splitlines()[-_TAIL_LINES:]))
    print(f"All of its output: jupyter trainlive log {job.job_id}")
    return 1


async def watch(job: Job) -> dict[str, Any]:
    """Follow a job with a progress bar; its closing message."""
    bar = ProgressBar()
    message: dict[str, Any] = {}
    async for message in job.stream():
        if not message["complete"]:
            bar.show(message)
    bar.close(message)
    return message


def _log(options: argparse.Namespace) -> int:
    sys.stdout.write(plain(api.get(options.job_id).log(), lines=True))
    return 0


def _files(options: argparse.Namespace) -> int:
    for file in api.get(options.job_id).files():
        print(f"{file['size_bytes'] / 2**20:10.1f} MB  {plain(file['path'])}")
    return 0


def _download(options: argparse.Namespace) -> int:
    job = api.get(options.job_id)
    bar = ByteBar()
    try:
        place = job.download(options.path, options.to.expanduser(), bar.show)
    finally:
        bar.close()
    print(plain(str(place)))
    return 0


def _pause(options: argparse.Namespace) -> int:
    job = api.get(options.job_id)
    job.pause(release=options.release)
    return _told(job)


def _resume(options: argparse.Namespace) -> int:
    job = api.get(options.job_id)
    job.resume()
    return _told(job)


def _cancel(options: argparse.Namespace) -> int:
    job = api.get(options.job_id)
    job.cancel()
    return _told(job)


def _told(job: Job) -> int:
    print(f"{job.job_id}  {job.status}")
    return 0


def _console(options: argparse.Namespace) -> int:
    from . import prompt

    job = api.get(options.job_id)
    if prompt.has_full_prompt():
        return prompt.full_prompt(job.kept_connection())
    with job.console() as console:
        if not sys.stdin.isatty():
            return prompt.run_input(console)
        return prompt.prompt(console, f"{job.job_id}: {kept_words(job.info())}. Ctrl-D leaves it there.")


def _end_kernel(options: argparse.Namespace) -> int:
    api.get(options.job_id).end_kernel()
    return 0


def _delete(options: argparse.Namespace) -> int:
    api.get(options.job_id).delete()
    return 0


def _clean(options: argparse.Namespace) -> int:
    limits = {"max_age_days": options.max_age_days, "max_total_gb": options.max_total_gb}
    given = {name: value for name, value in limits.items() if value is not None}
    done = connection.current().post("api/training/clean", {**given, "dry_run": options.dry_run})
    for removal in done["removed"]:
        print(f"{removal['size_bytes'] / 2**20:8.1f} MB  {plain(removal['reason'])}")
    would = "would be" if options.dry_run else "were"
    print(f"{done['freed_bytes'] / 2**20:8.1f} MB {would} freed")
    return 0


def _reindex(options: argparse.Namespace) -> int:
    print(f"{connection.current().post('api/training/reindex')['jobs']} jobs indexed")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from .demo import demo

    return demo(options.folder, exit_at_end=options.exit)


if __name__ == "__main__":
    sys.exit(main())
