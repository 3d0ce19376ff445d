"""A dry run through the contract's own call: numbers from a kernel of its own, and no job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_trainlive.client import DryRun

from .. import tiny_model
from ..real_server import RealServer


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("material")
    model, data = tiny_model.make_model(folder / "model"), tiny_model.make_data(folder / "rows.jsonl", 64)
    return {"model_name": str(model), "dataset_path": str(data), "max_length": 64}


def execute(server: RealServer, parameters: dict[str, Any]) -> httpx.Response:
    with server.http() as http:
        return http.post("api/training/execute", json=parameters, timeout=120)


def test_a_dry_run_counts_and_estimates_and_leaves_nothing(server: RealServer, material: dict[str, Any]) -> None:
    jobs = len(list(server.jobs_dir.glob("job_*")))
    before = set(Path(tempfile.gettempdir()).glob("trainlive-question-*"))
    answer = execute(server, {**material, "dry_run": True, "use_peft": True, "eval_split": 0.125, "gpus": 0})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["rows"], told["eval_rows"], told["steps"], told["steps_per_epoch"]) == (56, 8, 21, 7)
    assert told["tokens"] > 1000
    assert 0 < told["trainable_parameters"] < told["all_parameters"]
    assert 0 < told["memory_gb"]["model"] < told["memory_gb"]["total"] < 1
    assert (told["gpu_memory_gb"], told["fits"]) == (None, None)
    assert "56 rows to learn, 8 to evaluate on" in repr(DryRun.of(told))
    assert len(list(server.jobs_dir.glob("job_*"))) == jobs
    assert set(Path(tempfile.gettempdir()).glob("trainlive-question-*")) <= before


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"dry_run": "yes"}, 400, "dry_run"),
        ({"dry_run": True, "learning_rat": 1}, 400, "learning_rat"),
        ({"dry_run": True, "dataset_path": "/no/such/rows.jsonl"}, 422, "dataset_path"),
        ({"dry_run": True, "fp16": True, "gpus": 0}, 422, "fp16"),
    ],
)
def test_what_is_wrong_is_refused_before_a_kernel_is_started(
    server: RealServer, material: dict[str, Any], more: dict[str, Any], status: int, field: str
) -> None:
    answer = execute(server, {**material, **more})
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
