"""`jupyter trainlive demo`, which is what `make demo` starts: a real fine-tune in a real JupyterLab."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import STOP_SECONDS, Demo

pytest.importorskip("jupyterlab")
pytest.importorskip("torch")


def value_of(text: str, name: str) -> str:
    """What stands behind a name in the summary."""
    found = re.search(rf"^  {name}\s+(.+?)\s*$", text, re.MULTILINE)
    assert found, text
    return found[1]


def test_with_exit_it_fine_tunes_a_model_reports_it_and_leaves_nothing_running(start: Callable[..., Demo]) -> None:
    demo = start("--exit")
    assert demo.end() == 0, demo.text

    url, token = value_of(demo.text, "Watch it at"), value_of(demo.text, "Token")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tree/quickstart\.ipynb", url)
    assert token not in url
    assert value_of(demo.text, "Job") == demo.job().name
    final, began = re.fullmatch(r"([\d.]+) \(it began at ([\d.]+)\)", value_of(demo.text, "Final loss")).groups()  # type: ignore[union-attr]
    assert 0 < float(final) < 0.8 * float(began)
    # Without a terminal the progress comes in lines.
    assert "\x1b" not in demo.text
    assert re.search(r"^ *\d+% ━+─* step \d+/\d+ · loss ", demo.text, re.MULTILINE)

    model = value_of(demo.text, "Model")
    assert Path(model).is_relative_to(demo.folder)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, trained = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    answer = trained.generate(**tokenizer("The value", return_tensors="pt"), max_new_tokens=5)
    assert answer.shape[1] > 5

    notebook = json.loads((demo.folder / "quickstart.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3, 4, 5]
    assert "The loss fell from" in json.dumps(code[3]["outputs"])
    assert token not in json.dumps(notebook)
    assert demo.is_gone(), demo.running()


def test_ctrl_c_ends_everything_it_started(start: Callable[..., Demo]) -> None:
    demo = start(terminal=True)
    # The line is drawn again and again on a terminal.
    demo.until(lambda text: len(re.findall(r"\r\x1b\[2K *\d+% ━*─* step \d+/\d+", text)) >= 3)
    commands = [" ".join(process.cmdline()) for process in demo.running()]
    for part, count in (("jupyterlab", 1), ("jupyter_trainlive.kernels.shim", 1), ("ipykernel_launcher", 2)):
        assert sum(part in command for command in commands) == count, commands
    demo.interrupt()
    assert demo.end(STOP_SECONDS) == 130, demo.text
    assert demo.is_gone(), demo.running()
    assert f"Cancelling {demo.job().name}" in demo.text
    assert demo.text.rstrip().endswith("Stopped.")
    assert "Traceback" not in demo.text
    assert demo.records("training")[-1]["status"] == "cancelled"
    assert demo.records("process")[-1]["kind"] == "exited"


def test_it_goes_on_after_the_job_and_a_program_that_ends_it_ends_everything(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.until(lambda text: " step " in text)
    # However it ends; tests/browser/test_demo_page.py sees it go on behind a job that completed.
    demo.kill_training()
    demo.until(lambda text: "JupyterLab goes on; Ctrl-C ends it." in text)
    assert any("jupyterlab" in " ".join(process.cmdline()) for process in demo.running())
    demo.process.terminate()
    assert demo.end(STOP_SECONDS) == 130
    assert demo.is_gone(), demo.running()


def test_a_training_that_is_killed_gives_exit_status_1_and_the_reason(start: Callable[..., Demo]) -> None:
    demo = start("--exit")
    demo.until(lambda text: " step " in text)
    demo.kill_training()
    assert demo.end() == 1, demo.text
    assert re.search(r"^  Failed: .*SIGKILL", demo.text, re.MULTILINE), demo.text
    assert demo.is_gone(), demo.running()


@pytest.mark.parametrize("moment", ["Starting JupyterLab", "Running the quickstart"])
def test_ctrl_c_before_there_is_a_job_ends_everything_too(start: Callable[..., Demo], moment: str) -> None:
    demo = start("--exit")
    demo.until(lambda text: moment in text)
    demo.interrupt()
    assert demo.end(STOP_SECONDS) == 130, demo.text
    assert demo.is_gone(), demo.running()
    assert "Traceback" not in demo.text


def test_a_quickstart_that_launches_nothing_gives_exit_status_1_and_a_changed_one_is_kept(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    changed = json.dumps({"cells": [], "metadata": {"whose": "mine"}, "nbformat": 4, "nbformat_minor": 5})
    (folder / "quickstart.ipynb").write_text(changed)
    # The example's folder can't be made where a file lies.
    (folder / "trainlive-example").write_text("")
    first = start("--exit")
    assert first.end() == 1
    assert "The quickstart ended without a job: FileExistsError" in first.text
    assert "Your changed quickstart is now quickstart-1.ipynb." in first.text
    assert (folder / "quickstart-1.ipynb").read_text() == changed
    assert first.is_gone(), first.running()

    # With its outputs alone it is not a changed one.
    assert "FileExistsError" in (folder / "quickstart.ipynb").read_text()
    second = start("--exit")
    assert second.end() == 1
    assert "changed quickstart" not in second.text
    assert not (folder / "quickstart-2.ipynb").exists()
