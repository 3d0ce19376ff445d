"""Scripts, notebooks and code with variables, launched from Python and from a terminal on a real server."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest

import jupyter_trainlive as trainlive
from jupyter_trainlive.client import RequestError, VariableError, cli, jobs
from jupyter_trainlive.client.common import Common
from jupyter_trainlive.jobs.inputs import clear_inbox
from jupyter_trainlive.protocol.variables import new_file_name

from ..real_server import RealServer
from .test_cli import COMMAND, run

SCRIPT = """
import os, sys
import jupyter_trainlive as t
from beside import X
for step in range(1, 4): t.log({"loss": 1 / step}, step=step, total_steps=3)
print(sys.argv[1:], X, os.path.basename(os.getcwd()), os.environ.get("ONE"))
sys.exit(len(sys.argv) == 2 and "one argument")
"""


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside.py").write_text("X = 'beside'\n")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "train.ipynb").write_text(notebook("x = 1", "x", "print(x, __import__('os').getcwd())"))
    return folder


class Point:
    """A class that a training kernel can't import, once it says that it is of ``__main__``."""


def inbox(server: RealServer) -> list[str]:
    folder = server.jobs_dir / ".inbox"
    return [file.name for file in folder.iterdir()] if folder.exists() else []


def test_a_script_a_notebook_and_code_with_variables(client: RealServer, project: Path) -> None:
    script = trainlive.launch(
        project / "train.py", args=["--lr", 1e-4], env={"ONE": "1"}, keep_kernel=0, alerts={"eval_patience": 5}
    )
    of_notebook = trainlive.launch(str(project / "train.ipynb"), parameters={"x": [1, None]}, name="of a notebook")
    code = trainlive.launch(code="print(sum(data), config)", variables={"data": range(10**5), "config": {"a": 1}})
    # Whatever becomes of them while the jobs wait.
    (project / "train.ipynb").unlink()
    (project / "train.py").write_text("raise SystemExit('edited')")
    assert [job.wait(60).status for job in (script, of_notebook, code)] == ["completed"] * 3, script.log()

    assert script.log().endswith("['--lr', '0.0001'] beside project 1\n")
    assert script.metrics()["loss"]["value"] == [1, 1 / 2, 1 / 3]
    assert (script.directory / "inputs" / "train.py").read_text() == SCRIPT
    spec = json.loads((script.directory / "spec.json").read_text())
    assert {name: spec[name] for name in ("kind", "name", "cwd", "args", "processes", "keep_kernel", "alerts")} == {
        "kind": "script",
        "name": "train.py",
        "cwd": str(project),
        "args": ["--lr", "0.0001"],
        "processes": 1,
        "keep_kernel": 0,
        "alerts": {"eval_patience": 5},
    }

    cells = json.loads((of_notebook.artifacts / "train.ipynb").read_text())["cells"]
    assert [cell["source"] for cell in cells] == [
        "# Parameters\nx = [1, None]",
        *("x = 1", "x", "print(x, __import__('os').getcwd())"),
    ]
    assert of_notebook.log().splitlines()[-1] == f"1 {project}"

    assert code.log().endswith("4999950000 {'a': 1}\n")
    inputs = code.directory / "inputs" / "variables.pickle"
    assert inputs.stat().st_mode & 0o777 == 0o600
    assert json.loads((code.directory / "spec.json").read_text())["variables"] == ["data", "config"]
    assert inbox(client) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (threading.Lock(), "can't be taken along, as it can't be pickled (cannot pickle '_thread.lock' object)"),
        (json, "is a module; write `import json` into the code of the job instead"),
        ([Point()], "can't be taken along: the class Point is defined in this notebook"),
    ],
)
def test_a_variable_that_can_not_be_taken_along_is_named_before_anything_starts(
    client: RealServer, value: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Point, "__module__", "__main__")
    before = len(jobs(limit=500))
    with pytest.raises(VariableError) as refused:
        trainlive.launch(code="1", variables={"good": 1, "odd": value})
    assert str(refused.value).startswith(f"odd: {problem}")
    assert (len(jobs(limit=500)), inbox(client)) == (before, [])


