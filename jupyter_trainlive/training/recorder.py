"""The recorder: writes down what a training does, so that nothing of it is lost with the process.

A record is in the kernel's page cache when the call returns: no thread and no queue, so a SIGKILL right
after costs nothing. Then the doorbell rings; whether anybody listens makes no difference here.
"""

from __future__ import annotations

import math
import operator
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.doorbell import Doorbell
from ..protocol.jobdir import JobDir, write_json
from ..protocol.journal import JournalWriter, Record
from ..protocol.messages import progress_message
from ..protocol.states import Job, Journal, ServerFacts, fold
from .control import Gate
from .owner import claim, is_ours, job_dir_of_this_process

NAME_LIMIT = 200
#: progress.json is for pollers that come once a second.
PROGRESS_INTERVAL_SECONDS = 1.0
#: So many records are folded together at the most: about a millisecond's work.
_FOLD_AT_ONCE = 250


class Recorder:
    """Appends to a job's training journal, rings the doorbell and keeps progress.json.

    Safe to call from several threads; a forked child records nothing. A disk that refuses a record costs
    that record and one warning, never the training. Raises OSError where the journal can't be opened.
    """

    def __init__(self, job_dir: JobDir, clock: Callable[[], float] = time.time) -> None:
        self.job_dir = job_dir
        self.gate = Gate(job_dir)
        self._clock = clock
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._journal = JournalWriter(job_dir.training_journal, clock)
        self._doorbell = Doorbell(job_dir.path.parent, job_dir.job_id)
        self._job = Job(job_dir.job_id, server=ServerFacts(starting_at=clock()))
        #: Written, but not yet part of `_job`: folding waits until progress.json is due.
        self._unfolded: list[Record] = []
        self._progress_at = -math.inf
        self._step: int | None = None
        self._trainer_counts = False
        self._phase: str | None = None
        self._ended = False
        self._warned = False

    def start(self) -> None:
        """The training side is up."""
        self._record("start", {}, now=True)

    def phase(self, name: str) -> None:
        """What the training is doing from now on; saying the same again records nothing."""
        if name != self._phase:
            self._phase = name
            self._record("phase", {"name": name}, now=True)

    def segment(self, *, step: int, total_steps: int | None, total_epochs: float | None) -> None:
        """A trainer begins that counts its own steps: `step` are done, of `total_steps`."""
        with self._lock:
            self._trainer_counts = True
            self._step = step
        values = {"step": step, "total_steps": total_steps, "total_epochs": total_epochs}
        self._record("segment", values, now=True)

    def at_step(self, step: int) -> None:
        """A trainer has done `step` steps; records nothing, but `metrics` without a step goes there."""
        self._step = step

    def metrics(
        self,
        values: Mapping[str, object],
        *,
        step: object = None,
        epoch: object = None,
        total_steps: object = None,
    ) -> None:
        """Record numbers by name at a step.

        Numbers are Python's, or what has `.item()` giving one (NumPy's and torch's scalars); NaN and
        infinities are numbers. Without `step` they go to the trainer's step while a trainer counts, and
        else to the step after the last one (1 at first: steps are counted when done).

        Raises TypeError or ValueError, which names the key, where something else is given.
        """
        if os.getpid() != self._pid:
            return
        if not isinstance(values, Mapping):
            raise TypeError(f"log takes a dict of numbers by name, not {_kind(values)}")
        record: Record = {
            "step": None,
            "values": {_name(key): _number(key, item) for key, item in values.items()},
        }
        if epoch is not None:
            record["epoch"] = _number("epoch", epoch)
        if total_steps is not None:
            record["total_steps"] = _count("total_steps", total_steps)
        given = None if step is None else _count("step", step)
        with self._lock:
            if given is None:
                given = (self._step or 0) + (0 if self._trainer_counts else 1)
            record["step"] = self._step = given
            self._record("metrics", record)

    def checkpoint(self, step: int, path: str) -> None:
        """A checkpoint of `step` is complete at `path`, relative to the job's directory if inside it."""
        self._record("checkpoint", {"step": step, "path": path})

    def artifact(self, path: str) -> None:
        """A result is complete at `path`, relative to the job's directory."""
        self._record("artifact", {"path": path})

    def end(self, status: str, error: str | None = None, hint: str | None = None, traceback: str | None = None) -> None:
        """How the work ended: ``completed``, ``failed`` or ``cancelled``; only the first call counts."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        details = {"error": error, "hint": hint, "traceback": traceback}
        given = {key: value for key, value in details.items() if value is not None}
        self._record("end", {"status": status, **given}, now=True)

    def close(self) -> None:
        """Let go of the journal and the doorbell; nothing is recorded afterwards."""
        with self._lock:
            self._pid = -1
            self._journal.close()
            self._doorbell.close()

    def _record(self, kind: str, values: Record, *, now: bool = False) -> None:
        """Append and ring; `now` replaces progress.json at once."""
        # Before the lock: another thread may have held it when this process was forked.
        if os.getpid() != self._pid:
            return
        with self._lock:
            try:
                seq = self._journal.append(kind, **values)
            except OSError as error:
                self._warn(error)
                return
            t = self._clock()
            self._unfolded.append({"seq": seq, "t": t, "kind": kind, **values})
            if now or t - self._progress_at >= PROGRESS_INTERVAL_SECONDS or t < self._progress_at:
                self._write_progress(t)
            elif len(self._unfolded) >= _FOLD_AT_ONCE:
                self._fold()
        self._doorbell.ring()

    def _fold(self) -> None:
        for record in self._unfolded:
            self._job = fold(self._job, Journal.TRAINING, record)
        self._unfolded.clear()

    def _write_progress(self, t: float) -> None:
        self._progress_at = t
        self._fold()
        try:
            write_json(self.job_dir.progress_file, progress_message(self._job, t))
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warn(f"the training goes on, but not everything can be recorded: {error}")


def warn(text: str) -> None:
    """One line for the job's log. Not `warnings.warn`, which a user's filter may turn into an exception."""
    try:
        print(f"jupyter_trainlive: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        # A full disk, a closed or a missing stderr: then there is nobody to tell.
        return


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _name(key: object) -> str:
    if type(key) is str and 0 < len(key) <= NAME_LIMIT:
        return key
    if not isinstance(key, str):
        raise TypeError(f"the name {key!r} must be a string, not {_kind(key)}")
    if not key:
        raise ValueError("a name must not be empty")
    if len(key) > NAME_LIMIT:
        raise ValueError(f"the name {key[:40]!r}… has {len(key)} characters; {NAME_LIMIT} are allowed")
    return str(key)


def _number(key: object, value: object) -> float | int:
    if type(value) is float or type(value) is int:
        return value
    if hasattr(value, "item") and not isinstance(value, (str, bool)):
        try:
            value = value.item()
        except (ValueError, RuntimeError, TypeError):
            raise TypeError(f"{key!r} must be one number, but this {type(value).__name__} holds several") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{key!r} must be a number, not {_kind(value)}")
    return int(value) if isinstance(value, int) else float(value)


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{key} must be a whole number, not a bool")
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{key} must be a whole number, not {_kind(value)}") from None
    if count < 0:
        raise ValueError(f"{key} must not be negative, but is {count}")
    return count


_current: Recorder | None = None
_current_pid: int | None = None
_current_lock = threading.Lock()


def current() -> Recorder | None:
    """The recorder of this process, or None where this process records for no job.

    The first process of a job that asks is the one that records; a forked or spawned child gets None.
    """
    global _current, _current_pid
    if _current_pid == os.getpid():
        return _current
    if _current_pid is not None:
        # A fork of the process that had asked before; the lock may be held by a thread that is not here.
        return None
    with _current_lock:
        if _current_pid is None:
            _current = _of_this_process()
            _current_pid = os.getpid()
        return _current


def _of_this_process() -> Recorder | None:
    job_dir = job_dir_of_this_process()
    if job_dir is None:
        return None
    try:
        if claim(job_dir):
            recorder = Recorder(job_dir)
            recorder.start()
            return recorder
        return Recorder(job_dir) if is_ours(job_dir) else None
    except OSError as error:
        warn(f"nothing can be recorded in {job_dir.path}: {error}")
        return None
