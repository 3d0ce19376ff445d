"""The demo: JupyterLab with the quickstart open and running, its fine-tune followed in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from jupyter_core.paths import jupyter_runtime_dir

from ..protocol.access import Access, access_file, read_access
from . import api, connection
from .cli import watch
from .errors import TrainLiveError
from .job import Job
from .live_notebook import run_in_session

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def demo(folder: Path, *, exit_at_end: bool) -> int:
    """Run the quickstart as a newcomer would; the exit status is 0 only if its job completed.

    Whatever was started (JupyterLab, the notebook's kernel, the job) is ended before this returns.
    """
    with contextlib.suppress(KeyboardInterrupt):
        return _demo(folder.absolute(), exit_at_end)
    print("\nStopped.")
    return 130


def _demo(folder: Path, exit_at_end: bool) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    notebook = Path(shutil.copy(_quickstart(), folder / "quickstart.ipynb"))
    token = secrets.token_urlsafe(24)
    print("Starting JupyterLab …", flush=True)
    with _jupyterlab(folder, token) as access:
        connection.use(access)
        url = f"{access.url.rstrip('/')}/lab/tree/quickstart.ipynb"
        print(f"\n  Watch it at  {url}\n  Token        {token}\n", flush=True)
        known = {job.job_id for job in api.jobs()}
        failures: list[BaseException] = []
        runner = threading.Thread(target=_run, args=(access, token, notebook, failures), daemon=True)
        runner.start()
        job = _new_job(known, runner, failures)
        try:
            closing = asyncio.run(watch(job))
            runner.join()
        except KeyboardInterrupt:
            _cancel(job)
            raise
        losses = [value for value in job.metrics().get("loss", {}).get("value", []) if value is not None]
        if closing["status"] == "completed":
            fell = f" (it began at {losses[0]:.4f})" if losses else ""
            print(f"\n  Job          {job.job_id}\n  Final loss   {closing['final_loss']:.4f}{fell}")
            print(f"  Model        {job.artifacts / 'model'}")
        else:
            print(f"\n  Job          {job.job_id}\n  {closing['status'].capitalize()}: {closing['error']}")
            print(job.log(-4000))
        for failure in failures:
            print(f"  The notebook stopped: {failure}")
        if not exit_at_end:
            print("\n  JupyterLab goes on; Ctrl-C ends it.", flush=True)
            threading.Event().wait()
    return 0 if closing["status"] == "completed" and not failures else 1


def _quickstart() -> Path:
    """The notebook, as it was installed or as it lies in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for file in (package / "notebook" / "quickstart.ipynb", package.parent / "notebooks" / "quickstart.ipynb"):
        if file.is_file():
            return file
    raise TrainLiveError("The quickstart notebook is not where it was installed; install jupyter_trainlive again.")


@contextlib.contextmanager
def _jupyterlab(folder: Path, token: str) -> Iterator[Access]:
    """JupyterLab on a free local port, in a session of its own so that Ctrl-C reaches us first."""
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={_free_port()}", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=50"),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = folder / "jupyterlab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env={**os.environ, "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _wait_for(server, log)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(server: subprocess.Popen[bytes], log: Path) -> Access:
    file = access_file(Path(jupyter_runtime_dir()), server.pid)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            access = read_access(file)
            if access.pid == server.pid:
                return access
        time.sleep(0.1)
    raise TrainLiveError(f"JupyterLab did not start with jupyter_trainlive; its log is {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(access: Access, token: str, notebook: Path, failures: list[BaseException]) -> None:
    try:
        with httpx.Client(base_url=access.url, headers={"Authorization": f"token {token}"}, trust_env=False) as server:
            run_in_session(server, notebook)
    except Exception as error:  # noqa: BLE001 - told by the thread that waits for it
        failures.append(error)


def _new_job(known: set[str], runner: threading.Thread, failures: list[BaseException]) -> Job:
    while True:
        for job in api.jobs():
            if job.job_id not in known:
                return job
        if not runner.is_alive():
            reason = failures[0] if failures else "it launched nothing"
            raise TrainLiveError(f"The quickstart ended without a job: {reason}")
        time.sleep(0.2)


def _cancel(job: Job) -> None:
    print("\nCancelling the job …", flush=True)
    with contextlib.suppress(TrainLiveError, TimeoutError, KeyboardInterrupt):
        job.cancel()
        job.wait(_STOP_SECONDS)
