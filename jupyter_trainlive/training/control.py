"""The gate: how the training learns, between two steps, what the server wants of it, and how it answers."""

from __future__ import annotations

import time
from typing import Protocol

from ..protocol.control import ControlReader, Desired, Wish
from ..protocol.jobdir import JobDir

#: How often a held training looks whether it may go on.
POLL_SECONDS = 0.02
#: Why work that is not a recipe's is not released.
NO_RELEASE = (
    "This job runs code of its own, which can't go on from a checkpoint in another process; hold it instead, or "
    "cancel it."
)


#: Why a trainer with several processes is not held where nothing has them agree on a step.
NOT_TOGETHER = "Several processes train together, and would not stop at the same step; this job can't be paused."


class Cancelled(Exception):
    """Unwinds the work of a job whose cancellation was asked for.

    An ordinary exception, so that the `except Exception` which cleans up in somebody's training loop sees
    it as it would see any other reason to stop.
    """


class Released(Exception):
    """Unwinds the work of a job that leaves, to go on from its checkpoint in another process."""


class Answers(Protocol):
    """Where the gate's answers go; each names the request that it answers."""

    def held(self, request: int, step: int | None) -> None:
        """The training waits behind `step`."""

    def resumed(self, step: int | None) -> None:
        """It goes on."""

    def pause_refused(self, request: int, error: str) -> None:
        """What was asked for can't be done, and the training goes on."""


class Reader(Protocol):
    """Where the gate learns what is wanted."""

    def wish(self) -> Wish:
        """What is wanted now."""

    def unchanged(self) -> bool:
        """Whether that can be nothing else than it was when it was last asked for."""


class Gate:
    """Asked between two steps by the thread that trains. Costs one `stat` while nothing changes."""

    def __init__(self, job_dir: JobDir, answers: Answers, reader: Reader | None = None) -> None:
        self._reader = reader or ControlReader(job_dir.control_file)
        self._answers = answers
        self._heeded = False
        self._idle = False
        #: The requests that the training waits for, that it leaves for, and that it refused last.
        self._held: int | None = None
        self._leaving: int | None = None
        self._refused: int | None = None

    def ask(self, step: int | None, *, no_release: str | None = None) -> Desired:
        """What to do after `step`: go on (RUNNING), leave after a checkpoint (RELEASED) or stop (CANCELLED).

        Returns only when the job isn't held (any more). `no_release` says why no checkpoint can be written
        here: then RELEASED is refused and never returned. Who asks is expected to obey.
        """
        wish = self._wait(step, no_release)
        if wish.desired is Desired.CANCELLED:
            self._heeded = True
        # Who could not obey at once is asked again, and by then it may be wished no more.
        self._leaving = wish.request if wish.desired is Desired.RELEASED else None
        return wish.desired

    def passed(self) -> bool:
        """Somebody goes by who can't wait here; whether so many have that nobody will ever ask in their stead."""
        return False

    @property
    def open(self) -> bool:
        """Whether there is nothing to heed, as nearly always: the training may simply go on."""
        if self._idle and self._reader.unchanged():
            return True
        self._idle = self._held is None and self._reader.wish().desired is Desired.RUNNING
        return self._idle

    @property
    def paused(self) -> bool:
        """Whether who asks now will wait."""
        return self._reader.wish().desired is Desired.PAUSED

    def hold(self, step: int | None, *, no_release: str) -> None:
        """Return only when the job isn't held (any more): for who can be held, but not told to stop or leave."""
        wish = self._wait(step, no_release)
        while self._held is not None and wish.desired is Desired.CANCELLED:
            # An interrupt is on its way; until it comes not one more step is done.
            time.sleep(POLL_SECONDS)
            wish = self._wait(step, no_release)

    def decline(self, reason: str) -> None:
        """Refuse a pause of any kind, if one is wished: `reason` says why it can't be."""
        wish = self._reader.wish()
        if wish.desired in (Desired.PAUSED, Desired.RELEASED):
            self._refuse(wish.request, reason)

    @property
    def leaving(self) -> bool:
        """Whether who asked was told to write a checkpoint and leave."""
        return self._leaving is not None

    def stay(self, step: int | None, reason: str) -> None:
        """The checkpoint to leave with could not be written: refuse the release, and go on."""
        request, self._leaving = self._leaving, None
        if request is not None:
            self._refuse(request, reason)
            if self._held is not None:
                self._resume(step)

    def cancel_requested(self) -> bool:
        """Whether the work should stop here; who asks and is told so is expected to stop."""
        if self._reader.wish().desired is Desired.CANCELLED:
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

    def _wait(self, step: int | None, no_release: str | None) -> Wish:
        """Wait while the job is held; returns the wish that is to be heeded then."""
        wish = self._reader.wish()
        while wish.desired is Desired.PAUSED:
            if self._held != wish.request:
                self._held = wish.request
                self._answers.held(wish.request, step)
            time.sleep(POLL_SECONDS)
            wish = self._reader.wish()
        if wish.desired is Desired.RELEASED:
            if no_release is not None:
                self._refuse(wish.request, no_release)
            if wish.request == self._refused:
                wish = Wish()
        if wish.desired is Desired.RUNNING and self._held is not None:
            self._resume(step)
        return wish

    def _resume(self, step: int | None) -> None:
        self._held = None
        self._answers.resumed(step)

    def _refuse(self, request: int, reason: str) -> None:
        if request != self._refused:
            self._refused = request
            self._answers.pause_refused(request, reason)
