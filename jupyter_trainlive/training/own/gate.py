"""The gate of a process of the user's own: nobody ends it by force, so it is told to stop at its step."""

from __future__ import annotations

from ...protocol.control import Desired
from ..control import Gate
from ..recorder import Recorder

#: What a training does that has heard that it should stop: from here on it is not even interrupted, since it may be
#: saving what it has.
STOPPING = "stopping"


class OwnGate(Gate):
    """As any gate, but a loop without a trainer is told of a cancellation, once, by KeyboardInterrupt."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder.job_dir, recorder)
        self._recorder = recorder

    def ask(self, step: int | None, *, no_release: str | None = None) -> Desired:
        wanted = super().ask(step, no_release=no_release)
        if wanted is Desired.CANCELLED:
            self._recorder.phase(STOPPING)
        return wanted

    def hold(self, step: int | None, *, no_release: str) -> None:
        if self._wait(step, no_release).desired is not Desired.CANCELLED or self._heeded:
            return
        self._heeded = True
        self._recorder.phase(STOPPING)
        raise KeyboardInterrupt("this training was cancelled")
