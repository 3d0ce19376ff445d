"""``%%trainlive`` in a real notebook kernel that belongs to a real server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from ..real_server import RealServer


class Notebook:
    """A notebook's kernel, cell by cell."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell: str) -> list[dict[str, Any]]:
        """What a cell puts out: the contents of its messages, each with its "type"."""
        found: list[dict[str, Any]] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                found.append({"type": message["msg_type"], **message["content"]})

        self.client.execute_interactive(cell, output_hook=hear, timeout=60)
        return found


@pytest.fixture(scope="module")
def notebook(server: RealServer) -> Iterator[Notebook]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=server.env, cwd=str(server.home / "root"))
    notebook = Notebook(manager)
    yield notebook
    notebook.client.stop_channels()
    manager.shutdown_kernel(now=True)


def only(outputs: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (output,) = outputs
    assert output["type"] == kind, output
    return output


def test_the_magic(notebook: Notebook, server: RealServer) -> None:
    unknown = only(notebook.run("%%trainlive\n1"), "stream")
    assert "`%%trainlive` not found" in unknown["text"]
    assert notebook.run("%load_ext jupyter_trainlive\ndata, config = [1, 2], {'a': 'b'}") == []

    shown = only(
        notebook.run(
            "%%trainlive --name 'of a cell' --env ONE=1 --with data,config --priority 3 --stop-on-nan\n"
            "import os\nprint(sum(data), config, os.environ['ONE'])\n"
            "import jupyter_trainlive as t\nt.log({'loss': 0.5})"
        ),
        "execute_result",
    )
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    job_id = re.search(r"job_\w{12}", shown["data"]["text/plain"])
    assert job_id is not None
    assert only(notebook.run("print(_.wait().job_id, _.status)"), "stream")["text"] == f"{job_id[0]} completed\n"
    job = server.job(job_id[0])
    spec = json.loads((server.jobs_dir / job_id[0] / "spec.json").read_text())
    assert (job["name"], job["loss"], spec["priority"], spec["stop_on_nan"]) == ("of a cell", 0.5, 3, True)
    with server.http() as http:
        log = http.get(f"api/training/jobs/{job_id[0]}/log").json()["text"]
    assert log.endswith("3 {'a': 'b'} 1\n")


def test_help_is_shown_and_starts_nothing(notebook: Notebook, server: RealServer) -> None:
    notebook.run("%load_ext jupyter_trainlive")
    before = sorted(path.name for path in server.jobs_dir.glob("job_*"))
    for cell in ("%%trainlive --help\n1", "%trainlive --help"):
        text = only(notebook.run(cell), "stream")["text"]
        assert "--follow" in text
        assert "variables that it gets copies of" in text
    assert "write it with two %" in str(notebook.run("%trainlive"))
    assert sorted(path.name for path in server.jobs_dir.glob("job_*")) == before


def test_who_follows_has_the_job_as_the_value_of_the_cell(notebook: Notebook) -> None:
    notebook.run("%load_ext jupyter_trainlive")
    only(notebook.run("%%trainlive --follow --name followed_to_its_end\n1"), "display_data")
    assert only(notebook.run("print(_.name, _.status)"), "stream")["text"] == "followed_to_its_end completed\n"
    # What comes later shows itself as ever.
    assert "widget-view" in str(only(notebook.run("_"), "execute_result")["data"])
    assert only(notebook.run("%%trainlive --follow\n1 / 0")[1:], "error")["ename"] == "JobFailed"
    assert re.match(r"job_\w{12}\n", only(notebook.run("import sys; print(sys.last_value.job_id)"), "stream")["text"])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%trainlive --with data config\n1", ".*names of variables are separated by commas.*: --with data,config"),
        ("%%trainlive --with data,nothing\n1", "VariableError: nothing: there is no variable of that name"),
        ("%%trainlive --kernel nowhere\n1", "RequestError: kernel_name: there is no kernel 'nowhere'"),
        ("%%trainlive --gpus two\n1", "UsageError: %%trainlive: argument --gpus: invalid int value: 'two'"),
        ("%%trainlive --env ONE\n1", "UsageError: %%trainlive: argument --env: 'ONE' is not of the form NAME=VALUE"),
        ("%%trainlive --name 'x\n1", "UsageError: %%trainlive: No closing quotation"),
        ("%%trainlive --follow\nraise ValueError('bad')", "JobFailed: job_............ failed: ValueError: bad"),
    ],
)
def test_an_error_is_one_clear_line(notebook: Notebook, cell: str, message: str) -> None:
    notebook.run("%load_ext jupyter_trainlive\ndata = 1")
    outputs = notebook.run(cell)
    text = "".join(output.get("text") or "".join(output.get("traceback", ())) for output in outputs).strip()
    assert "\n" not in text
    assert re.match(message.replace("(", r"\("), text), text
    kinds = [output["type"] for output in outputs]
    assert kinds == (["display_data", "error"] if "--follow" in cell else [kinds[0]])


def test_an_interrupt_of_who_follows_leaves_the_job_running(notebook: Notebook, server: RealServer) -> None:
    notebook.run("%load_ext jupyter_trainlive")
    message_id = notebook.client.execute("%%trainlive --follow --name followed\nimport time; time.sleep(600)")
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        with server.http() as http:
            found = http.get("api/training/jobs", params={"q": "followed"}).json()["jobs"]
        if found and found[0]["status"] == "running":
            break
        time.sleep(0.05)
    notebook.manager.interrupt_kernel()
    reply = notebook.client.get_shell_msg(timeout=30)
    while reply["parent_header"]["msg_id"] != message_id:
        reply = notebook.client.get_shell_msg(timeout=30)
    assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "KeyboardInterrupt")
    assert len(reply["content"]["traceback"]) == 1
    assert f"{found[0]['job_id']} runs on" in reply["content"]["traceback"][0]
    assert server.job(found[0]["job_id"])["status"] == "running"
    with server.http() as http:
        http.post(f"api/training/jobs/{found[0]['job_id']}/cancel")
