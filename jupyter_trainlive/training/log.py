"""`log`: numbers from any loop, recorded with the job this process belongs to."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from .control import NO_RELEASE
from .owner import TRACKED_VARIABLE, job_dir_of_this_process
from .recorder import Recorder, current, warn
from .watch import NonFiniteLoss

_TOGETHER = "Several processes train together, and would not wait for each other; this job can't be paused."

_told = False


def log(
    values: Mapping[str, object],
    *,
    step: object = None,
    epoch: object = None,
    total_steps: object = None,
) -> None:
    """Record numbers by name at a step: ``log({"loss": 0.2}, step=10)``.

    Names are strings of up to 200 characters; the ones that messages and charts know are ``loss``,
    ``eval_loss``, ``learning_rate``, ``grad_norm`` and ``samples_per_second``. Numbers are Python's, NumPy's
    or torch's; NaN and infinities are kept. ``step`` counts steps done; without it the numbers go to the
    trainer's step while a trainer counts, and else to the step after the last one, beginning with 1.
    ``total_steps`` lets progress and remaining time be known.

    What was logged is safe when the call returns. Outside of a job and of ``track`` nothing is recorded, which is said
    once; in a child of the recording process (a data loader worker) nothing is recorded either.

    A job that is paused waits in here, in the main thread of a loop without a trainer, until it is resumed
    or cancelled.

    Raises TypeError or ValueError, naming the key, where a value is no number or a name no usable string, and
    NonFiniteLoss (of `jupyter_trainlive.training.watch`) in a job with ``stop_on_nan`` once ``loss`` or
    ``grad_norm`` was NaN or infinite in ``nan_patience`` logs in a row: let it end the loop.
    """
    recorder = current()
    if recorder is not None:
        recorder.metrics(values, step=step, epoch=epoch, total_steps=total_steps)
        if step is not None:
            recorder.said = recorder.step
        if recorder.stop is not None:
            # A new one each time, since a traceback grows with every raise.
            raise NonFiniteLoss(*recorder.stop.args)
        if not recorder.gate.open:
            between_steps(recorder)
    elif job_dir_of_this_process() is None:
        say_that_nothing_is_recorded()


def between_steps(recorder: Recorder) -> None:
    """Heed a pause, unless a trainer or another thread than the one that trains is in here."""
    if recorder.trainer_runs or threading.current_thread() is not threading.main_thread():
        return
    if recorder.together:
        # Not all of them may log; where their optimizers step they all wait.
        if recorder.gate.passed():
            recorder.gate.decline(_TOGETHER)
    elif os.environ.get("WORLD_SIZE", "1") != "1":
        recorder.gate.decline(_TOGETHER)
    else:
        recorder.gate.hold(recorder.step, no_release=NO_RELEASE)


def say_that_nothing_is_recorded() -> None:
    """Tell, once a process, that it belongs to no job, and what to do to have one."""
    global _told
    if not _told:
        _told = True
        if TRACKED_VARIABLE in os.environ:
            # A child of the process that records.
            return
        warn(
            "this process is not a job, so nothing is recorded; to record it, put it into a block "
            'with jupyter_trainlive.track("name"):, or run it as a job, with %%trainlive on top of the cell or '
            'jupyter_trainlive.launch("train.py")'
        )


def keep_quiet() -> None:
    """This process rightly records nothing: another one of the same training does."""
    global _told
    _told = True
