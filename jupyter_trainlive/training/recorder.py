"""The recorder: writes down what a training does, so that nothing of it is lost with the process.

A record is in the kernel's page cache when the call returns: no thread and no queue, so a SIGKILL right
after costs nothing. Then the doorbell rings; whether anybody listens makes no difference here.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from ..protocol.doorbell import Doorbell
from ..protocol.facts import ServerFacts, TrainingFacts
from ..protocol.jobdir import JobDir, write_json
from ..protocol.journal import JournalReader, JournalWriter, Record
from ..protocol.messages import message
from ..protocol.states import Job, Journal, fold_all
from ..protocol.watching import thresholds
from . import environment
from .control import Gate
from .numbers import MOST_COUNT, checked_count, checked_name, checked_number, kind_of
from .owner import attempt_of_this_process, claim, is_ours, job_dir_of_this_process
from .watch import NON_FINITE, PATIENCE, Eye, NonFiniteLoss, Watch

#: progress.json is for pollers that come once a second.
PROGRESS_INTERVAL_SECONDS = 1.0
#: So many combinations of names are remembered; who makes up new ones all the time pays for it.
_MOST_NAMES = 250


#: Counts up in a forked child: what was made before the fork is its parent's. To ask for the pid would call the system.
_process = 0


def _forked() -> None:
    global _process
    _process += 1


os.register_at_fork(after_in_child=_forked)


class Recorder:
    """Appends to a job's training journal, rings the doorbell and keeps progress.json.

    Safe to call from several threads; a forked child records nothing. A disk that refuses a record costs
    that record and one warning, never the training. A loss that is no finite number for `nan_patience` logs
    in a row is an alert, and with `stop_on_nan` a reason to stop; `alerts` are the thresholds of other ones, as
    `protocol.watching` has them. Raises OSError where the journal can't be opened.
    """

    #: Whether this is one of several processes that train, and that its gate holds and stops all behind the same step.
    together = False

    def __init__(
        self,
        job_dir: JobDir,
        clock: Callable[[], float] = time.time,
        *,
        attempt: int = 1,
        nan_patience: int = PATIENCE,
        stop_on_nan: bool = False,
        alerts: object = None,
    ) -> None:
        self.job_dir = job_dir
        self.attempt = attempt
        self.gate = Gate(job_dir, self)
        self.watch = Watch(nan_patience, thresholds(alerts))
        self._stop_on_nan = stop_on_nan
        #: Why the training should stop at this step, where it should: to be raised by whoever can.
        self.stop: NonFiniteLoss | None = None
        self._clock = clock
        self._process = _process
        self._lock = threading.RLock()
        self._journal = self._open_journal()
        self._doorbell = Doorbell(job_dir.path.parent, job_dir.job_id)
        self._job = Job(job_dir.job_id, server=ServerFacts(attempt, starting_at=clock()))
        #: Combinations of names that are known to be good, and who watches their numbers.
        self._names: dict[tuple[str, ...], Eye] = {}
        #: By their names, the newest numbers (seq, t, record) that are written but not yet part of `_job`: folding
        #: waits until progress.json is due.
        self._unfolded: dict[tuple[str, ...], tuple[int, float, Record]] = {}
        #: Whether others have written to the journal, so that it must be read before the next message.
        self._behind = False
        #: Whether the time from which the speed is reckoned is known: the record that sets it is folded at once.
        self._anchored = False
        self._progress_at = -math.inf
        self._step: int | None = None
        self._trainer_counts = False
        #: Whether a trainer is at work, which asks the gate by itself.
        self.trainer_runs = False
        #: The step that the last log has named by itself; taken by who counts steps as well.
        self.said: int | None = None
        self._phase: str | None = None
        self._ended = False
        self._warned = False

    def start(self) -> None:
        """The training side of this attempt is up."""
        self._record("start", {"attempt": self.attempt}, now=True)

    def phase(self, name: str) -> None:
        """What the training is doing from now on; saying the same again records nothing."""
        if name != self._phase:
            self._phase = name
            self._record("phase", {"name": name}, now=True)

    def segment(
        self,
        *,
        step: int,
        total_steps: int | None,
        total_epochs: float | None,
        checkpoints: bool = False,
        trainer: bool = True,
    ) -> None:
        """A trainer begins that counts its own steps: `step` are done, of `total_steps`.

        `checkpoints` says whether the job can go on in another process from one that it writes. Without `trainer` it
        is a loop of somebody's own whose optimizer is watched: it can be held, but not told to stop.
        """
        with self._lock:
            self._trainer_counts, self.trainer_runs = True, trainer
            self._step = step
            self.watch.begin()
        values = {"step": step, "total_steps": total_steps, "total_epochs": total_epochs, "checkpoints": checkpoints}
        self._record("segment", values if trainer else {**values, "trainer": False}, now=True)
        self.note_seeds()

    def note_seeds(self, **seeds: int) -> None:
        """Add to environment.json what shows only when a trainer begins, its own seeds by their names for one."""
        environment.training_begins(self.job_dir, seeds)

    def segment_over(self) -> None:
        """The trainer has returned; records nothing."""
        self.trainer_runs = False

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
        aside: bool = False,
    ) -> None:
        """Record numbers by name at a step.

        Numbers are Python's, or what has `.item()` giving one (NumPy's and torch's scalars); NaN and
        infinities are numbers. Without `step` they go to the trainer's step while a trainer counts, and
        else to the step after the last one (1 at first: steps are counted when done). `aside` says that `step`
        counts something else than the job's steps: it is a place in a curve and no more.

        Raises TypeError or ValueError, which names the key, where something else is given.
        """
        if self._process != _process:
            return
        if type(values) is not dict and not isinstance(values, Mapping):
            raise TypeError(f"log takes a dict of numbers by name, not {kind_of(values)}")
        names = tuple(values)
        eye = self._names.get(names)
        if eye is None:
            eye = self._check_names(names)
        numbers = {key: item if type(item) is float else checked_number(key, item) for key, item in values.items()}
        given = step if step is None or (type(step) is int and 0 <= step <= MOST_COUNT) else checked_count("step", step)
        more: Record = {}
        if epoch is not None:
            more["epoch"] = checked_number("epoch", epoch)
        if total_steps is not None:
            more["total_steps"] = checked_count("total_steps", total_steps)
        try:
            # A sum is quicker than a look at each, and one that is not finite spoils it.
            finite = math.isfinite(sum(numbers.values()))
        except OverflowError:
            finite = False
        with self._lock:
            if given is None:
                given = (self._step or 0) + (0 if self._trainer_counts else 1)
            if aside:
                more["aside"] = True
            else:
                self._step = given
            record = {"step": given, "values": numbers, **more}
            if finite:
                self._record_numbers(names, record)
            else:
                self._record("metrics", record)
            try:
                told = eye.see(given, numbers, finite) if eye.watches else None
            except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
                told = None
                self._watches_no_more(error)
        if told:
            self._tell(told, given)

    def _tell(self, told: list[tuple[str, str]], step: int) -> None:
        """Record what the watch has to say of a log."""
        for name, sentence in told:
            self.alert(name, sentence, step)
            if name == NON_FINITE and self._stop_on_nan:
                self.to_stop(NonFiniteLoss(sentence))

    def _watches_no_more(self, error: Exception) -> None:
        self.watch.close()
        self._names.clear()
        warn(f"the training goes on, but its numbers are watched no more: {type(error).__name__}: {error}")

    def to_stop(self, error: NonFiniteLoss) -> None:
        """Have the training stop for that reason."""
        self.stop = error

    @property
    def step(self) -> int | None:
        """The step that was recorded last."""
        return self._step

    @property
    def job(self) -> Job:
        """The job as far as it is known here: what this process has recorded of it."""
        with self._lock:
            self._fold()
            return self._job

    def held(self, request: int, step: int | None) -> None:
        """The training waits behind `step`, as request `request` wanted."""
        with self._lock:
            server = replace(self._job.server, pause="hold", pause_request=request)
            self._job = replace(self._job, server=server)
        self._record("held", {"request": request, "step": step}, now=True)

    def resumed(self, step: int | None) -> None:
        """The training goes on behind `step`."""
        with self._lock:
            self._job = replace(self._job, server=replace(self._job.server, pause=None))
        self._record("resumed", {"step": step}, now=True)

    def pause_refused(self, request: int, error: str) -> None:
        """What request `request` wanted can't be done, and the training goes on."""
        self._record("pause_refused", {"request": request, "error": error}, now=True)

    def alert(self, name: str, message: str, step: int | None = None) -> None:
        """Something that the user should know, in a sentence."""
        self._record("alert", {"name": name, "message": message, "step": step})

    def checkpoint(self, step: int, path: str) -> None:
        """A checkpoint of `step` is complete at `path`, relative to the job's directory if inside it."""
        self._record("checkpoint", {"step": step, "path": path})

    def checkpoint_at(self, step: int, path: Path) -> None:
        """The same, for who knows only where it lies."""
        path, root = path.absolute(), self.job_dir.path.absolute()
        self.checkpoint(step, str(path.relative_to(root) if path.is_relative_to(root) else path))

    def artifact(self, path: str) -> None:
        """A result is complete at `path`, relative to the job's directory."""
        self._record("artifact", {"path": path})

    def end(self, status: str, error: str | None = None, hint: str | None = None, traceback: str | None = None) -> None:
        """How the work ended: ``completed``, ``failed``, ``cancelled`` or ``released``; only the first call counts."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        details = {"error": error, "hint": hint, "traceback": traceback}
        given = {key: value for key, value in details.items() if value is not None}
        self._record("end", {"status": status, **given}, now=True)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let another process record for this attempt meanwhile: what is asked of this recorder leaves no record."""
        with self._lock:
            self._process = -1
            self._journal.close()
        try:
            yield
        finally:
            with self._lock:
                self._journal = self._open_journal()
                self._process = _process
                self.fold_again()

    def fold_again(self) -> None:
        """Others have written to the journal: let what they wrote be part of the next message."""
        self._behind = True

    def kept(self, until: float) -> bool:
        """The kernel stays for its user until then (Unix seconds) at most; whether that and the end are written."""
        self._record("kept", {"until": until}, now=True)
        training = self._job.training
        return training.end is not None and training.kept_until is not None

    @property
    def ended(self) -> bool:
        """Whether the work has ended: what is trained after that, in a kept kernel, is no part of it."""
        return self._ended

    def close(self) -> None:
        """Let go of the journal and the doorbell; nothing is recorded afterwards."""
        with self._lock:
            self._process = -1
            self._journal.close()
            self._doorbell.close()

    def _open_journal(self) -> JournalWriter:
        return JournalWriter(self.job_dir.training_journal, self._clock)

    def _check_names(self, names: tuple[str, ...]) -> Eye:
        """Who watches them; raises where one of them may not be logged."""
        for name in names:
            checked_name(name)
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        eye = self._names[names] = self.watch.eye(names)
        return eye

    def _record_numbers(self, names: tuple[str, ...], record: Record) -> None:
        """Append finite numbers and ring: as `_record` does, but at the least cost."""
        try:
            seq, t = self._journal.append_finite("metrics", record)
        except OSError as error:
            self._warn(error)
            return
        # Of those of the same names only the newest can be in progress.json.
        self._unfolded[names] = (seq, t, record)
        if t - self._progress_at >= PROGRESS_INTERVAL_SECONDS or t < self._progress_at:
            self._write_progress(t)
        elif not self._anchored or len(self._unfolded) >= _MOST_NAMES:
            self._fold()
        self._doorbell.ring(t)

    def _record(self, kind: str, values: Record, *, now: bool = False) -> None:
        """Append and ring; `now` replaces progress.json at once."""
        # Before the lock: another thread may have held it when this process was forked.
        if self._process != _process:
            return
        with self._lock:
            try:
                seq = self._journal.append(kind, **values)
            except OSError as error:
                self._warn(error)
                return
            t = self._clock()
            self._fold({"seq": seq, "t": t, "kind": kind, **values})
            if now or t - self._progress_at >= PROGRESS_INTERVAL_SECONDS or t < self._progress_at:
                self._write_progress(t)
        self._doorbell.ring()

    def _fold(self, *records: Record) -> None:
        if self._behind:
            # The new ones are in it as well.
            self._behind = False
            self._unfolded.clear()
            self._job = replace(self._job, training=TrainingFacts())
            reader = JournalReader(self.job_dir.training_journal)
            while more := reader.read():
                self._job = fold_all(self._job, Journal.TRAINING, more)
            self._anchored = self._job.training.anchor is not None
            return
        metrics = [
            {"seq": seq, "t": t, "kind": "metrics", **record}
            for seq, t, record in sorted(self._unfolded.values(), key=itemgetter(0))
        ]
        self._unfolded.clear()
        self._job = fold_all(self._job, Journal.TRAINING, (*metrics, *records))
        self._anchored = self._job.training.anchor is not None

    def _write_progress(self, t: float) -> None:
        self._progress_at = t
        self._fold()
        try:
            write_json(self.job_dir.progress_file, message(self._job, t))
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        # What another thread still wanted to record while this one was closed is nothing to complain of.
        if not self._warned and self._process == _process:
            self._warned = True
            warn(f"the training goes on, but not everything can be recorded: {error}")


