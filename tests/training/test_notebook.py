"""A notebook as a job: cells as a person would run them, parameters put in, and what they put out kept in it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from jupyter_trainlive.protocol.control import Desired
from jupyter_trainlive.protocol.notebooks import NotebookError, parse, value_problem, with_parameters
from jupyter_trainlive.training import executed as module
from jupyter_trainlive.training.displays import heard
from jupyter_trainlive.training.executed import Executed

from .conftest import Job
from .test_boot import Kernel


def notebook(*cells: str | tuple[str, str], minor: int = 5) -> dict[str, Any]:
    """A notebook of code cells, each its source or its source and a tag."""
    made = []
    for place, cell in enumerate(cells):
        source, tags = (cell, []) if isinstance(cell, str) else (cell[0], [cell[1]])
        made.append(
            {
                "cell_type": "code",
                "id": f"cell{place}",
                "execution_count": 99,
                "metadata": {"tags": tags},
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "of an earlier run"}],
                "source": source.splitlines(keepends=True),
            }
        )
    return {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}


def submit(job: Job, content: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    (job.dir.inputs / "train.ipynb").write_text(json.dumps(content))
    return {"kind": "notebook", "path": "/nowhere/train.ipynb", "parameters": parameters}


def until(condition: Callable[[], bool], kernel: Kernel) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, kernel.log
        time.sleep(0.02)


def outputs(job: Job) -> list[list[dict[str, Any]]]:
    """Of each code cell of the executed notebook, which must be a valid one."""
    file = job.dir.artifacts / "train.ipynb"
    nbformat.validate(nbformat.read(file, as_version=4))
    return [cell["outputs"] for cell in json.loads(file.read_text())["cells"]]


@pytest.fixture
def kernel(job: Job) -> Iterator[Kernel]:
    kernel = Kernel(job)
    yield kernel
    kernel.stop()


def test_cells_run_as_a_person_would_run_them_and_their_outputs_are_kept(kernel: Kernel) -> None:
    content = notebook(
        ("rate, name = 1, 'x'", "parameters"),
        "import sys\nprint('printed')\nprint('said', file=sys.stderr)\n!echo from a shell\nrate",
        "import asyncio\nawait asyncio.sleep(0.01)\nhandle = display('first', display_id=True)\n'awaited'",
        ("1 / 0", "raises-exception"),
        ("print('never')", "skip-execution"),
        "handle.update('second')\nimport jupyter_trainlive\njupyter_trainlive.log({'loss': rate}, step=3)\nname",
    )
    assert kernel.start(**submit(kernel.job, content, rate=0.5)).wait() == 0
    assert kernel.job.end()["status"] == "completed", kernel.log
    found = outputs(kernel.job)
    assert found[0] == found[1] == []
    assert found[2] == [
        {"output_type": "stream", "name": "stdout", "text": "printed\n"},
        {"output_type": "stream", "name": "stderr", "text": "said\n"},
        {"output_type": "stream", "name": "stdout", "text": "from a shell\n"},
        {"output_type": "execute_result", "data": {"text/plain": "0.5"}, "metadata": {}, "execution_count": 3},
    ]
    assert [output["data"]["text/plain"] for output in found[3]] == ["'second'", "'awaited'"]
    assert (found[4][0]["ename"], found[4][0]["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert found[4][0]["traceback"][0] == "Traceback (most recent call last):"
    assert "IPython" not in "".join(found[4][0]["traceback"])
    assert found[5] == []
    assert found[6][0]["data"] == {"text/plain": "'x'"}
    cells = json.loads((kernel.job.dir.artifacts / "train.ipynb").read_text())["cells"]
    assert (cells[1]["metadata"]["tags"], cells[1]["source"]) == (["injected-parameters"], "# Parameters\nrate = 0.5")
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4, 5, None, 6]
    assert kernel.log.splitlines() == ["printed", "said", "from a shell", "0.5", "'first'", "'awaited'", "'x'"]
    assert kernel.job.series("loss") == [(3, 0.5)]
    assert [record["path"] for record in kernel.job.records("artifact")] == ["artifacts/train.ipynb"]


@pytest.mark.parametrize("head", ["x = 1", "import asyncio; await asyncio.sleep(0)"])
def test_a_cell_that_fails_is_named_and_ends_the_job(kernel: Kernel, head: str) -> None:
    content = notebook(head, "print('on its way')\nraise ValueError('bad weights')", "print('never')")
    assert kernel.start(**submit(kernel.job, content)).wait() == 0
    end = kernel.job.end()
    assert (end["status"], end["error"]) == ("failed", "Cell [2]: ValueError: bad weights")
    assert "raise ValueError('bad weights')" in end["traceback"]
    assert "IPython" not in end["traceback"]
    assert "notebook.py" not in end["traceback"]
    assert [[output.get("text", output.get("evalue")) for output in cell] for cell in outputs(kernel.job)] == [
        [],
        ["on its way\n", "bad weights"],
        [],
    ]


@pytest.mark.parametrize("rest", ["pass", "import asyncio; await asyncio.sleep(0)"])
def test_a_misspelled_parameter_is_told_of_and_a_failing_cell_has_its_number_in_the_file(
    kernel: Kernel, rest: str
) -> None:
    content = notebook(("!true\nlr: float = 1.0\nx, y = 1, 2", "parameters"), rest, "1 / 0")
    assert kernel.start(**submit(kernel.job, content, lr=2, y=3, lrr=0.5)).wait() == 0
    assert kernel.job.end()["error"] == "Cell [3]: ZeroDivisionError: division by zero"
    warnings = [line for line in kernel.log.splitlines() if "not assigned" in line]
    assert warnings == ["jupyter_trainlive: lrr is not assigned in the notebook's cell of parameters"]


def test_it_is_held_between_cells_and_cancelled_there(kernel: Kernel) -> None:
    marker = kernel.job.dir.path / "marker"
    content = notebook(
        f"import pathlib, time\nprint('one')\nwhile not pathlib.Path({str(marker)!r}).exists(): time.sleep(0.01)",
        "print('two')",
    )
    kernel.start(**submit(kernel.job, content))
    until(lambda: "one" in kernel.log, kernel)
    kernel.job.wish(Desired.PAUSED, 1)
    marker.touch()
    kernel.until("held")
    # What was put out so far is there, whatever becomes of the job.
    assert outputs(kernel.job)[0][0]["text"] == "one\n"
    kernel.job.cancel()
    assert kernel.wait() == 0
    assert kernel.job.end()["status"] == "cancelled"
    assert outputs(kernel.job)[1] == []


@pytest.mark.parametrize(("head", "kill"), [("x = 1", True), ("import asyncio; await asyncio.sleep(0)", False)])
def test_a_cell_is_interrupted_or_killed_and_leaves_what_it_did(kernel: Kernel, head: str, kill: bool) -> None:
    content = notebook(
        head, "import time\nprint('began')\nprint(' 1 %', end='')\nprint('\\r 2 %', end='')\ntime.sleep(60)"
    )
    spec = submit(kernel.job, content)
    kernel.start(**spec)
    until(lambda: "2 %" in kernel.log, kernel)
    kernel.job.cancel()
    if kill:
        until(lambda: bool(outputs(kernel.job)[1]), kernel)
        kernel.manager.signal_kernel(signal.SIGKILL)
        kernel.wait()
    else:
        kernel.manager.interrupt_kernel()
        assert kernel.wait() == 0
        assert kernel.job.end()["status"] == "cancelled"
    assert outputs(kernel.job)[1][0]["text"] == "began\n 2 %"


def test_last_values_are_heard_of_under_an_older_ipykernel_too() -> None:
    class Older:
        msg: dict[str, Any] | None = None

        def finish_displayhook(self) -> None:
            self.msg = None

    hook, heard_of = Older(), list[Any]()
    with heard(SimpleNamespace(display_pub=None, displayhook=hook), heard_of.append):
        hook.msg = {"msg_type": "execute_result", "content": {"data": {"text/plain": "1"}}}
        hook.finish_displayhook()
    assert (len(heard_of), hook.msg) == (1, None)
    hook.msg = heard_of[0]
    hook.finish_displayhook()
    assert len(heard_of) == 1


def test_what_is_no_notebook_is_refused_in_words() -> None:
    def bad(**changes: Any) -> bytes:
        return json.dumps({**notebook("x"), **changes}).encode()

    for data, problem in (
        (b"{", "it is not JSON"),
        (b"[]", "not a JSON object"),
        (bad(nbformat=3), "not of nbformat 4"),
        (bad(cells=None), "not a JSON object with cells"),
        (bad(cells=[{"cell_type": "dance"}]), "cell 1 has no cell_type"),
        (bad(cells=[{"cell_type": "code", "source": 3}]), "cell 1 has no source"),
        (bad(metadata={"kernelspec": {"language": "R"}}), "it is written in R"),
    ):
        with pytest.raises(NotebookError, match=problem):
            parse(data)
    assert parse(bad(metadata={"language_info": {"name": "python"}}))["nbformat"] == 4


def test_parameters_come_behind_their_cell_and_in_place_of_those_of_an_earlier_run() -> None:
    value = {"a": [1, 2.5, None, True], "b": 'it\'s "quoted"\n'}
    once = with_parameters(notebook("pass", ("x = 1", "parameters"), "x"), {"x": value, "y": -1})
    again = with_parameters(once, {"x": 2})
    assert [len(once["cells"]), len(again["cells"])] == [4, 4]
    namespace: dict[str, Any] = {}
    exec(once["cells"][2]["source"], namespace)
    assert (namespace["x"], namespace["y"]) == (value, -1)
    assert again["cells"][2]["source"] == "# Parameters\nx = 2"
    top = with_parameters(notebook("x", minor=4), {"x": 1})["cells"]
    assert top[0]["source"] == "# Parameters\nx = 1"
    assert "id" not in top[0]
    assert with_parameters(once, {}) is once
    assert value_problem({"a": [1, {"b": None}]}) is None
    for odd in (float("nan"), {1: 2}, {"a": object()}, [b"bytes"]):
        assert value_problem(odd) is not None


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    monkeypatch.setattr(module, "HEAD_CHARACTERS", 100)
    monkeypatch.setattr(module, "TAIL_CHARACTERS", 50)
    monkeypatch.setattr(module, "MOST_OUTPUTS", 6)
    monkeypatch.setattr(module, "DISPLAYS_LIMIT_BYTES", 100)
    content = notebook("x")
    made = Executed(content, tmp_path / "train.ipynb")
    made.begin(content["cells"][0], 1)

    def written() -> list[dict[str, Any]]:
        made.save()
        cells = json.loads((tmp_path / "train.ipynb").read_text())["cells"]
        found: list[dict[str, Any]] = cells[0]["outputs"]
        return found

    written.made = made  # type: ignore[attr-defined]
    yield written
    made.close()


def show(text: str, kind: str = "display_data", **transient: str) -> dict[str, Any]:
    return {"msg_type": kind, "content": {"data": {"text/plain": text}, "metadata": {}, "transient": transient}}


def test_what_a_cell_prints_is_bounded(executed: Any) -> None:
    for n in range(1000):
        executed.made.printed("stdout", f"{n:09}\n")
    first, last = executed()
    assert first["text"].splitlines() == [f"{n:09}" for n in range(10)]
    assert last["text"].splitlines()[1] == "[… 9850 characters left out; output.log has all of it …]"
    assert last["text"].endswith("000000998\n000000999\n")


def test_a_progress_bar_takes_no_more_room_than_its_last_state(executed: Any) -> None:
    executed.made.printed("stderr", "epoch 1\n")
    for n in range(1000):
        executed.made.printed("stderr", f"\r{n} %")
        if n % 100 == 0:
            assert executed() == [{"output_type": "stream", "name": "stderr", "text": f"epoch 1\n{n} %"}]
    executed.made.printed("stderr", "\nepoch 2\n")
    assert executed() == [{"output_type": "stream", "name": "stderr", "text": "epoch 1\n999 %\nepoch 2\n"}]


def test_displays_are_bounded_and_what_is_cleared_takes_no_room(executed: Any) -> None:
    for n in range(50):
        executed.made.displayed({"msg_type": "clear_output", "content": {"wait": True}})
        executed.made.displayed(show("x" * 90 + str(n), display_id="plot"))
    assert [output["data"]["text/plain"][-2:] for output in executed()] == ["49"]
    executed.made.displayed(show("y" * 20, "update_display_data", display_id="plot"))
    executed.made.displayed(show("z" * 90))
    assert [output["data"]["text/plain"][:2] for output in executed()] == ["yy", "[l"]
    executed.made.displayed({"msg_type": "clear_output", "content": {"wait": False}})
    assert executed() == []
    for _ in range(20):
        executed.made.displayed(show("w"))
    assert [output.get("text") for output in executed()] == [None] * 5 + [
        "[further displays of this cell are left out]\n"
    ]
