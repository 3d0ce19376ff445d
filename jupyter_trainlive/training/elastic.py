"""A script in several processes: started by torch's own elastic launcher, watched and summed up by the job's kernel.

Rank 0 records in the meantime. Whatever becomes of them is one end of the job, with the rank that it came from.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocol.control import ControlReader, Desired
from ..protocol.exits import explain_exit, signal_name
from ..protocol.jobdir import JobDir
from . import environment, together
from .errors import End, EndedElsewhere, RecipeError
from .owner import recording_process, take_over
from .recorder import Recorder

#: How each rank ended by its own account, and how torch's launcher saw those end that failed.
RANK_FILE, REPORT_FILE = "rank-{}.json", "ranks-report.json"
#: A rank that ends so was not the first: the launcher, or an interrupt, ended it because of another one.
_ENDED_BY_OTHERS = (signal.SIGTERM, signal.SIGINT)
#: The launcher gives its ranks 30 seconds.
_TERMINATE_SECONDS, _PATIENCE_SECONDS, _LOOK_SECONDS = 40.0, 10.0, 0.05


@dataclass(frozen=True)
class Exit:
    """How torch's launcher saw a rank fail; `t` in whole Unix seconds."""

    rank: int
    code: int
    t: int

    @property
    def crashed(self) -> bool:
        """Whether it died of itself, and not of what the launcher does when another one has failed."""
        return self.code < 0 and -self.code not in _ENDED_BY_OTHERS


def run(spec: Mapping[str, Any], job_dir: JobDir, recorder: Recorder, processes: int) -> None:
    """Run the job's script in so many processes; returns when all have ended well.

    Raises RecipeError without torch, EndedElsewhere with the end where it is another one, and KeyboardInterrupt
    where this process was interrupted, once they are gone.
    """
    if importlib.util.find_spec("torch") is None:
        raise RecipeError(
            f"processes={processes} needs torch's launcher, and this kernel's environment has no torch",
            "Run pip install torch in that environment, or leave processes out.",
        )
    _forget(job_dir)
    # Rank 0 adds to it.
    environment.wait()
    with recorder.lent():
        try:
            code = _launch(job_dir, processes)
        finally:
            _take_back(job_dir)
    end = outcome(job_dir, processes, code, cancelled=_cancel_requested(job_dir))
    if end.status != "completed":
        raise EndedElsewhere(end)


def outcome(job_dir: JobDir, processes: int, code: int, *, cancelled: bool) -> End:
    """The end of a job whose ranks have ended so, and whose launcher with that status; `cancelled` that it was asked.

    Of several ranks that failed it tells the first: the others failed because that one was gone.
    """
    ends = {rank: end for rank in range(processes) if (end := _end_of_rank(job_dir, rank)) is not None}
    if cancelled and any(end["status"] == "cancelled" for end in ends.values()):
        return End("cancelled")
    exits = _report(job_dir)
    failed = {rank: end for rank, end in ends.items() if end["status"] == "failed"}
    # What ended by a signal could say nothing, but those who missed it did.
    first = min(exits, key=lambda seen: (seen.t, not seen.crashed), default=None)
    if first is not None and first.crashed:
        name = signal_name(-first.code)
        _, hint = explain_exit(
            code=None, signal=-first.code, oom_killed=False, began=True, completed=False, output=None
        )
        return End("failed", f"Rank {first.rank} of {processes} was killed by {name}.", hint)
    if failed:
        rank, end = min(failed.items(), key=lambda item: (item[1]["t"], item[0]))
        error = end["error"] if end["for_all"] else f"Rank {rank}: {end['error']}"
        return End("failed", error, end["hint"], end["traceback"])
    if code == 0:
        return End("completed")
    if first is not None:
        how = f"was ended by {signal_name(-first.code)}" if first.code < 0 else f"exited with status {first.code}"
        return End(
            "failed",
            f"Rank {first.rank} of {processes} {how} without an exception.",
            "Something in it left the process by itself, or from outside; the last lines of the output may say more.",
        )
    return End(
        "failed",
        f"torch's launcher ended {_how(code)} before the {processes} processes did their work.",
        "The last lines of the output should say why.",
    )


