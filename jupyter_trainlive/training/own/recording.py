"""One process's recording of its own training: a job that no server has started, from its directory to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...protocol.control import Wish, write_wish
from ...protocol.doorbell import Doorbell
from ...protocol.facts import fold_process
from ...protocol.jobdir import JobDir, new_job_id, write_json
from ...protocol.journal import JournalWriter, Record, append_shared
from ...protocol.messages import message
from ...protocol.presence import Presence, presence_file
from .. import environment
from ..errors import End, end_of
from ..owner import TRACKED_VARIABLE
from ..recorder import Recorder, of_job, record_with, warn
from .ends import Ends
from .gate import OwnGate

#: Frames that only lead to the user's code.
_OURS = str(Path(__file__).parent.parent)
_CUT_SHORT = "The training ended before its last step: by an exception that the code around it has handled, or an exit."


class _OwnRecorder(Recorder):
    """Records for a process that nobody ends by force."""

    def __init__(self, job_dir: JobDir, *arguments: Any, **options: Any) -> None:
        super().__init__(job_dir, *arguments, **options)
        self.gate = OwnGate(self)


class Recording:
    """A job that this process is. Its methods do nothing in a forked child.

    `trainer` is what tells the call of a trainer that it records from others, where it records no more than that.
    `finished` is called once it is over. Raises OSError where its directory can't be made.
    """

    def __init__(
        self,
        jobs_dir: Path,
        spec: dict[str, Any],
        identity: dict[str, Any],
        *,
        trainer: object = None,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        self.pid = os.getpid()
        self.name = str(spec["name"])
        self.trainer = trainer
        self._finished = finished
        self._lock = threading.Lock()
        self._ended = False
        self.job_dir = JobDir(jobs_dir / new_job_id())
        try:
            self._process, self._spawned = self._create(spec, identity)
            self._presence = Presence(presence_file(self.job_dir))
            self.recorder = of_job(self.job_dir, _OwnRecorder)
        except OSError:
            shutil.rmtree(self.job_dir.path, ignore_errors=True)
            raise
        os.environ[TRACKED_VARIABLE] = str(self.job_dir.path)
        record_with(self.recorder)
        self.recorder.start()
        environment.begin(self.job_dir, spec)
        self._ends = Ends(self, trainer=trainer is not None)

    def _create(self, spec: dict[str, Any], identity: dict[str, Any]) -> tuple[JournalWriter, Record]:
        """Write the directory; returns the journal of the process, and what stands in it."""
        job_dir = self.job_dir
        job_dir.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        job_dir.create()
        write_wish(job_dir.control_file, Wish())
        append_shared(job_dir.server_journal, "submitted", name=spec["name"], job_kind=spec["kind"])
        append_shared(job_dir.server_journal, "starting", attempt=1)
        journal = JournalWriter(job_dir.process_journal)
        spawned = {"kind": "spawned", "t": time.time(), "attempt": 1, **identity}
        journal.append("spawned", attempt=1, **identity)
        # The last, because whoever finds it takes the job for submitted.
        write_json(job_dir.spec_file, {"job_id": job_dir.job_id, **spec}, sync=True)
        return journal, spawned

    def finish(self, error: BaseException | None = None) -> None:
        """The training has ended, by that exception where it is one; only the first call counts."""
        if os.getpid() == self.pid:
            self._finish(lambda: self._end_of(error))

    def cut_short(self) -> None:
        """The training has ended, though its trainer has not said so, and how nobody knows."""
        if os.getpid() == self.pid:
            self._finish(lambda: End("cancelled") if self.cancelled() else End("failed", _CUT_SHORT))

    def between_cells(self, between: bool) -> None:
        """Whether the code is between two cells of a notebook, where nobody is to be told that it stands still."""
        self.recorder.phase("between cells" if between else "training")

    def cancelled(self) -> bool:
        """Whether the job was cancelled; who asks is expected to end it."""
        return self.recorder.gate.cancel_requested()

    def _finish(self, end_now: Callable[[], End]) -> None:
        with _uninterrupted():
            with self._lock:
                if self._ended:
                    return
                self._ended = True
            try:
                self._ends.remove()
                _flush_hooks()
                end = end_now()
                self.recorder.end(end.status, end.error, end.hint, end.traceback)
            except Exception as error:  # noqa: BLE001 - the user's own exception, if any, is the one to be seen
                warn(f"how {self.job_dir.job_id} ended can't be recorded: {type(error).__name__}: {error}")
            finally:
                record_with(None)
                os.environ.pop(TRACKED_VARIABLE, None)
                self._say_that_it_is_over()
                self._finished()
        # A process that ends at once would not have it.
        environment.wait()

    def _end_of(self, error: BaseException | None) -> End:
        gate = self.recorder.gate
        interrupted = isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))
        cancelled = gate.heeded or (interrupted and gate.cancel_requested())
        if error is None and not cancelled:
            # The same for work that returned after it was told to stop for its loss.
            error = self.recorder.stop
        module = sys.modules.get("IPython")
        ipython = (str(Path(module.__file__).parent),) if module is not None and module.__file__ else ()
        folders = [self.job_dir.path]
        with contextlib.suppress(OSError):
            folders += [Path.cwd(), Path(tempfile.gettempdir())]
        return end_of(error, cancelled=cancelled, hidden=(_OURS, *ipython), folders=folders)

    def _say_that_it_is_over(self) -> None:
        """What a shim writes of its kernel, though this process goes on: it is no job any more."""
        exited = {"code": 0, "signal": None}
        try:
            self._process.append("exited", attempt=1, **exited)
        except OSError as error:
            warn(f"the end of {self.job_dir.job_id} can't be recorded, so it counts as interrupted: {error}")
        bell = Doorbell(self.job_dir.path.parent, self.job_dir.job_id)
        bell.ring()
        bell.close()
        job = self.recorder.job
        for record in (self._spawned, {"kind": "exited", "t": time.time(), **exited}):
            job = replace(job, process=fold_process(job.process, record))
        with contextlib.suppress(OSError):
            # Nothing else says in there how it ended.
            write_json(self.job_dir.progress_file, message(job, time.time()))
        self.recorder.close()
        self._process.close()
        self._presence.end()


def _flush_hooks() -> None:
    """Have recorded what the hooks have not yet recorded."""
    try:
        from .. import hooks

        hooks.finish()
    except Exception as error:  # noqa: BLE001 - the end is recorded whatever they do
        warn(f"the last numbers could not be recorded: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """What is over is recorded as such, however impatient somebody is."""
    handler = None
    with contextlib.suppress(ValueError, OSError, TypeError):
        if threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if handler is not None:
            with contextlib.suppress(ValueError, OSError, TypeError):
                signal.signal(signal.SIGINT, handler)
