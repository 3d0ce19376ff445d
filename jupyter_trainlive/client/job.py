"""One job, as its user holds it in a variable."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..protocol.jobdir import JobDir
from ..protocol.states import Status
from . import connection, download
from .errors import NoServerError, RequestError, TrainLiveError

if TYPE_CHECKING:
    from .console import Console

_POLL_SECONDS = 0.5
#: How long a server may be gone before nobody waits for it any more.
_OUTAGE_SECONDS = 600.0
#: So long a kept kernel is waited for that was told to end.
_KERNEL_SECONDS = 30.0
_KERNEL_POLL_SECONDS = 0.1
_RECONNECT_SECONDS = (0.5, 1, 2, 5, 5, 5, 5, 5)

Columns = dict[str, list[float | None]]
#: {"n": points in the window, "buckets": [{"x0", "x1", "min", "max", "last", "n", "nan", "inf"}]}
Curve = dict[str, Any]


def remark(info: dict[str, Any], before: str = "") -> str:
    """What else is to be said of a job in a line: what it waits for, how it is paused, why it ended, its last alert."""
    if info["queue"] is not None:
        text = info["queue"]["reason"]
    elif info["status"] == "paused":
        text = "its GPU is free" if info["pause"] == "release" else "held"
    else:
        ended = "; ".join(filter(None, (info["error"], kept_words(info))))
        text = ended or (info["alerts"][-1]["message"] if info["alerts"] else "")
    return before + text if text else ""


def kept_words(info: dict[str, Any]) -> str:
    """That a kernel of an ended job still holds memory."""
    if info["kept"] is None:
        return ""
    memory = info["kept"]["memory_gb"]
    until = "" if info["kept"]["until"] is None else f" until {info['kept']['until'][11:16]} UTC"
    return f"its kernel is kept{until}" + ("" if memory is None else f" and holds {memory:.1f} GB")


class Job:
    """A job on the server. In a notebook it shows itself live as a cell's last line.

    Every attribute asks the server, so it is true at the moment it is read. All raise RequestError where
    the server refuses, and NoServerError where it is gone.
    """

    def __init__(self, job_id: str, name: str = "") -> None:
        self.job_id = job_id
        self.name = name

    def __repr__(self) -> str:
        try:
            info = self.info()
            progress = "" if info["progress"] is None else f", {info['progress']:.0f} %"
            loss = "" if info["loss"] is None else f", loss {info['loss']:.4g}"
            return f"<Job {self.job_id} {self.name!r}: {info['status']}{progress}{loss}{remark(info, ', ')}>"
        except Exception as error:  # noqa: BLE001 - a representation never fails
            return f"<Job {self.job_id} {self.name!r}: {error}>"

    def info(self) -> dict[str, Any]:
        """All that the server knows of the job, as ``GET api/training/jobs/{id}`` has it."""
        info: dict[str, Any] = connection.current().get(f"api/training/jobs/{self.job_id}")
        return info

    @property
    def status(self) -> str:
        """queued, starting, running, pausing, paused, cancelling, completed, failed, cancelled or interrupted."""
        return str(self.progress["status"])

    @property
    def progress(self) -> dict[str, Any]:
        """The latest message of the plain dialect: progress while it is active, then how it ended."""
        message: dict[str, Any] = connection.current().get(f"api/training/status/{self.job_id}")
        return message

    @property
    def error(self) -> str | None:
        """In one line, why the job did not complete."""
        error: str | None = self.info()["error"]
        return error

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """What its user should know of the training, latest last: {"name", "message", "step", "time"}."""
        alerts: list[dict[str, Any]] = self.info()["alerts"]
        return alerts

    @property
    def environment(self) -> dict[str, Any]:
        """In what it runs or ran: Python, packages, host, git commit, GPUs, seeds; empty until it has begun."""
        environment: dict[str, Any] | None = self.info()["environment"]
        return environment or {}

    @property
    def directory(self) -> Path:
        """The job's folder on the server's machine."""
        return Path(self.info()["directory"])

    @property
    def artifacts(self) -> Path:
        """The folder with what the training leaves behind; the fine-tune recipe's model is in ``model``."""
        return self.directory / "artifacts"

    def pause(self, *, release: bool = False) -> None:
        """Hold the job at its next step, GPU and all; with `release` write a checkpoint and free its GPU.

        A job that still waits in the queue is held there. Raises RequestError where its state does not allow it,
        or where it has no checkpoint to go on from.
        """
        connection.current().post(f"api/training/jobs/{self.job_id}/pause", {"release": release})

    def resume(self) -> None:
        """Let a paused job go on; one that was interrupted, failed or cancelled goes on from its last checkpoint."""
        connection.current().post(f"api/training/jobs/{self.job_id}/resume")

    def cancel(self) -> None:
        """Ask the job to stop: at the next step if it can, by more force if it does not."""
        connection.current().post(f"api/training/jobs/{self.job_id}/cancel")

    def console(self) -> Console:
        """A console on the kernel that is kept after the end of the work: ``console.run("trainer.state")``.

        Raises TrainLiveError where none is kept, or it does not answer.
        """
        from . import console, outputs

        connection_file = self.kept_connection()
        return console.Console(connection_file, lambda: console.still_kept(self.info), outputs.shower())

    def kept_connection(self) -> Path:
        """How Jupyter's own consoles find the kept kernel: its connection file. Raises TrainLiveError without one."""
        info = self.info()
        if info["kept"] is None:
            raise TrainLiveError(
                f"{self.job_id} is {info['status']} and keeps no kernel: launch it with keep_kernel=3600 to have its "
                "kernel for an hour after the end."
            )
        return JobDir(Path(info["directory"])).connection_file

    def end_kernel(self) -> None:
        """End the kernel that is kept after the end of the work before its time; what is in it is lost.

        Returns when it is gone; raises TrainLiveError where it is still there after half a minute.
        """
        connection.current().post(f"api/training/jobs/{self.job_id}/end_kernel")
        deadline = time.monotonic() + _KERNEL_SECONDS
        while self.info()["kept"] is not None:
            if time.monotonic() > deadline:
                problem = f"was told to end, and is still there after {_KERNEL_SECONDS:.0f} seconds; it may need longer"
                raise TrainLiveError(f"The kernel of {self.job_id} {problem}.")
            time.sleep(_KERNEL_POLL_SECONDS)

    def delete(self) -> None:
        """Delete an ended job with all its files, the model and the checkpoints included."""
        connection.current().request("DELETE", f"api/training/jobs/{self.job_id}")

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until the job has ended, however it did; raises TimeoutError after `timeout` seconds.

        A paused job has not ended. A server that goes is waited for, or its successor, for ten minutes at most;
        then NoServerError is raised.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        status, seen_at = self.status, time.monotonic()
        while not Status(status).ended:
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise TimeoutError(f"{self.job_id} has not ended within {timeout} seconds; it is {status}")
            time.sleep(_POLL_SECONDS)
            try:
                status, seen_at = self.status, now
            except NoServerError:
                if now - seen_at > _OUTAGE_SECONDS:
                    raise
        return self

    def metrics(self) -> dict[str, Columns]:
        """Every logged point by series: {name: {"step", "epoch", "time", "value"}}, time in Unix seconds."""
        response = connection.current().request("GET", f"api/training/jobs/{self.job_id}/metrics.csv")
        series: dict[str, Columns] = {}
        rows = csv.reader(io.StringIO(response.text, newline=""))
        next(rows)
        for text, step, epoch, t, value in rows:
            # It marks what a spreadsheet must not compute.
            name = text.removeprefix("'")
            if name not in series:
                series[name] = {"step": [], "epoch": [], "time": [], "value": []}
            columns = series[name]
            columns["step"].append(int(step) if step else None)
            columns["epoch"].append(float(epoch) if epoch else None)
            columns["time"].append(float(t))
            columns["value"].append(float(value))
        return series

    def curves(
        self,
        names: str | Iterable[str] | None = None,
        *,
        axis: str = "step",
        x0: float | None = None,
        x1: float | None = None,
        points: int = 400,
        smoothing: float = 0.0,
    ) -> dict[str, Curve]:
        """Curves of any length in at most so many `points` each: {name: {"n", "buckets"}}.

        Those of all series (100 at most) or of `names`, from `x0` to `x1` on the `axis` ``step``, ``time`` (Unix
        seconds) or ``epoch``; `n` points are in that window. A bucket {"x0", "x1", "min", "max", "last", "n", "nan",
        "inf"} holds all points from x0 to below x1; `smoothing`, from 0 to below 1, adds "smoothed", TensorBoard's
        moving average.
        """
        wanted = [names] if isinstance(names, str) else names if names is None else list(names)
        if wanted == []:
            return {}
        window = {"axis": axis, "x0": x0, "x1": x1, "points": points, "smoothing": smoothing}
        answer = connection.current().get(f"api/training/jobs/{self.job_id}/metrics", names=wanted, **window)
        series: dict[str, Curve] = answer["series"]
        return series

    def log(self, offset: int = 0) -> str:
        """The output of the job from a byte offset on; a negative one counts from the end."""
        text: str = ""
        while True:
            piece = connection.current().get(f"api/training/jobs/{self.job_id}/log", offset=offset, limit=1 << 20)
            text += str(piece["text"])
            if piece["next_offset"] >= piece["size"] or not piece["text"]:
                return text
            offset = piece["next_offset"]

    def files(self) -> list[dict[str, Any]]:
        """What the job left: [{"path", "size_bytes"}], 1,000 files at the most."""
        return download.files(self.job_id)

    def download(
        self, path: str = "artifacts", to: str | Path = ".", progress: download.Progress | None = None
    ) -> Path:
        """Copy a file or folder of the job into the folder `to`, from wherever the server is; returns where it is then.

        `path` is as `files` lists it, or a folder of it: ``artifacts/model``. A broken connection is made again and the
        file goes on where it was, in a later call too. What is there already and differs is never written over: it is
        a TrainLiveError. `progress` is called with the bytes that are there, and all there are.
        """
        return download.download(self.job_id, path, Path(to).expanduser(), progress)

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """The messages of the plain dialect as they come, the closing one last.

        A broken connection is made again, to the server's successor if it was restarted; raises NoServerError
        when that does not succeed, and RequestError where the server refuses from the beginning.
        """
        import websockets

        failures, connected = 0, False
        while True:
            try:
                server = connection.current()
                url = server.socket_url(f"ws/training/{self.job_id}")
                async with websockets.connect(url, additional_headers=server.headers, proxy=None) as socket:
                    failures, connected = 0, True
                    async for text in socket:
                        message = json.loads(text)
                        yield message
                        if message["complete"]:
                            return
            except (OSError, websockets.WebSocketException, NoServerError) as error:
                if not connected and isinstance(error, NoServerError):
                    raise
                if not connected and isinstance(error, websockets.InvalidStatus):
                    status = error.response.status_code
                    problem = f"The server does not stream {self.job_id}: it answered {status}."
                    raise RequestError(problem, status) from None
                if failures == len(_RECONNECT_SECONDS):
                    raise NoServerError(f"The stream of {self.job_id} is gone: {error}") from error
            await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
            failures += 1
