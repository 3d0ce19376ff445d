"""GPUs through the real pynvml, on a pretend driver that fails in the ways real ones do."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pynvml
import pytest

from jupyter_trainlive.system import GpuReader

from .. import fake_nvml
from .pretend_gpus import TESTS, PretendGpus, Readings

GEFORCE = {
    "index": 0,
    "uuid": "GPU-00000000-aaaa-bbbb-cccc-000000000000",
    "name": "Pretend GeForce 24G",
    "utilization_percent": 37.0,
    "memory_used_gb": 6.0,
    "memory_total_gb": 24.0,
    "temperature_celsius": 61.0,
    "power_watts": 215.5,
    "power_limit_watts": 450.0,
    "processes": [],
}
TESLA = {
    "index": 1,
    "uuid": "GPU-11111111-aaaa-bbbb-cccc-111111111111",
    "name": "Pretend Tesla 8G",
    "utilization_percent": 80.0,
    "memory_used_gb": 2.0,
    "memory_total_gb": 8.0,
    "temperature_celsius": 45.0,
    "power_watts": None,
    "power_limit_watts": None,
    "processes": [],
}
IDENTITY = ("index", "uuid", "name")


def silent(gpu: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name in IDENTITY else None for name, value in gpu.items()}


def test_two_gpus_are_read_and_the_one_without_power_readings_has_none(readings: Readings) -> None:
    assert readings((0, {})) == [[GEFORCE, TESLA]]


@pytest.mark.parametrize("code", [3, 4, 13, 999], ids=["unsupported", "forbidden", "unknown call", "unknown"])
def test_each_gauge_is_there_or_missing_by_itself(readings: Readings, code: int) -> None:
    """As on a GPU cut into MIG slices, a virtual GPU, or one with an older driver."""
    missing = {
        "utilization": ["utilization_percent"],
        "power": ["power_watts"],
        "power_limit": ["power_limit_watts"],
        "name": ["name"],
        "uuid": ["uuid"],
    }
    steps = [(0, {"ERRORS": f"0:{call}={code}"}) for call in missing]
    both = f"0:memory={code},0:memory_v2={code},0:temperature={code},0:temperature_v={code}"
    seen = readings(*steps, (0, {"ERRORS": both}))
    gone = [*missing.values(), ["memory_used_gb", "memory_total_gb", "temperature_celsius"]]
    # A name that was read once is remembered while its GPU keeps it to itself.
    wanted = [GEFORCE | {field: None for field in fields if field not in IDENTITY} for fields in gone]
    assert [gpus[0] for gpus in seen] == wanted
    assert all(gpus[1] == TESLA for gpus in seen)


def test_a_gpu_that_never_said_its_name_has_none(readings: Readings) -> None:
    [[first, _]] = readings((0, {"ERRORS": "0:name=3,0:uuid=3"}))
    assert first == GEFORCE | {"name": None, "uuid": None}


def test_an_older_driver_answers_through_the_older_calls(readings: Readings) -> None:
    """It has no second version of either call; what the driver reserves then counts as used."""
    [[first, second]] = readings((0, {"ERRORS": "memory_v2=13,temperature_v=13"}))
    assert first == GEFORCE | {"memory_used_gb": 6.5}
    assert second == TESLA | {"memory_used_gb": 2.5}


@pytest.mark.skipif(
    not hasattr(pynvml, "nvmlDeviceGetTemperatureV"), reason="the installed binding is older than the newer calls"
)
def test_a_newer_driver_needs_no_deprecated_call(readings: Readings) -> None:
    assert readings((0, {"ERRORS": "memory=13,temperature=13"})) == [[GEFORCE, TESLA]]


def process(
    pid: int, memory_used_gb: float | None, *, graphics: bool = False, busy: float | None = None
) -> dict[str, Any]:
    told = {"pid": pid, "memory_used_gb": memory_used_gb, "graphics": graphics}
    return {**told, "utilization_percent": busy, "job_id": None}


def test_the_processes_on_each_gpu_are_read_afresh_with_their_memory(readings: Readings) -> None:
    seen = readings((0, {"PROCESSES": "0:1234:2.5,1:77:1,0:99:?"}), (1, {"PROCESSES": "1:77:1.5"}))
    assert seen == [
        [
            GEFORCE | {"processes": [process(1234, 2.5), process(99, None)]},
            TESLA | {"processes": [process(77, 1.0)]},
        ],
        [GEFORCE, TESLA | {"processes": [process(77, 1.5)]}],
    ]


def test_what_only_draws_is_told_from_what_computes(readings: Readings) -> None:
    """A process that does both stands in both of NVML's lists."""
    [[first, _]] = readings((0, {"PROCESSES": "0:20:2", "GRAPHICS": "0:10:0.5,0:20:2"}))
    assert first["processes"] == [process(10, 0.5, graphics=True), process(20, 2.0)]
    [[first, _]] = readings((0, {"PROCESSES": "0:20:2", "GRAPHICS": "0:10:0.5", "ERRORS": "graphics=3,graphics_v2=3"}))
    assert first["processes"] == [process(20, 2.0)]


def test_what_each_process_did_lately_is_told_by_its_newest_sample(readings: Readings) -> None:
    three = {"PROCESSES": "0:20:2,0:30:1,1:77:1"}
    seen = readings((0, three | {"BUSY": "0:20:40"}), (1, three), (1, three | {"BUSY": "0:20:40", "ERRORS": "busy=13"}))
    # The driver leaves out who did nothing, and says nothing at all where nobody did anything.
    assert seen[0][0]["processes"] == [process(20, 2.0, busy=40.0), process(30, 1.0, busy=0.0)]
    assert seen[0][1]["processes"] == [process(77, 1.0)]
    for gpus in seen[1:]:
        assert gpus[0]["processes"] == [process(20, 2.0), process(30, 1.0)]


