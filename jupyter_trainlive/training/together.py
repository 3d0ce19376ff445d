"""Several processes that train together: all of them wait, go on and stop behind the same step.

Rank 0 alone reads what the server wants. When that changes it says, at the end of its step k, that it is to be heeded
behind step k + 1, in a file that every rank reads at the end of each of its steps. No other one can have ended
step k + 1 by then, since that takes the gradients of rank 0.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..protocol.control import ControlReader, Desired, Wish
from ..protocol.jobdir import JobDir
from ..protocol.journal import JournalWriter, Record
from .control import NO_RELEASE, Gate
from .recorder import Recorder, warn
from .watch import NonFiniteLoss

_DESIRED = tuple(Desired)
#: Which of those, the request, the step; and behind them a checksum, since a read may meet a write half-way.
_CONTENT, _CHECKSUM = struct.Struct("<Bqq"), struct.Struct("<I")
_BYTES = _CONTENT.size + _CHECKSUM.size
#: After so many logs without the end of a step in between, steps are not counted here.
_MOST_UNCOUNTED = 10


@dataclass(frozen=True)
class Agreed:
    """What all ranks heed behind their step `step`, and from then on."""

    wish: Wish = field(default_factory=Wish)
    step: int = 0


class Agreement:
    """The file in which rank 0 tells the others. It is a few bytes, written in their place.

    Every rank has it open from its start: neither a full disk nor a lack of file descriptors must make one of them
    miss what the others heed.
    """

    def __init__(self, job_dir: JobDir) -> None:
        self._file = os.open(_agreement_file(job_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seen = b""
        self._agreed = Agreed()

    def write(self, agreed: Agreed) -> None:
        """Tell all; raises OSError where that can't be."""
        content = _CONTENT.pack(_DESIRED.index(agreed.wish.desired), agreed.wish.request, agreed.step)
        if os.pwrite(self._file, content + _CHECKSUM.pack(zlib.crc32(content)), 0) != _BYTES:
            raise OSError("only a part of it could be written")

    def read(self) -> Agreed:
        """What was told last."""
        data = os.pread(self._file, _BYTES, 0)
        if data != self._seen and len(data) == _BYTES:
            content = data[: _CONTENT.size]
            if _CHECKSUM.pack(zlib.crc32(content)) == data[_CONTENT.size :]:
                which, request, step = _CONTENT.unpack(content)
                self._seen, self._agreed = data, Agreed(Wish(_DESIRED[which], request), step)
        return self._agreed

    def close(self) -> None:
        os.close(self._file)


def begin(job_dir: JobDir) -> None:
    """Let nothing be agreed on, whatever the ranks of an earlier attempt had; raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _agreement_file(job_dir).unlink()
    agreement = Agreement(job_dir)
    try:
        # There is room for it from now on.
        agreement.write(Agreed())
    finally:
        agreement.close()


def _agreement_file(job_dir: JobDir) -> Path:
    return job_dir.kernel / "agreement"


class Steps:
    """Counts the steps that this rank has ended, as every rank does, whatever the trainers in it count.

    The end of a trainer's epoch, or the begin of another trainer, ends no step: a rank may come there without
    waiting for the others.
    """

    def __init__(self) -> None:
        self.done = 0
        self._last: int | None = None

    def begin(self, step: int) -> None:
        """A trainer begins with `step` steps done."""
        self._last = step

    def see(self, step: int | None) -> None:
        """This rank is behind `step` of its trainer's."""
        if step is None:
            return
        if self._last is not None and step > self._last:
            self.done += 1
        self._last = step


class Leader:
    """What rank 0 heeds: what it has told all to heed, once that step is done."""

    def __init__(self, job_dir: JobDir, steps: Steps) -> None:
        self.wanted = ControlReader(job_dir.control_file)
        self._agreement = Agreement(job_dir)
        self._steps = steps
        #: What was told last.
        self._said = Agreed()
        self._stop = False
        self._warned = False

    def stop(self) -> None:
        """Have all ranks stop, whatever the server wants."""
        self._stop = True

    def unchanged(self) -> bool:
        return False

    def wish(self) -> Wish:
        done, said = self._steps.done, self._said
        if done < said.step:
            # The others may have read it, so it stays so until they all are there.
            return Wish()
        wanted = Wish(Desired.CANCELLED) if self._stop else self.wanted.wish()
        if wanted.desired is Desired.RELEASED:
            # Which the gate refuses, and the training goes on.
            return wanted if self._tell(Agreed()) else said.wish
        if wanted.desired is said.wish.desired and (said.wish == wanted or wanted.desired is Desired.RUNNING):
            return said.wish
        # Those who are held are all behind this very step, or come there without another one.
        soon = done if said.wish.desired is Desired.PAUSED else done + 1
        step = 0 if wanted.desired is Desired.RUNNING else soon
        if not self._tell(Agreed(wanted, step)):
            return said.wish
        return wanted if step <= done else Wish()

    def close(self) -> None:
        self._agreement.close()

    def _tell(self, agreed: Agreed) -> bool:
        """Whether all have been told, or know it already."""
        if agreed == self._said:
            return True
        try:
            self._agreement.write(agreed)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warn(f"the training goes on as it is, since its processes can't be told otherwise: {error}")
            return False
        self._said = agreed
        return True


