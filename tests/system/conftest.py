"""The machine as the tests of this room see it: pretend GPUs behind the real pynvml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .. import fake_nvml
from .pretend_gpus import PretendGpus, Readings


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not fake_nvml.has_compiler():
        pytest.skip("no C compiler to build the pretend NVML with")
    return fake_nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def gpus(nvml_library: Path, tmp_path: Path) -> PretendGpus:
    pretend = PretendGpus(nvml_library, tmp_path)
    pretend.configure()
    return pretend


@pytest.fixture
def readings(gpus: PretendGpus) -> Readings:
    """What one `GpuReader` reads after each step ``(seconds passed, settings)``."""

    def read(*steps: tuple[float, dict[str, Any]]) -> list[list[dict[str, Any]]]:
        found: list[list[dict[str, Any]]] = gpus.run("probe_gpus.py", steps)
        return found

    return read