def _how(code: int) -> str:
    return f"with status {code}" if code >= 0 else f"by {signal_name(-code)}"


def _launch(job_dir: JobDir, processes: int) -> int:
    """Start the launcher and wait for its end; its status.

    It is part of this process's group, as what forces a job to end reaches the group. An interrupt of this
    process is handed on, and raised when all are gone.
    """
    command = [
        *(sys.executable, "-m", f"{__package__}.torchrun", str(job_dir.kernel / REPORT_FILE)),
        *("--standalone", f"--nproc-per-node={processes}", "--max-restarts=0"),
        *(f"--log-dir={job_dir.kernel / 'torchrun'}", "-m", f"{__package__}.rank"),
    ]
    # From where this package is: Python looks for modules in its current folder, and the script's may hold anything.
    folder = Path(__file__).parents[2]
    launcher = subprocess.Popen(command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL)
    numbers = iter((signal.SIGINT,))
    interrupt: KeyboardInterrupt | None = None
    try:
        while True:
            try:
                code = launcher.wait()
                break
            except KeyboardInterrupt as raised:
                interrupt = raised
                launcher.send_signal(next(numbers, signal.SIGTERM))
    finally:
        if launcher.poll() is None:
            launcher.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.wait(_TERMINATE_SECONDS)
            launcher.kill()
    if interrupt is not None:
        raise interrupt
    return code


def _take_back(job_dir: JobDir) -> None:
    """Become the recording process again, once rank 0 is gone: a journal has one writer.

    It is, unless its launcher was killed; then it ends by itself some seconds later.
    """
    pid = recording_process(job_dir)
    if pid is not None and pid != os.getpid():
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
            while (waited := time.monotonic() - began) < _TERMINATE_SECONDS:
                time.sleep(_LOOK_SECONDS)
                os.kill(pid, signal.SIGKILL if waited > _PATIENCE_SECONDS else 0)
    with contextlib.suppress(OSError):
        take_over(job_dir)


def _cancel_requested(job_dir: JobDir) -> bool:
    return ControlReader(job_dir.control_file).wish().desired is Desired.CANCELLED


def _environment() -> dict[str, str]:
    """The variables of the ranks: this process's, less what makes it a kernel."""
    env = {name: value for name, value in os.environ.items() if name != "JPY_PARENT_PID"}
    if "ipykernel" in env.get("MPLBACKEND", "") or "matplotlib_inline" in env.get("MPLBACKEND", ""):
        # It draws into cells.
        del env["MPLBACKEND"]
    # What the launcher does as well, with ten lines of warning.
    env.setdefault("OMP_NUM_THREADS", "1")
    return env


def _forget(job_dir: JobDir) -> None:
    """Take away what the ranks of an earlier attempt have left."""
    together.begin(job_dir)
    for file in (*job_dir.kernel.glob(RANK_FILE.format("*")), job_dir.kernel / REPORT_FILE):
        file.unlink(missing_ok=True)


def _end_of_rank(job_dir: JobDir, rank: int) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        end = json.loads((job_dir.kernel / RANK_FILE.format(rank)).read_bytes())
        if isinstance(end, dict):
            return {"t": 0.0, "status": None, "error": None, "hint": None, "traceback": None, "for_all": False, **end}
    return None


def _report(job_dir: JobDir) -> list[Exit]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return [Exit(**seen) for seen in json.loads((job_dir.kernel / REPORT_FILE).read_bytes())]
    return []


def report_of(failures: Iterable[tuple[int, Any]]) -> list[dict[str, int]]:
    """What the launcher's process writes down of torch's `failures`: (rank, failure)."""
    return [
        {"rank": int(rank), "code": int(failure.exitcode), "t": int(failure.timestamp)} for rank, failure in failures
    ]