def test_processes_that_the_driver_does_not_list_are_unknown_rather_than_none(readings: Readings) -> None:
    unlisted = {"PROCESSES": "0:1234:2.5", "ERRORS": "0:processes=3,0:processes_v2=3"}
    assert readings((0, unlisted)) == [[GEFORCE | {"processes": None}, TESLA]]


def test_an_older_driver_lists_its_processes_through_the_older_calls(readings: Readings) -> None:
    settings = {"PROCESSES": "0:20:2", "GRAPHICS": "0:10:0.5", "ERRORS": "processes=13,graphics=13"}
    [[first, _]] = readings((0, settings))
    assert first["processes"] == [process(10, 0.5, graphics=True), process(20, 2.0)]


def test_names_in_bytes_are_read_as_text() -> None:
    """As bindings before 11.5 hand them out; without a library, by a binding that only says names."""

    class NVMLError(Exception):
        pass

    class Binding:
        def nvmlInit(self) -> None: ...
        def nvmlDeviceGetCount(self) -> int:
            return 1

        def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
            return f"handle {index}"

        def nvmlDeviceGetName(self, handle: str) -> bytes:
            return b"Old card"

        def nvmlDeviceGetUUID(self, handle: str) -> bytes:
            return b"GPU-old"

    binding: Any = Binding()
    binding.NVMLError = NVMLError
    [gpu] = GpuReader(load=lambda: binding).read()
    assert (gpu.name, gpu.uuid, gpu.utilization_percent) == ("Old card", "GPU-old", None)


def test_the_gauges_move(readings: Readings) -> None:
    """So that demonstrations and other tests have something to watch."""
    [[still, _], *moving] = readings((0, {}), *[(0, {"VARY": 1})] * 3)
    assert still == GEFORCE
    assert len({gpus[0]["power_watts"] for gpus in moving}) == 3


def test_a_lost_gpu_keeps_its_name_and_disturbs_no_other(readings: Readings) -> None:
    seen = readings((0, {}), (1, {"ERRORS": "1:*=15"}), (1, {}))
    assert seen == [[GEFORCE, TESLA], [GEFORCE, silent(TESLA)], [GEFORCE, TESLA]]


def test_a_gpu_whose_handle_works_but_that_is_lost_disturbs_no_other(readings: Readings) -> None:
    gauges = ("utilization", "memory", "memory_v2", "temperature", "temperature_v", "power")
    calls = ("name", "uuid", *gauges, "processes", "processes_v2")
    seen = readings((0, {}), (1, {"ERRORS": ",".join(f"1:{call}=15" for call in calls)}))
    assert seen[1] == [GEFORCE, silent(TESLA)]


def test_a_gpu_that_vanishes_goes_and_one_that_comes_back_returns(readings: Readings) -> None:
    seen = readings((0, {}), (1, {"COUNT": 1}), (1, {}))
    assert seen == [[GEFORCE, TESLA], [GEFORCE], [GEFORCE, TESLA]]


def test_while_a_gpu_is_lost_nvml_is_opened_anew_now_and_then(readings: Readings, gpus: PretendGpus) -> None:
    lost = {"ERRORS": "1:handle=15"}
    readings((0, {}), (1, lost), *[(1, lost)] * 50, (60, lost), (1, {}))
    assert gpus.calls().count("init") == 2
    assert gpus.calls().count("shutdown") == 2


def test_a_whole_machine_is_opened_once(readings: Readings, gpus: PretendGpus) -> None:
    readings((0, {}), *[(100, {})] * 5)
    assert gpus.calls().count("init") == 1


def test_a_driver_without_a_gpu_is_an_empty_list(readings: Readings) -> None:
    assert readings((0, {"COUNT": 0})) == [[]]


def test_no_driver_is_an_empty_list_and_is_tried_again_later(readings: Readings, gpus: PretendGpus) -> None:
    no_driver = {"ERRORS": "init=9"}
    seen = readings((0, no_driver), (1, {}), (58, {}), (1, {}))
    assert seen == [[], [], [], [GEFORCE, TESLA]]
    assert gpus.calls().count("init") == 2


def test_a_driver_that_goes_takes_the_gpus_along_and_they_return_with_it(readings: Readings) -> None:
    seen = readings((0, {}), (100, {"ERRORS": "count=1"}), (1, {}))
    assert seen == [[GEFORCE, TESLA], [], [GEFORCE, TESLA]]


def test_a_library_that_cannot_be_loaded_is_an_empty_list(tmp_path: Path) -> None:
    """As on a machine without a driver, and on this one even if it has one."""
    library = tmp_path / "libnvidia-ml.so.1"
    library.touch()
    done = subprocess.run(
        [sys.executable, "-c", "from jupyter_trainlive.system import GpuReader; print(GpuReader().read())"],
        env=fake_nvml.environment(library) | {"PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_no_binding_is_an_empty_list_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> None:
        raise ImportError("No module named 'pynvml'")

    with caplog.at_level(logging.INFO):
        reader = GpuReader(load=load)
        assert reader.read() == []
        reader.close()
    assert caplog.records == []


def test_importing_the_room_loads_neither_pynvml_nor_psutil() -> None:
    code = (
        "import sys, jupyter_trainlive.system as system; system.Sampler.of_this_machine();"
        "print([name for name in ('pynvml', 'psutil', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
