"""Noticing that a training does not make use of its GPUs, or is about to run out of their memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol.states import Job, Status
from ..system import Gpu
from .stalls import STEPPING

#: The gauges say nothing of what was between two of them that are farther apart.
_MOST_SECONDS = 5.0
#: Shorter steps are too little work to keep a GPU busy, and no data are waited for.
_LEAST_STEP_SECONDS = 0.05
#: So many steps must have been done for their time to be one.
_LEAST_STEPS = 3
#: An episode is over where the GPU is so many times as busy as would be worth telling, or so much less full.
_BUSY_AGAIN = 1.5
_LESS_FULL_PERCENT = 5.0


def gpus_of(job: Job, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Those that the job leased; those that its processes are seen on, where it leased none."""
    now = job.now
    if now.server.gpus:
        return [gpu for gpu in gpus if gpu.uuid in now.server.gpus]
    return [gpu for gpu in gpus if any(each.job_id == job.job_id for each in gpu.processes or ())]


@dataclass(frozen=True)
class IdleRule:
    """The busiest GPU of a job is idle when it is busy less than `percent` in `seconds` of training."""

    percent: float
    seconds: float


class IdleWatch:
    """Watches one job; `look` is called with each reading of its GPUs, `t` in seconds."""

    def __init__(self, rule: IdleRule) -> None:
        self._rule = rule
        self._told = False
        self._seen_at: float | None = None
        self._begin(None)

    def _begin(self, step: int | None) -> None:
        self._seconds = self._busy_seconds = 0.0
        self._step = step

    def look(self, job: Job, gpus: Sequence[Gpu], t: float) -> str | None:
        """What to tell of an idleness that was not told of yet, in a sentence."""
        before, self._seen_at = self._seen_at, t
        training = job.now.training
        known = [gpu.utilization_percent for gpu in gpus if gpu.utilization_percent is not None]
        stepping = job.status is Status.RUNNING and training.phase in STEPPING and job.step_seconds is not None
        if before is None or t < before or not known or not stepping or training.step is None:
            return None
        if self._step is None or training.step < self._step:
            self._begin(training.step)
        seconds = min(t - before, _MOST_SECONDS)
        self._seconds += seconds
        self._busy_seconds += seconds * max(known) / 100
        steps = training.step - (self._step or 0)
        if self._seconds < self._rule.seconds or steps < _LEAST_STEPS:
            return None
        percent, step_seconds = 100 * self._busy_seconds / self._seconds, self._seconds / steps
        sentence = self._sentence(gpus, percent, step_seconds)
        self._begin(training.step)
        if percent >= _BUSY_AGAIN * self._rule.percent:
            self._told = False
        if self._told or percent >= self._rule.percent or step_seconds < _LEAST_STEP_SECONDS:
            return None
        self._told = True
        return sentence

    def _sentence(self, gpus: Sequence[Gpu], percent: float, step_seconds: float) -> str:
        which = f"GPU {gpus[0].index} was" if len(gpus) == 1 else f"Its {len(gpus)} GPUs were"
        if percent == 0:
            return (
                f"{which} not used at all in {self._seconds:.0f} s of training, though steps are done: is the model on "
                "it? With gpus=0 the job leaves it to others."
            )
        return (
            f"{which} busy for {percent:.0f} % of {self._seconds:.0f} s of training, while a step took "
            f"{step_seconds:.2g} s: it waits for something else, most often for data to be loaded. More workers "
            "(dataloader_num_workers), or rows prepared beforehand, keep it busy."
        )


@dataclass(frozen=True)
class MemoryRule:
    """A GPU is nearly full when `percent` of its memory are used for `seconds`."""

    percent: float
    seconds: float


class MemoryWatch:
    """Watches the GPUs of one job; `look` is called with each reading of them, `t` in seconds."""

    def __init__(self, rule: MemoryRule) -> None:
        self._rule = rule
        #: By the GPU, since when it is nearly full; None once that was told.
        self._since: dict[str | int, float | None] = {}

    def look(self, job: Job, gpus: Sequence[Gpu], t: float) -> str | None:
        """What to tell of a GPU that was not told of yet, in a sentence."""
        told = [self._look(gpu, t) for gpu in gpus] if job.status is Status.RUNNING else []
        return " ".join(filter(None, told)) or None

    def _look(self, gpu: Gpu, t: float) -> str | None:
        used, total = gpu.memory_used_gb, gpu.memory_total_gb
        if used is None or not total:
            return None
        key, percent = gpu.uuid or gpu.index, 100 * used / total
        if percent < self._rule.percent:
            if self._since.get(key, t) is not None or percent < self._rule.percent - _LESS_FULL_PERCENT:
                self._since.pop(key, None)
            return None
        since = self._since.setdefault(key, t)
        if since is None or t - since < self._rule.seconds:
            return None
        self._since[key] = None
        return (
            f"GPU {gpu.index} has {percent:.0f} % of its memory in use ({used:.1f} of {total:.1f} GB): a longer row or "
            "a larger batch may not fit. A smaller per_device_train_batch_size or gradient_checkpointing makes room."
        )
