"""`log`: numbers from any loop, recorded with the job this process belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from .owner import job_dir_of_this_process
from .recorder import current, warn

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

    What was logged is safe when the call returns. Outside a job nothing is recorded, which is said once; in a
    child of the recording process (a data loader worker) nothing is recorded either.

    Raises TypeError or ValueError, naming the key, where a value is no number or a name no usable string.
    """
    recorder = current()
    if recorder is not None:
        recorder.metrics(values, step=step, epoch=epoch, total_steps=total_steps)
    elif job_dir_of_this_process() is None:
        say_that_nothing_is_recorded()


def say_that_nothing_is_recorded() -> None:
    """Tell, once a process, that it belongs to no job, and what to do to have one."""
    global _told
    if not _told:
        _told = True
        warn(
            "this process is not a job, so nothing is recorded; to record it, run it as one, "
            'with %%trainlive on top of the cell or jupyter_trainlive.launch(code="…")'
        )
