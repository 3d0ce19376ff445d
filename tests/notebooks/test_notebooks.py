"""The notebooks run as they are, offline, each in a kernel of a real server."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from jupyter_trainlive.client.live_notebook import run_in_session

from ..real_server import TOKEN, RealServer

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
#: The curves that a reader of the notebook is to see, and the steps of its training.
EXPECTED = {
    "trainer": ({"loss", "eval_loss", "learning_rate", "grad_norm", "step_time_seconds"}, 108),
    "trl_lora": ({"loss", "mean_token_accuracy", "learning_rate"}, None),
    "lightning": ({"loss", "val_loss", "val_accuracy"}, 750),
    "torch_loop": ({"loss", "learning_rate"}, 600),
}


def test_every_notebook_is_run_by_a_test() -> None:
    assert {file.stem for file in NOTEBOOKS.glob("*.ipynb")} == {*EXPECTED, "quickstart"}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_notebook_runs_as_it_is_and_its_training_is_seen(
    server: RealServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.home / "runtime"))
    notebook = Path(shutil.copy(NOTEBOOKS / f"{name}.ipynb", server.home / "root"))
    with httpx.Client(base_url=server.url, headers={"Authorization": f"token {TOKEN}"}, timeout=60) as http:
        known = {kernel["id"] for kernel in http.get("api/kernels").json()}
        try:
            run_in_session(http, notebook, lambda: None)
        finally:
            for kernel in http.get("api/kernels").json():
                if kernel["id"] not in known:
                    http.delete(f"api/kernels/{kernel['id']}")
    with server.http() as http:
        (found,) = http.get("api/training/jobs", params={"q": name.replace("_", "-")}).json()["jobs"]
    job = server.wait(found["job_id"], "completed")
    curves, steps = EXPECTED[name]
    assert curves <= {series["name"] for series in job["series"]}
    assert steps is None or job["current_step"] == steps
    assert job["progress"] == 100