class Follower:
    """What every other rank heeds."""

    def __init__(self, job_dir: JobDir, steps: Steps) -> None:
        self._agreement = Agreement(job_dir)
        self._steps = steps

    def unchanged(self) -> bool:
        return False

    def wish(self) -> Wish:
        agreed = self._agreement.read()
        return agreed.wish if agreed.step <= self._steps.done else Wish()

    def close(self) -> None:
        self._agreement.close()


class TogetherGate(Gate):
    """The gate of a rank; to be asked at the end of each step, so it never says beforehand that it is open."""

    def __init__(self, job_dir: JobDir, recorder: Recorder, *, leads: bool) -> None:
        self.steps = Steps()
        self._leader = Leader(job_dir, self.steps) if leads else None
        super().__init__(job_dir, recorder, self._leader or Follower(job_dir, self.steps))
        self._counts = False
        self._passed = 0

    def ask(self, step: int | None, *, no_release: str | None = None) -> Desired:
        self._see(step)
        return super().ask(step, no_release=no_release or NO_RELEASE)

    def hold(self, step: int | None, *, no_release: str) -> None:
        self._see(step)
        super().hold(step, no_release=no_release)

    def passed(self) -> bool:
        self._passed += 1
        return not self._counts and self._passed >= _MOST_UNCOUNTED

    @property
    def open(self) -> bool:
        return False

    def decline(self, reason: str) -> None:
        if self._leader is not None:
            wish = self._leader.wanted.wish()
            if wish.desired in (Desired.PAUSED, Desired.RELEASED):
                self._refuse(wish.request, reason)

    def stop(self) -> None:
        """Have all ranks stop behind the next step; of rank 0 alone."""
        if self._leader is not None:
            self._leader.stop()

    def _see(self, step: int | None) -> None:
        self._counts = self._counts or step is not None
        self.steps.see(step)


class RankRecorder(Recorder):
    """The recorder of rank 0, which goes on where the job's kernel has stopped writing."""

    together = True
    gate: TogetherGate

    def __init__(self, job_dir: JobDir, **options: Any) -> None:
        super().__init__(job_dir, **options)
        self.gate = TogetherGate(job_dir, self, leads=True)
        #: Why all were to stop.
        self.reason: NonFiniteLoss | None = None
        self.fold_again()

    def segment(self, *, step: int, **values: Any) -> None:
        self.gate.steps.begin(step)
        super().segment(step=step, **values)

    def to_stop(self, error: NonFiniteLoss) -> None:
        self.reason = error
        if self.trainer_runs:
            # One alone would leave the others waiting for it.
            self.gate.stop()
        else:
            super().to_stop(error)


class QuietRecorder(Recorder):
    """The recorder of any other rank: it counts and can be held, and records nothing."""

    together = True
    gate: TogetherGate

    def __init__(self, job_dir: JobDir, **options: Any) -> None:
        super().__init__(job_dir, **options)
        self.gate = TogetherGate(job_dir, self, leads=False)

    def segment(self, *, step: int, **values: Any) -> None:
        self.gate.steps.begin(step)
        super().segment(step=step, **values)

    def to_stop(self, error: NonFiniteLoss) -> None:
        """Rank 0 sees to it."""

    def _open_journal(self) -> JournalWriter:
        return _Nowhere()

    def _record(self, kind: str, values: Record, *, now: bool = False) -> None:
        return

    def _record_numbers(self, names: tuple[str, ...], record: Record) -> None:
        return

    def note_seeds(self, **seeds: int) -> None:
        return


class _Nowhere(JournalWriter):
    """A journal that nobody keeps."""

    def __init__(self) -> None:
        self._seq = 0

    def append(self, kind: str, **values: Any) -> int:
        return 0

    def append_finite(self, kind: str, values: Record) -> tuple[int, float]:
        return 0, 0.0

    def close(self) -> None:
        return
