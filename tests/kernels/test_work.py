"""What a job's process gets to see: its own variables and this package, not the server's secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.kernels.work import environment, prepare
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id


@pytest.fixture
def job_dir(tmp_path: Path) -> JobDir:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    return job_dir


def test_the_servers_secrets_stay_with_the_server(job_dir: JobDir) -> None:
    secrets = {
        *("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_CLIENT_ID", "JPY_API_TOKEN", "JPY_SESSION_NAME", "JUPYTER_TOKEN"),
        *("CONFIGPROXY_AUTH_TOKEN", "JUPYTER_SERVER_URL", "NOTIFY_SOCKET"),
    }
    env = environment(dict.fromkeys(secrets, "s3cret") | {"HOME": "/home/me", "HF_TOKEN": "mine"}, job_dir, {})
    assert "s3cret" not in env.values()
    assert (env["HOME"], env["HF_TOKEN"]) == ("/home/me", "mine")


def test_the_jobs_own_variables_come_before_the_servers_and_after_ours(job_dir: JobDir) -> None:
    own = {"HOME": "/elsewhere", "PYTHONPATH": "/mine", "TRAINLIVE_JOB_DIR": "/wrong", "JPY_PARENT_PID": "77"}
    env = environment({"HOME": "/home/me", "PYTHONPATH": "/servers"}, job_dir, own)
    assert env["HOME"] == "/elsewhere"
    assert env["TRAINLIVE_JOB_DIR"] == str(job_dir.path)
    assert env["PYTHONPATH"] == f"{job_dir.kernel / 'path'}:/mine"
    assert env["JPY_PARENT_PID"] == "1", "the kernel must not end with the server"
    assert env["TQDM_MININTERVAL"] == "5", "bars must not fill the log"
    assert environment({}, job_dir, {"TQDM_MININTERVAL": "1"})["TQDM_MININTERVAL"] == "1"


def test_a_job_sees_the_gpus_it_has_and_no_others(job_dir: JobDir) -> None:
    theirs = {"CUDA_VISIBLE_DEVICES": "0,1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    wish = {"CUDA_VISIBLE_DEVICES": "all"}

    def seen(**options: Any) -> tuple[str, str]:
        env = environment(theirs, job_dir, wish, **options)
        return env["CUDA_DEVICE_ORDER"], env["CUDA_VISIBLE_DEVICES"]

    assert seen(gpus=["GPU-b", "GPU-a"]) == ("PCI_BUS_ID", "GPU-b,GPU-a")
    assert seen(gpus=[]) == ("PCI_BUS_ID", "")
    assert seen() == ("FASTEST_FIRST", "all"), "where no GPUs are handed out the job's own variables say"


def test_a_job_knows_which_attempt_it_is(job_dir: JobDir) -> None:
    assert environment({"TRAINLIVE_ATTEMPT": "7"}, job_dir, {"TRAINLIVE_ATTEMPT": "8"})["TRAINLIVE_ATTEMPT"] == "1"
    assert environment({}, job_dir, {}, attempt=3)["TRAINLIVE_ATTEMPT"] == "3"


def test_any_interpreter_finds_the_package_and_nothing_else_of_ours(job_dir: JobDir) -> None:
    # -S: without site-packages, an environment that has none of our dependencies.
    code = "import jupyter_trainlive.training.boot, sys; print(jupyter_trainlive.__file__)"
    env = environment({"PATH": os.environ["PATH"]}, job_dir, {})
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(job_dir.kernel / "path")
    assert [path.name for path in (job_dir.kernel / "path").iterdir()] == ["jupyter_trainlive"]


def test_a_link_that_leads_nowhere_is_made_again(job_dir: JobDir) -> None:
    (job_dir.kernel / "path").mkdir()
    link = job_dir.kernel / "path" / "jupyter_trainlive"
    link.symlink_to("/no longer/there")
    assert (prepare(job_dir) / "jupyter_trainlive" / "__init__.py").is_file()
    assert prepare(job_dir) == link.parent
