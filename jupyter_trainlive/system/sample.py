"""One reading of the whole machine, as it is kept and as it travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..protocol.values import iso
from .gpus import Gpu
from .host import Host


@dataclass(frozen=True)
class Sample:
    """The GPUs and the host at ``time``, in unix seconds."""

    time: float
    gpus: tuple[Gpu, ...]
    host: Host

    def as_dict(self) -> dict[str, Any]:
        """The wire's form: ``time`` in ISO 8601, ``gpus`` and ``host`` by field, to three decimals.

        The processes on a GPU stay here: who may watch a training need not know what other people run.
        """
        return {
            "time": iso(self.time),
            "gpus": [_gauges(gpu) for gpu in self.gpus],
            "host": _rounded(asdict(self.host)),
        }


def _gauges(gpu: Gpu) -> dict[str, Any]:
    gauges = _rounded(asdict(gpu))
    del gauges["processes"]
    return gauges


def _rounded(gauges: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in gauges.items()}
