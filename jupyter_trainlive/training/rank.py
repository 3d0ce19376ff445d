"""One of the processes in which a script trains: it runs it as ``__main__``, and rank 0 records what is trained.

``python -m jupyter_trainlive.training.rank``, started by torch's launcher, which says the rank in the environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..protocol.control import ControlReader, Desired
from ..protocol.jobdir import JobDir, write_json
from . import boot, environment, hooks, script
from .elastic import RANK_FILE
from .errors import End, end_of
from .owner import job_dir_of_this_process, take_over
from .recorder import of_job, record_with, warn
from .together import QuietRecorder, RankRecorder
from .watch import NonFiniteLoss

_OURS = str(Path(__file__).parent)
#: How often a rank looks whether its launcher is still there, and how long it has to end by itself when it is not.
_LOOK_SECONDS, _ORPHAN_SECONDS = 2.0, 10.0


def main() -> int:
    """Do this rank's share, leave its end in a file for the job's kernel, and return the status to exit with."""
    job_dir = job_dir_of_this_process()
    if job_dir is None or "RANK" not in os.environ:
        raise RuntimeError("this process is no rank of a job: TRAINLIVE_JOB_DIR or RANK is not set")
    rank = int(os.environ["RANK"])
    threading.Thread(target=_end_with, args=(os.getppid(),), name="jupyter_trainlive-parent", daemon=True).start()
    boot.write_to_log(job_dir)
    recorder: RankRecorder | QuietRecorder
    if rank == 0:
        take_over(job_dir)
        recorder = of_job(job_dir, RankRecorder)
    else:
        recorder = of_job(job_dir, QuietRecorder)
    record_with(recorder)
    error: BaseException | None = None
    try:
        spec = job_dir.read_spec()
        _go_to(spec)
        hooks.install(loss_from_backward=spec.get("loss_from_backward") is True)
        script.run(spec, job_dir)
    except BaseException as raised:  # noqa: BLE001 - every end is told, KeyboardInterrupt and SystemExit too
        error = raised
    return _finish(job_dir, recorder, rank, error)


def _go_to(spec: Mapping[str, Any]) -> None:
    """To the job's folder, from that of this package, in which Python then need not look for modules any more."""
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [str(Path.cwd())]:
        del sys.path[0]
    os.chdir(spec["cwd"])


def _finish(job_dir: JobDir, recorder: RankRecorder | QuietRecorder, rank: int, error: BaseException | None) -> int:
    with contextlib.suppress(ValueError, OSError):
        # An interrupt that comes now must not cost the end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    hooks.finish()
    reason = recorder.reason if isinstance(recorder, RankRecorder) else None
    # What is wrong with the loss is wrong in all ranks.
    for_all = isinstance(error, NonFiniteLoss) or (error is None and reason is not None)
    if for_all:
        end = end_of(error or reason, cancelled=False)
    else:
        interrupted = isinstance(error, KeyboardInterrupt)
        cancelled = recorder.gate.heeded or (interrupted and _cancel_requested(job_dir))
        end = end_of(error, cancelled=cancelled, hidden=(_OURS,), folders=_written_to(job_dir))
    if rank == 0:
        environment.training_begins(job_dir)
    _tell(job_dir, rank, end, for_all=for_all)
    code = 0 if end.status != "failed" else _code_of(error)
    threading.Thread(target=_insist, args=(code,), name="jupyter_trainlive-exit", daemon=True).start()
    return code


def _tell(job_dir: JobDir, rank: int, end: End, *, for_all: bool) -> None:
    """Leave the end for the kernel, which also prints the first failure's traceback."""
    told = {"t": time.time(), "status": end.status, "error": end.error, "hint": end.hint, "traceback": end.traceback}
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    try:
        write_json(job_dir.kernel / RANK_FILE.format(rank), {**told, "for_all": for_all})
    except OSError as error:
        warn(f"rank {rank} can't leave word of how it ended: {error}")
        print(end.traceback or end.error, file=sys.stderr)
    if end.status == "failed":
        warn(f"rank {rank} failed: {end.error}")


def _code_of(error: BaseException | None) -> int:
    code = error.code if isinstance(error, SystemExit) else None
    return code if type(code) is int and 0 < code < 256 else 1


def _cancel_requested(job_dir: JobDir) -> bool:
    return ControlReader(job_dir.control_file).wish().desired is Desired.CANCELLED


def _written_to(job_dir: JobDir) -> list[Path]:
    folders = [job_dir.path, Path(tempfile.gettempdir())]
    with contextlib.suppress(OSError):
        folders.append(Path.cwd())
    return folders


def _insist(code: int) -> None:
    """Leave without what does not end: the launcher, and with it the job, would wait for it for ever."""
    time.sleep(boot.EXIT_GRACE_SECONDS)
    os._exit(code)


def _end_with(parent: int) -> None:
    """End when the launcher is gone, which was killed: nobody else would end this process then."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # By its name, so that what is in here is there once, whatever becomes of `__main__`.
    from jupyter_trainlive.training import rank

    sys.exit(rank.main())
