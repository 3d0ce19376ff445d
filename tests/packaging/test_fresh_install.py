"""The wheel in an environment with nothing else: no torch, no JupyterLab, no config of anybody's."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..real_server import RealServer, serve
from .conftest import REPOSITORY, Environment

#: Nothing is enabled by these: what is, was enabled by installing it.
NO_CONFIG: dict[str, object] = {"ServerApp": {}}


@pytest.fixture(scope="module")
def fresh_server(fresh: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    home = tmp_path_factory.mktemp("fresh-server")
    with pytest.MonkeyPatch.context() as patch:
        # From the checkout Python would import the checkout.
        patch.chdir(home)
        with serve(home, python=fresh.python, config=NO_CONFIG) as running:
            yield running
            assert "Traceback" not in running.log, running.log[-8000:]


def installed(environment: Environment) -> set[str]:
    """The names of all distributions there."""
    code = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
    return set(json.loads(environment.run("python", "-c", code)))


def test_neither_torch_nor_jupyterlab_came_along(fresh: Environment) -> None:
    names = installed(fresh)
    assert {"jupyter_trainlive", "jupyter_server"} <= names
    assert names & {"torch", "transformers", "accelerate", "jupyterlab", "notebook", "pytest"} == set()


def test_the_package_is_the_installed_one(fresh: Environment) -> None:
    file = fresh.run("python", "-c", "import jupyter_trainlive; print(jupyter_trainlive.__file__)")
    assert str(fresh.folder) in file
    assert str(REPOSITORY) not in file


def test_the_server_extension_is_enabled_by_installing(fresh: Environment) -> None:
    lines = [line.split() for line in fresh.run("jupyter", "server", "extension", "list").splitlines()]
    ours = [line for line in lines if line[:1] == ["jupyter_trainlive"]]
    assert len(ours) == 2, lines
    assert "enabled" in ours[0][1]
    assert "OK" in ours[1][2]


def test_the_lab_extension_lies_where_jupyterlab_looks(fresh: Environment) -> None:
    folder = fresh.folder / "share" / "jupyter" / "labextensions" / "jupyter-trainlive"
    package = json.loads((folder / "package.json").read_text())
    assert (folder / package["jupyterlab"]["_build"]["load"]).is_file()


def test_the_server_answers(fresh_server: RealServer) -> None:
    with fresh_server.http() as http:
        assert http.get("api/hello").json()["version"]
        assert http.get("api/system").status_code == 200


def test_a_job_of_code_completes(fresh_server: RealServer, fresh: Environment) -> None:
    code = "import jupyter_trainlive as t; t.log({'loss': 0.5}, step=1); print(os.path.realpath(t.__file__))"
    job_id = fresh_server.submit("import os; " + code)
    assert fresh_server.wait(job_id)["status"] == "completed"
    log = (fresh_server.jobs_dir / job_id / "output.log").read_text()
    assert Path(log.strip()).is_relative_to(fresh.folder)
    assert fresh_server.job(job_id)["loss"] == 0.5


def test_a_fine_tune_says_which_extra_is_missing(fresh_server: RealServer, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "data.jsonl").write_text('{"text": "some text"}\n')
    request = {"model_name": str(tmp_path), "dataset_path": str(tmp_path / "data.jsonl")}
    with fresh_server.http() as http:
        answer = http.post("api/training/execute", json=request)
    assert answer.status_code == 201, answer.text
    job = fresh_server.wait(answer.json()["job_id"])
    assert job["status"] == "failed"
    assert job["error"] == "torch is missing in the environment of the training kernel"
    assert "jupyter_trainlive[train]" in job["hint"]
    assert job["traceback"] is None


def test_the_demo_says_which_extras_are_missing(fresh: Environment, tmp_path: Path) -> None:
    command = [fresh.python, "-m", "jupyter_trainlive.client.cli", "demo", "--exit", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(command, cwd=fresh.folder, env=fresh.variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "jupyter_trainlive[lab,train]" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize(
    "statement",
    [
        "import jupyter_trainlive",
        "import jupyter_trainlive as t; t.log, t.launch, t.finetune, t.jobs, t.get, t.Job, t.example",
        "import jupyter_trainlive as t; t._jupyter_server_extension_points()[0]['app']",
        "import jupyter_trainlive.client.cli, jupyter_trainlive.client.demo",
    ],
)
def test_importing_never_imports_torch_where_it_is_there(statement: str) -> None:
    code = f"{statement}\nimport sys; print(sorted({{'torch', 'transformers', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
