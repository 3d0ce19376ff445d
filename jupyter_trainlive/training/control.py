"""The gate: how the training learns, between two steps, what the server wants of it."""

from __future__ import annotations

from ..protocol.control import ControlReader, Desired
from ..protocol.jobdir import JobDir


class Cancelled(Exception):
    """Unwinds the work of a job whose cancellation was asked for.

    An ordinary exception, so that the `except Exception` which cleans up in somebody's training loop sees
    it as it would see any other reason to stop.
    """


class Gate:
    """Asked between two steps. Costs one `stat` while nothing changes."""

    def __init__(self, job_dir: JobDir) -> None:
        self._reader = ControlReader(job_dir.control_file)
        self._heeded = False

    def cancel_requested(self) -> bool:
        """Whether the work should stop here; who asks and is told so is expected to stop."""
        if self._reader.desired() is Desired.CANCELLED:
            self._heeded = True
            return True
        return False

    @property
    def heeded(self) -> bool:
        """Whether anybody was told to stop.

        Work that returns after that was cut short, however normally it returned; work that returns while
        a cancellation nobody saw lies there is complete.
        """
        return self._heeded
