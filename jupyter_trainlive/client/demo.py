"""The demo: JupyterLab with the quickstart open and running, its fine-tune followed in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from ..protocol.access import Access
from ..protocol.states import Status
from . import api, connection
from .cli import watch
from .errors import TrainLiveError
from .job import Job
from .lab import jupyterlab
from .live_notebook import run_in_session
from .terminal import plain

#: A little longer than the server takes to end a job that resists.
_CANCEL_SECONDS = 35.0
#: How long the notebook may take to launch its job, and its last cells once that has ended.
_CELLS_SECONDS = 300.0
#: Shutting down a busy kernel takes some seconds.
_REQUEST_SECONDS = 60.0
#: A cell that has launched its job is done soon after.
_SHOWN_SECONDS = 10.0
_POLL_SECONDS = 0.5
_ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


def demo(folder: Path, *, exit_at_end: bool) -> int:
    """Run the quickstart as a newcomer would; the exit status is 0 only if its job completed.

    The jobs lie in the folder as well, apart from the user's own. Whatever was started (JupyterLab, the
    notebook's kernel, the job) is ended before this returns, which Ctrl-C and the signals that ask a program
    to end bring about. Raises TrainLiveError where it can't go on, saying why.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise TrainLiveError('The demo needs JupyterLab and torch: pip install "jupyter_trainlive[lab,train]"')
    for number in _ENDING_SIGNALS:
        # One that is ignored, as under nohup, stays so.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        return _demo(folder.absolute(), exit_at_end)
    except KeyboardInterrupt:
        _say("\nStopped.")
        return 130


def _demo(folder: Path, exit_at_end: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    notebook = _put_quickstart(folder)
    token = secrets.token_urlsafe(24)
    print("Starting JupyterLab …", flush=True)
    with jupyterlab(folder, token) as access, _client(access, token) as server, _nothing_left(server):
        connection.use(access)
        print("Running the quickstart …", flush=True)
        url = f"{access.url.rstrip('/')}/lab/tree/{notebook.name}"
        known = {job.job_id for job in api.jobs()}
        shown, failures = threading.Event(), list[BaseException]()
        runner = threading.Thread(target=_run, args=(server, notebook, shown, failures), daemon=True)
        runner.start()
        job = _new_job(known, runner, failures)
        # Who opens the notebook finds the job in it only once its cell is done and written.
        shown.wait(_SHOWN_SECONDS)
        print(f"\n  Watch it at  {url}\n  Token        {token}\n", flush=True)
        closing = asyncio.run(watch(job))
        runner.join(_CELLS_SECONDS)
        if runner.is_alive():
            failures.append(TimeoutError(f"its last cells were not done {_CELLS_SECONDS:.0f} s after the job"))
        _report(job, closing)
        for failure in failures:
            print(f"  The notebook stopped: {plain(str(failure))}")
        if not exit_at_end:
            print("\n  JupyterLab goes on; Ctrl-C ends it.", flush=True)
            threading.Event().wait()
    return 0 if closing["status"] == "completed" and not failures else 1


def _client(access: Access, token: str) -> httpx.Client:
    """Jupyter's own routes; ours are spoken to by `api`."""
    headers = {"Authorization": f"token {token}"}
    return httpx.Client(base_url=access.url, headers=headers, timeout=_REQUEST_SECONDS, trust_env=False)


def _report(job: Job, closing: dict[str, Any]) -> None:
    """How the job ended, and where to look next."""
    print(f"\n  Job          {job.job_id}")
    if closing["status"] == "completed":
        losses = [value for value in job.metrics().get("loss", {}).get("value", []) if value is not None]
        final = "unknown" if closing["final_loss"] is None else f"{closing['final_loss']:.4f}"
        print(f"  Final loss   {final}" + (f" (it began at {losses[0]:.4f})" if losses else ""))
        print(f"  Model        {job.artifacts / 'model'}")
    else:
        print(f"  {closing['status'].capitalize()}: {plain(closing['error'] or 'no reason known')}")
        print(plain(job.log(-4000), lines=True))


def _put_quickstart(folder: Path) -> Path:
    """A fresh copy of the quickstart; one that somebody has changed there is kept under another name."""
    shipped, notebook = _quickstart(), folder / "quickstart.ipynb"
    if notebook.exists() and _cells(notebook) != _cells(shipped):
        names = (folder / f"quickstart-{number}.ipynb" for number in itertools.count(1))
        kept = notebook.rename(next(name for name in names if not name.exists()))
        print(f"Your changed quickstart is now {kept.name}.")
    return Path(shutil.copy(shipped, notebook))


def _cells(notebook: Path) -> list[tuple[str, str]] | None:
    """What somebody wrote into a notebook, its outputs left out; None where it is no notebook."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _quickstart() -> Path:
    """The notebook, as it was installed or as it lies in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for file in (package / "notebook" / "quickstart.ipynb", package.parent / "notebooks" / "quickstart.ipynb"):
        if file.is_file():
            return file
    raise TrainLiveError("The quickstart notebook is not where it was installed; install jupyter_trainlive again.")


@contextlib.contextmanager
def _nothing_left(server: httpx.Client) -> Iterator[None]:
    """At the end, shuts down the server's kernels and cancels its jobs, so that the server itself can go."""
    try:
        yield
    finally:
        # All of this ends by itself in time; what is left of it by a second Ctrl-C would run on for hours.
        for number in _ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(TrainLiveError, TimeoutError, httpx.HTTPError):
            # The kernels first: the notebook may be about to launch its job.
            for kernel in server.get("api/kernels").raise_for_status().json():
                server.delete(f"api/kernels/{kernel['id']}")
            _cancel([job for job in api.jobs() if not Status(job.status).ended])


def _cancel(jobs: list[Job]) -> None:
    for job in jobs:
        _say(f"\nCancelling {job.job_id} …")
        job.cancel()
    deadline = time.monotonic() + _CANCEL_SECONDS
    for job in jobs:
        job.wait(max(0.0, deadline - time.monotonic()))


def _say(text: str) -> None:
    """Tell it, if there is still a terminal."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _run(server: httpx.Client, notebook: Path, shown: threading.Event, failures: list[BaseException]) -> None:
    def wait_for_jobs() -> None:
        """A kernel that is busy could not show its widgets to a page that is opened; so it is left idle."""
        while any(not Status(job.status).ended for job in api.jobs()):
            shown.set()
            time.sleep(_POLL_SECONDS)

    try:
        run_in_session(server, notebook, wait_for_jobs)
    except Exception as error:  # noqa: BLE001 - told by the thread that waits for it
        failures.append(error)


def _new_job(known: set[str], runner: threading.Thread, failures: list[BaseException]) -> Job:
    deadline = time.monotonic() + _CELLS_SECONDS
    while time.monotonic() < deadline:
        alive = runner.is_alive()
        for job in api.jobs():
            if job.job_id not in known:
                return job
        if not alive:
            reason = failures[0] if failures else "it launched nothing"
            raise TrainLiveError(f"The quickstart ended without a job: {reason}")
        time.sleep(0.2)
    raise TrainLiveError(f"The quickstart launched no job within {_CELLS_SECONDS:.0f} seconds.")