def warn(text: str) -> None:
    """One line for the job's log. Not `warnings.warn`, which a user's filter may turn into an exception."""
    try:
        print(f"jupyter_trainlive: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        # A full disk, a closed or a missing stderr: then there is nobody to tell.
        return


_current: Recorder | None = None
#: In which process `_current` was looked for; None where it was not yet.
_current_process: int | None = None
_current_lock = threading.Lock()


def current() -> Recorder | None:
    """The recorder of this process, or None where this process records for no job.

    The first process of a job that asks is the one that records; a forked or spawned child gets None.
    """
    global _current, _current_process
    if _current_process == _process:
        return _current
    if _current_process is not None:
        # A fork of the process that had asked before; the lock may be held by a thread that is not here.
        return None
    with _current_lock:
        if _current_process is None:
            _current = _of_this_process()
            _current_process = _process
        return _current


def record_with(recorder: Recorder | None) -> None:
    """Make it the recorder of this process, which has taken over the claim, or records nothing; None: it has none."""
    global _current, _current_process
    with _current_lock:
        _current, _current_process = recorder, _process


def _of_this_process() -> Recorder | None:
    job_dir = job_dir_of_this_process()
    if job_dir is None:
        return None
    try:
        if claim(job_dir):
            recorder = of_job(job_dir, Recorder)
            recorder.start()
            return recorder
        return of_job(job_dir, Recorder) if is_ours(job_dir) else None
    except OSError as error:
        warn(f"nothing can be recorded in {job_dir.path}: {error}")
        return None


AnyRecorder = TypeVar("AnyRecorder", bound=Recorder)


def of_job(job_dir: JobDir, make: Callable[..., AnyRecorder]) -> AnyRecorder:
    """The recorder of this attempt, as patient as the job wants it."""
    try:
        spec = job_dir.read_spec()
    except (OSError, ValueError):
        spec = {}
    patience = spec.get("nan_patience")
    return make(
        job_dir,
        attempt=attempt_of_this_process(),
        nan_patience=patience if type(patience) is int and patience > 0 else PATIENCE,
        stop_on_nan=spec.get("stop_on_nan") is True,
        alerts=spec.get("alerts"),
    )