def test_a_variable_that_can_not_be_loaded_is_named(client: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("only_here")
    module.Point = Point  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", module)
    monkeypatch.setattr(Point, "__module__", "only_here")
    job = trainlive.launch(code="print('never')", variables={"good": 1, "odd": Point()})
    assert job.wait(60).status == "failed"
    assert job.error is not None
    assert job.error.startswith("The variable odd can't be loaded: ModuleNotFoundError: No module named 'only_here'")
    assert "environment" in job.info()["hint"]
    assert "never" not in job.log()


def test_what_is_wrong_is_refused_with_its_name_and_the_remedy(client: RealServer, project: Path) -> None:
    (project / "odd.ipynb").write_text("{}")
    (project / "folder.py").mkdir()
    script = {"kind": "script", "path": str(project / "train.py")}
    of_notebook = {"kind": "notebook", "path": str(project / "train.ipynb")}
    code = {"kind": "code", "code": "1"}
    for request, status, field, message in (
        ({"kind": "script"}, 400, "path", "must be the path of a script (*.py)"),
        ({**script, "path": str(project / "none.py")}, 422, "path", f"there is no file {project}/none.py"),
        ({**script, "path": str(project / "folder.py")}, 422, "path", f"{project}/folder.py is no file"),
        ({**script, "path": str(project / "train.ipynb")}, 400, "path", "its name must end with .py"),
        ({**script, "path": "x" * 5000 + ".py"}, 400, "path", "can't be looked at"),
        ({**script, "args": "--lr 1"}, 400, "args", "must be a list of strings"),
        ({**script, "args": [1]}, 400, "args", "must be a list of strings"),
        ({**script, "processes": 0}, 400, "processes", "must be a whole number from 1 to 64"),
        ({**script, "code": "1"}, 400, "code", "is not a field of a script job"),
        ({**script, "loss_from_backward": 1}, 400, "loss_from_backward", "must be true or false"),
        ({**script, "keep_kernel": -1}, 400, "keep_kernel", "must be seconds, 0 to 604800"),
        ({**script, "alerts": {"loss_spike": 1}}, 400, "alerts", "'loss_spike' is no threshold"),
        ({**of_notebook, "path": str(project / "odd.ipynb")}, 422, "path", "it is not of nbformat 4"),
        ({**of_notebook, "parameters": {"not a name": 1}}, 400, "parameters", "'not a name' is not a variable's name"),
        ({**of_notebook, "parameters": []}, 400, "parameters", "must be an object"),
        ({**code, "variables": "../spec.json"}, 400, "variables", "must name a file of the inbox"),
        ({**code, "variables": new_file_name()}, 400, "variables", "is not in the inbox"),
    ):
        with client.http() as http:
            answer = http.post("api/training/jobs", json=request)
        body = answer.json()
        assert (answer.status_code, body.get("field")) == (status, field), body
        assert message in body["message"]
    with pytest.raises(RequestError, match="parameters: the value of x is no finite number"):
        trainlive.launch(project / "train.ipynb", parameters={"x": float("nan")})
    for arguments, problem in (
        ({}, "takes the path of a script or a notebook, or code"),
        ({"source": "train.txt"}, "neither a script"),
        ({"source": "train.py", "parameters": {"x": 1}}, "a script takes args"),
        ({"source": "train.ipynb", "args": ["x"]}, "args and processes are for a script"),
        ({"source": "train.py", "args": "--lr 1"}, "must be a list"),
        ({"source": "train.py", "variables": {"x": 1}}, "takes no variables; pass args"),
        ({"code": "1", "gpu": 1}, "no argument 'gpu'"),
    ):
        with pytest.raises(TypeError, match=problem):
            trainlive.launch(**arguments)


def test_the_inbox_takes_only_what_a_client_of_this_user_puts_there(client: RealServer, tmp_path: Path) -> None:
    folder = client.jobs_dir / ".inbox"
    folder.mkdir(mode=0o700, exist_ok=True)
    names = [new_file_name() for _ in range(4)]
    targets = [tmp_path / "elsewhere", tmp_path / "elsewhere too"]
    for target in targets:
        target.write_bytes(b'{"names": ["x"], "python": "3.11"}\n')
    (folder / names[0]).symlink_to(targets[0])
    (folder / names[1]).hardlink_to(targets[1])
    (folder / names[2]).write_bytes(b"no header")
    os.mkfifo(folder / names[3])
    with client.http() as http:
        for name in names:
            answer = http.post("api/training/jobs", json={"kind": "code", "code": "1", "variables": name})
            assert (answer.status_code, answer.json()["field"]) == (400, "variables")
    assert all(target.exists() for target in targets)
    (folder / "not of ours").touch()
    clear_inbox(client.jobs_dir)
    assert len(inbox(client)) == 5
    clear_inbox(client.jobs_dir, time.time() + 90_000)
    assert inbox(client) == ["not of ours"]
    (folder / "not of ours").unlink()


def test_every_common_argument_is_shown_and_told_of_where_it_can_be_given() -> None:
    for function in (trainlive.launch, trainlive.finetune):
        shown = inspect.signature(function).parameters
        assert set(Common.__annotations__) < set(shown)
        for name in Common.__annotations__:
            assert f"`{name}`" in (function.__doc__ or "")


def test_run_follows_a_script_to_its_end(client: RealServer, project: Path) -> None:
    done = run(client, "run", str(project / "train.py"), "--env", "ONE=1", "--", "--lr", "1e-4")
    first, *_, last = done.stdout.splitlines()
    assert (last, done.returncode) == ("completed, final loss 0.3333333333333333", 0)
    assert trainlive.get(first.split()[0]).log().endswith("['--lr', '1e-4'] beside project 1\n")


def test_run_without_following_and_what_does_not_go_together(client: RealServer, project: Path) -> None:
    parameters = ["--parameter", "x=[1]", "--parameter", "y=text", "--name", "detached"]
    done = run(client, "run", str(project / "train.ipynb"), "--detach", *parameters)
    job = trainlive.get(done.stdout.split()[0])
    assert (done.returncode, job.wait(60).status, job.name) == (0, "completed", "detached")
    spec: dict[str, Any] = json.loads((job.directory / "spec.json").read_text())
    assert spec["parameters"] == {"x": [1], "y": "text"}
    refused = run(client, "run", str(project / "train.ipynb"), "--", "--lr", "1e-4")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "jupyter trainlive: args and processes are for a script, and this is a notebook\n"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["loop.py", "--lr", "1"], "jupyter trainlive run loop.py -- --lr 1"),
        (["my loop.py", "--lr", "a b", "--", "--x"], "jupyter trainlive run 'my loop.py' -- --lr 'a b' --x"),
        (["loop.py", "--name", "1", "--lr", "1"], "jupyter trainlive run loop.py --name 1 -- --lr 1"),
        (["loop.py", "--l", "3"], "jupyter trainlive run loop.py -- --l 3"),
        (["loop.ipynb", "--lr", "1"], "--parameter NAME=VALUE"),
    ],
)
def test_arguments_of_a_script_that_stand_among_ours_are_shown_their_place(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        cli.main(["run", *arguments])
    assert refused.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(meant)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_end_it(client: RealServer, project: Path) -> None:
    (project / "long.py").write_text("import time; time.sleep(600)")
    command = [*COMMAND, "run", str(project / "long.py")]
    with subprocess.Popen(
        command, env=client.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        job = trainlive.get(process.stdout.readline().split()[0])
        client.wait(job.job_id, "running")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, job.status) == (130, "running")
    assert stderr.strip() == f"{job.job_id} runs on; `jupyter trainlive cancel {job.job_id}` ends it."
    job.cancel()
    client.wait(job.job_id, "cancelled")
