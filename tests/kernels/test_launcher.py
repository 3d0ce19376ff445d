"""Training kernels of any Python kernelspec, wherever the jobs lie."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from packaging.requirements import Requirement

from jupyter_trainlive.kernels.launcher import Launcher
from jupyter_trainlive.kernels.leases import acquire
from jupyter_trainlive.kernels.provisioner import GpuBusy, LaunchError
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id

from ..managing import become, managing, reach, submit
from .conftest import exit_of, records

LAUNCH = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    folder.mkdir()
    return folder


def install(kernels: Path, name: str, *argv: str, language: str = "python", **more: Any) -> None:
    """A kernelspec of that name."""
    (kernels / name).mkdir()
    spec = {"argv": list(argv), "language": language, "display_name": name, **more}
    (kernels / name / "kernel.json").write_text(json.dumps(spec))


def test_a_kernel_that_cannot_train_is_refused_with_the_reason(kernels: Path) -> None:
    install(kernels, "julia", "julia", language="julia")
    provisioner = {"kernel_provisioner": {"provisioner_name": "cluster"}}
    install(kernels, "elsewhere", "python", metadata=provisioner)
    for name, content in (("broken", "{"), ("odd", "[]"), ("odder", '{"argv": 5}')):
        (kernels / name).mkdir()
        (kernels / name / "kernel.json").write_text(content)
    launcher = Launcher(kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)]))
    for name, reason in (
        ("nothing", "there is no kernel 'nothing'; installed here: broken, elsewhere, julia, odd, odder, python3"),
        ("broken", "the kernel 'broken' can't be used here: look at its kernel.json"),
        ("odd", "the kernel 'odd' can't be used here: look at its kernel.json"),
        ("odder", "the kernel 'odder' can't be used here: look at its kernel.json"),
        ("julia", "the kernel 'julia' speaks julia; a training kernel speaks Python"),
        ("elsewhere", "the kernel 'elsewhere' can't be used here: look at its kernel.json"),
    ):
        with pytest.raises(LookupError, match=re.escape(reason)):
            launcher.check(name)
    launcher.check("python3")


async def test_a_kernelspec_without_a_kernel_fails_with_the_reason(tmp_path: Path, kernels: Path) -> None:
    # -S: an interpreter that has no ipykernel.
    install(kernels, "bare", sys.executable, "-S", *LAUNCH)
    install(kernels, "gone", "/no/such/python", *LAUNCH)
    async with managing(tmp_path / "jobs", kernels) as manager:
        bare, gone = (
            await submit(manager, "pass", kernel_name="bare"),
            await submit(manager, "pass", kernel_name="gone"),
        )
        job = await reach(manager, bare)
        assert (job.status.value, job.error) == (
            "failed",
            "The training process exited with status 1 before it began its work: "
            f"{sys.executable}: No module named ipykernel_launcher",
        )
        assert "python -m pip install ipykernel" in (job.hint or "")
        job = await reach(manager, gone)
        assert job.status.value == "failed"
        assert job.error is not None
        assert "/no/such/python" in job.error
        assert "kernel.json" in (job.hint or "")
        progress = manager.jobs_dir / gone / "progress.json"
        await become(lambda: json.loads(progress.read_text())["complete"])
        assert json.loads(progress.read_text())["error"] == job.error


async def test_a_kernel_that_never_begins_is_given_up(tmp_path: Path, kernels: Path) -> None:
    install(kernels, "silent", "/bin/sleep", "600")
    async with managing(tmp_path / "jobs", kernels, terminate_grace=0.5) as manager:
        manager.launcher.kernel_start_timeout = 0.5
        job = await reach(manager, await submit(manager, "pass", kernel_name="silent"))
        assert (job.status.value, job.error) == (
            "failed",
            "The training kernel did not begin its work within 0 seconds.",
        )


async def test_jobs_may_lie_deeper_than_a_sockets_path_may_be_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    async with managing(deep) as manager:
        job_id = await submit(manager, "import time; print('here'); time.sleep(0.5)")
        await reach(manager, job_id, "running")
        kernel = JobDir(deep / job_id).kernel
        sockets = (kernel / "sockets").readlink()
        assert any(file.is_socket() for file in sockets.iterdir())
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert (await reach(manager, job_id)).status.value == "completed"
    async with managing(deep) as manager:
        # Also where no server was there when the job ended.
        await manager.list()
        assert not sockets.exists()
        assert not (kernel / "sockets").is_symlink()


@pytest.fixture
def launcher(kernels: Path) -> Launcher:
    return Launcher(kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)]))


@pytest.fixture
def job_dir(tmp_path: Path) -> JobDir:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    return job_dir


SPEC = {"kernel_name": "telling", "cwd": "/", "env": {"CUDA_VISIBLE_DEVICES": "7", "MINE": "yes"}}
TELL = 'echo "$TRAINLIVE_ATTEMPT $CUDA_DEVICE_ORDER $CUDA_VISIBLE_DEVICES $MINE"'


async def test_an_attempt_has_its_number_and_its_gpus(
    tmp_path: Path, kernels: Path, launcher: Launcher, job_dir: JobDir
) -> None:
    install(kernels, "telling", "/bin/sh", "-c", TELL)
    leases = tmp_path / "leases"
    handover = await launcher.start(job_dir, SPEC, attempt=1, gpus=["GPU-b", "GPU-a"], lease_dir=leases)
    await handover.close()
    exit_of(job_dir)
    assert {file.name for file in leases.iterdir()} == {"gpu-GPU-a.lock", "gpu-GPU-b.lock"}
    for attempt, gpus in ((2, None), (3, [])):
        handover = await launcher.start(job_dir, SPEC, attempt=attempt, gpus=gpus, lease_dir=None)
        await handover.close()
        exit_of(job_dir)
    assert job_dir.output_log.read_text().splitlines() == [
        "1 PCI_BUS_ID GPU-b,GPU-a yes",
        "2  7 yes",
        "3 PCI_BUS_ID  yes",
    ]
    assert [record["attempt"] for record in records(job_dir)] == [1, 1, 2, 2, 3, 3]


async def test_a_gpu_that_was_taken_meanwhile_is_told_from_a_failure(
    tmp_path: Path, kernels: Path, launcher: Launcher, job_dir: JobDir, caplog: pytest.LogCaptureFixture
) -> None:
    install(kernels, "telling", "/bin/sh", "-c", TELL)
    held = acquire(tmp_path / "leases", ["GPU-a"])
    with pytest.raises(GpuBusy, match=f"GPU-a is leased by pid {os.getpid()} of "):
        await launcher.start(job_dir, SPEC, attempt=1, gpus=["GPU-a"], lease_dir=tmp_path / "leases")
    assert not job_dir.process_journal.exists()
    assert not caplog.records
    held.release()


async def test_a_kernel_that_can_not_be_started_says_what_to_do(
    kernels: Path, launcher: Launcher, job_dir: JobDir
) -> None:
    install(kernels, "telling", "/no/such/python", *LAUNCH)
    with pytest.raises(LaunchError, match="/no/such/python") as raised:
        await launcher.start(job_dir, SPEC, attempt=1, gpus=None, lease_dir=None)
    assert "look at argv in its kernel.json" in (raised.value.hint or "")
    assert not isinstance(raised.value, GpuBusy)


async def test_a_further_attempt_finds_nothing_of_the_kernel_before_it(
    kernels: Path, launcher: Launcher, job_dir: JobDir
) -> None:
    install(kernels, "telling", "/bin/true")
    left = [job_dir.kernel / name for name in ("socket-1", "socket-5", "claimed", "claimed-1")]
    for file in left:
        file.touch()
    keys = []
    for attempt in (1, 2):
        handover = await launcher.start(job_dir, SPEC, attempt=attempt, gpus=None, lease_dir=None)
        await handover.close()
        exit_of(job_dir)
        connection = json.loads(job_dir.connection_file.read_bytes())
        keys.append(connection["key"])
        assert connection["shell_port"] == 1, "no socket of an earlier one is in the way"
    assert keys[0] != keys[1]
    assert not [file for file in left if file.exists()]


def needed_by(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """A distribution and all it needs to run."""
    try:
        found[name] = distribution(name)
    except PackageNotFoundError:
        return found
    for text in found[name].requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in found:
            needed_by(requirement.name, found)
    return found


@pytest.fixture
def second_environment(tmp_path: Path) -> Path:
    """The interpreter of an environment in which there is ipykernel and nothing of ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "second")], check=True)
    (site_packages,) = (tmp_path / "second" / "lib").glob("python*/site-packages")
    for found in needed_by("ipykernel", {}).values():
        for top in {file.parts[0] for file in found.files or () if not file.parts[0].startswith("..")}:
            if not (site_packages / top).exists() and top != "__pycache__":
                (site_packages / top).symlink_to(Path(str(found.locate_file(top))))
    return tmp_path / "second" / "bin" / "python"


CODE = """
import importlib.util, sys
import jupyter_trainlive as trainlive
ours = ("jupyter_server", "httpx", "websockets", "anywidget", "numpy", "torch")
print(sys.prefix, [name for name in ours if importlib.util.find_spec(name)])
for step in range(1, 4):
    trainlive.log({"loss": 1 / step}, step=step, total_steps=3)
"""


async def test_a_training_runs_in_an_environment_that_has_nothing_of_ours(
    tmp_path: Path, kernels: Path, second_environment: Path
) -> None:
    install(kernels, "second", str(second_environment), *LAUNCH)
    async with managing(tmp_path / "jobs", kernels) as manager:
        job_id = await submit(manager, CODE, kernel_name="second")
        job = await reach(manager, job_id)
        log = (manager.jobs_dir / job_id / "output.log").read_text()
        assert job.status.value == "completed", log
        assert log == f"{second_environment.parent.parent} []\n"
        assert (job.training.step, job.training.latest) == (3, {"loss": 1 / 3})
