"""The machine's GPUs, read through NVML by the real ``pynvml`` (the module of the package nvidia-ml-py)."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .gpu_processes import GpuProcess, gpu_processes
from .units import gigabytes

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What processes did is asked of so many seconds: of a shorter time the driver may have no sample.
_BUSY_SECONDS = 2.0


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment. A gauge that it does not have, or does not answer for now, is None.

    ``index`` is NVML's, which follows the PCI bus and heeds no ``CUDA_VISIBLE_DEVICES``; ``uuid`` is the name
    that stays. Memory is the whole device's; what the driver reserves for itself is not counted as used, just
    as in nvidia-smi. A GPU cut into MIG slices stands here as a whole; it has no utilization then. ``processes``
    are all that the driver lists, other people's too.
    """

    index: int
    uuid: str | None
    name: str | None
    utilization_percent: float | None = None
    memory_used_gb: float | None = None
    memory_total_gb: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    processes: tuple[GpuProcess, ...] | None = None

    @property
    def silent(self) -> bool:
        """Whether it answers nothing at all, as a GPU does that fell off the bus."""
        gauges = (self.utilization_percent, self.memory_total_gb, self.temperature_celsius, self.power_watts)
        return all(gauge is None for gauge in gauges)


class GpuReader:
    """Reads all GPUs; every way of having none is an empty list, never an error.

    Opens NVML at the first `read` and holds it until `close`, after which `read` opens it again. While NVML
    does not open, has no GPU or has a silent one (a driver that came or went, a GPU that fell off the bus),
    it is opened anew every ``retry_seconds``: NVML itself looks for GPUs only then. `job_of` is asked of each
    process on a GPU to which job it belongs.

    Any call may block for as long as the driver does. Not thread-safe: `Sampler` calls it from one thread at
    a time.
    """

    def __init__(
        self,
        *,
        retry_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        load: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        job_of: Callable[[int], str | None] = lambda pid: None,
    ) -> None:
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._load = load
        self._job_of = job_of
        self._nvml: Any = None  # the binding, once NVML is open
        self._tried_at: float | None = None
        self._whole = False  # whether the last reading left nothing to hope for from opening again
        self._identities: dict[int, tuple[str | None, str | None]] = {}

    def read(self) -> list[Gpu]:
        """All GPUs that NVML counts now, in the order of their index; empty where there are none."""
        if not self._whole and self._retry_is_due():
            self.close()
            self._open()
        if self._nvml is None:
            return []
        count = self._answer(lambda nvml: nvml.nvmlDeviceGetCount()) or 0
        gpus = [self._gpu(index) for index in range(count)]
        self._identities = {gpu.index: (gpu.uuid, gpu.name) for gpu in gpus}
        self._whole = bool(gpus) and not any(gpu.silent for gpu in gpus)
        return gpus

    def close(self) -> None:
        """Let go of NVML, so that an idle server keeps no GPU awake and no driver from being replaced."""
        if self._nvml is not None:
            self._answer(lambda nvml: nvml.nvmlShutdown())
        self._nvml, self._tried_at, self._whole = None, None, False
        self._identities = {}

    def _retry_is_due(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= self._retry_seconds

    def _open(self) -> None:
        self._tried_at = self._clock()
        try:
            nvml = self._load()
        except ImportError as error:
            log.debug("No GPU gauges: %s", error)
            return
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            log.debug("No GPU gauges: %s", error)
            return
        self._nvml = nvml

    def _gpu(self, index: int) -> Gpu:
        handle = self._answer(lambda nvml: nvml.nvmlDeviceGetHandleByIndex(index))
        known_uuid, known_name = self._identities.get(index, (None, None))
        if handle is None:
            return Gpu(index, known_uuid, known_name)
        utilization = self._answer(lambda nvml: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        memory = self._answer(  # older drivers have only the second, which counts the reserved as used
            lambda nvml: nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2),
            lambda nvml: nvml.nvmlDeviceGetMemoryInfo(handle),
        )
        temperature = self._answer(  # older drivers have only the second, which CUDA 14 removes
            lambda nvml: nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU),
            lambda nvml: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        )
        power = self._answer(lambda nvml: nvml.nvmlDeviceGetPowerUsage(handle))
        power_limit = self._answer(lambda nvml: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        compute = self._answer(  # older drivers have only the second; without a version, the error is no NVMLError
            lambda nvml: nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle),
            lambda nvml: nvml.nvmlDeviceGetComputeRunningProcesses_v2(handle),
        )
        graphics = self._answer(
            lambda nvml: nvml.nvmlDeviceGetGraphicsRunningProcesses_v3(handle),
            lambda nvml: nvml.nvmlDeviceGetGraphicsRunningProcesses_v2(handle),
        )
        since = int((time.time() - _BUSY_SECONDS) * 1e6)
        busy = self._answer(lambda nvml: nvml.nvmlDeviceGetProcessUtilization(handle, since)) if compute else None
        return Gpu(
            index=index,
            uuid=_text(self._answer(lambda nvml: nvml.nvmlDeviceGetUUID(handle))) or known_uuid,
            name=_text(self._answer(lambda nvml: nvml.nvmlDeviceGetName(handle))) or known_name,
            utilization_percent=None if utilization is None else float(utilization),
            memory_used_gb=None if memory is None else gigabytes(memory.used),
            memory_total_gb=None if memory is None else gigabytes(memory.total),
            temperature_celsius=None if temperature is None else float(temperature),
            power_watts=None if power is None else power / 1000,
            power_limit_watts=None if power_limit is None else power_limit / 1000,
            processes=gpu_processes(compute, graphics, busy, self._job_of),
        )

    def _answer(self, *questions: Callable[[Any], T]) -> T | None:
        """The first question's answer that NVML gives; None where it answers none of them.

        An AttributeError is an older binding that lacks the call, an NVMLError an older driver or device.
        """
        for question in questions:
            try:
                return question(self._nvml)
            except (AttributeError, self._nvml.NVMLError):
                continue
        return None


def _text(value: str | bytes | None) -> str | None:
    """A name from NVML, which bindings before 11.5 hand out as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
