"""CPU and memory: of this machine, and of a container as its control group's files tell."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from jupyter_trainlive.system.cgroup import Cgroup, CpuLimit, MemoryLimit
from jupyter_trainlive.system.host import FIRST_LOOK_SECONDS, HostReader

MIB, GIB = 2**20, 2**30


class Machine:
    """A control group file system in a folder, and a clock; sleeping lets the clock run."""

    def __init__(self, folder: Path, membership: str) -> None:
        self.mount = folder / "cgroup"
        self.own = folder / "own"
        self.own.write_text(membership)
        self.cgroup = Cgroup(self.mount, self.own)
        self.now = 1000.0
        self.slept: list[float] = []

    def write(self, group: str, **files: str) -> None:
        for name, text in files.items():
            file = self.mount / group / name.replace("__", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n")

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def reader(self) -> HostReader:
        return HostReader(cgroup=self.cgroup, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "")


@pytest.fixture
def v2(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "0::/work/job\n")


@pytest.fixture
def v1(tmp_path: Path) -> Machine:
    return Machine(tmp_path, "7:memory:/docker/3f\n4:cpuset:/\n3:cpu,cpuacct:/docker/3f\n1:name=systemd:/\n0::/\n")


def test_this_machine_has_a_cpu_and_memory() -> None:
    host = HostReader().read()
    assert 0 <= host.cpu_percent <= 100
    assert host.cpu_count >= 1
    assert 0 < host.memory_used_gb < host.memory_total_gb <= psutil.virtual_memory().total / GIB


def test_without_limits_the_gauges_are_the_machines(bare: Machine) -> None:
    host = bare.reader().read()
    memory = psutil.virtual_memory()
    assert host.memory_total_gb == memory.total / GIB
    assert host.memory_used_gb == pytest.approx((memory.total - memory.available) / GIB, abs=1)
    assert host.cpu_count == psutil.cpu_count()


def test_cpu_percent_is_the_mean_since_the_last_reading(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a disk is idleness, and a guest's time stands in user time already."""
    Times = namedtuple("Times", "user system idle iowait guest guest_nice")
    times = iter([Times(0, 0, 0, 0, 0, 0), Times(1, 0, 9, 0, 0, 0), Times(4, 2, 12, 1, 2, 0)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(times))
    reader = bare.reader()
    assert reader.read().cpu_percent == pytest.approx(100 * 1 / 10)
    bare.now += 1
    # Since then 3 s of user time, 2 of them a guest's, 2 of system, 3 idle, 1 waiting.
    assert reader.read().cpu_percent == pytest.approx(100 * (3 + 2) / (3 + 2 + 3 + 1))


def test_clocks_that_stand_or_run_back_stay_within_bounds(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    Times = namedtuple("Times", "user idle")
    times = iter([Times(5, 5), Times(5, 5), Times(4, 8)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(times))
    reader = bare.reader()
    assert reader.read().cpu_percent == 0
    assert reader.read().cpu_percent == 0


def test_only_a_first_look_and_one_after_a_long_pause_wait(bare: Machine) -> None:
    reader = bare.reader()
    reader.read()
    assert bare.slept == [FIRST_LOOK_SECONDS]
    for _ in range(5):
        bare.now += 1
        reader.read()
    assert bare.slept == [FIRST_LOOK_SECONDS]
    bare.now += 3600
    reader.read()
    assert bare.slept == [FIRST_LOOK_SECONDS] * 2


def test_a_container_sees_its_own_memory(v2: Machine) -> None:
    v2.write("work/job", memory__max=str(512 * MIB), memory__current=str(300 * MIB))
    v2.write("work/job", memory__stat=f"anon 1\ninactive_file {100 * MIB}\nactive_file 5")
    host = v2.reader().read()
    assert (host.memory_used_gb, host.memory_total_gb) == (200 / 1024, 0.5)


def test_the_tightest_limit_above_holds(v2: Machine) -> None:
    v2.write("work/job", memory__max="max", memory__current="10")
    v2.write("work", memory__max=str(64 * MIB), memory__current=str(32 * MIB))
    v2.write("", memory__max=str(128 * MIB), memory__current=str(96 * MIB))
    assert v2.cgroup.memory() == MemoryLimit(64 * MIB, 32 * MIB)


def test_a_container_whose_group_is_its_roots_sees_its_limit(v2: Machine) -> None:
    v2.write("", memory__max=str(64 * MIB), memory__current=str(32 * MIB))
    assert v2.cgroup.memory() == MemoryLimit(64 * MIB, 32 * MIB)


def test_a_limit_beyond_the_machine_is_none(v2: Machine) -> None:
    v2.write("work/job", memory__max=str(2**60), memory__current="1", cpu__max="99900000 100000")
    v2.write("work/job", cpu__stat="usage_usec 0")
    host = v2.reader().read()
    assert host.memory_total_gb == psutil.virtual_memory().total / GIB
    assert host.cpu_count == psutil.cpu_count()


def test_cpu_percent_is_the_use_of_the_quota(v2: Machine) -> None:
    v2.write("work/job", cpu__max="50000 100000", cpu__stat="usage_usec 7000000\nuser_usec 1")
    reader = v2.reader()
    assert reader.read().cpu_percent == 0
    v2.now += 2
    v2.write("work/job", cpu__stat="usage_usec 7750000")
    host = reader.read()
    assert host.cpu_percent == pytest.approx(75)  # 0.75 of the second that 2 s at half a CPU are
    assert host.cpu_count == 1


def test_a_quota_that_changes_makes_no_leap(v2: Machine) -> None:
    v2.write("work/job", cpu__max="50000 100000", cpu__stat="usage_usec 7000000")
    reader = v2.reader()
    reader.read()
    v2.now += 2
    v2.write("work/job", cpu__max="25000 100000", cpu__stat="usage_usec 7900000")
    assert reader.read().cpu_percent == 0
    assert v2.slept == [FIRST_LOOK_SECONDS] * 2


def test_limits_of_version_one_are_read(v1: Machine) -> None:
    v1.write("memory/docker/3f", memory__limit_in_bytes=str(GIB), memory__usage_in_bytes=str(300 * MIB))
    v1.write("memory/docker/3f", memory__stat=f"inactive_file 1\ntotal_inactive_file {50 * MIB}")
    v1.write("memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="1")
    v1.write("cpu/docker/3f", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    v1.write("cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    v1.write("cpuacct/docker/3f", cpuacct__usage="2500000000")
    v1.write("cpuacct", cpuacct__usage="9900000000")
    assert v1.cgroup.memory() == MemoryLimit(GIB, 250 * MIB)
    assert v1.cgroup.cpu() == CpuLimit(1.5, 2.5)


def test_no_control_groups_are_no_limits(tmp_path: Path) -> None:
    """As on macOS."""
    cgroup = Cgroup(tmp_path / "none", tmp_path / "nothing")
    assert cgroup.memory() is None
    assert cgroup.cpu() is None
