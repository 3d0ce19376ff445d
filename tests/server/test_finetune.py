"""The recipe through the contract's own call: a real fine-tune, from POST to a model that can be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .. import tiny_model
from ..real_server import RealServer


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("material")
    model, data = tiny_model.make_model(folder / "model"), tiny_model.make_data(folder / "rows.jsonl", 64)
    return {"model_name": str(model), "dataset_path": str(data), "max_length": 64}


def execute(server: RealServer, parameters: dict[str, Any]) -> dict[str, Any]:
    with server.http() as http:
        answer = http.post("api/training/execute", json=parameters)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"].endswith(answer.json()["job_id"])
    return dict(answer.json())


def test_execute_fine_tunes_and_leaves_a_model(server: RealServer, material: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parameters = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3, "eval_split": 0.125}
    job = server.wait(execute(server, {**material, **parameters})["job_id"], timeout=120)
    assert (job["status"], job["error"]) == ("completed", None)
    assert (job["current_step"], job["total_steps"], job["current_epoch"], job["total_epochs"]) == (28, 28, 2, 2)
    assert job["final_loss"] is not None
    assert job["eval_loss"] is not None
    assert job["artifacts"] == ["artifacts/model"]
    sizes = {file["path"]: file["size_bytes"] for file in job["files"]}
    assert sizes["artifacts/model/model.safetensors"] > 10_000
    counts = {series["name"]: series["count"] for series in job["series"]}
    assert counts["loss"] == counts["learning_rate"] == counts["grad_norm"] == 28
    assert counts["eval_loss"] == 2
    assert counts["samples_per_second"] >= 1
    assert counts["step_time_seconds"] >= 1

    with server.http() as http:
        rows = http.get(f"api/training/jobs/{job['job_id']}/metrics.csv").text.splitlines()
    losses = [float(row.split(",")[4]) for row in rows if row.startswith("loss,")]
    assert losses[-1] < losses[0] - 0.3
    model = Path(job["directory"]) / "artifacts" / "model"
    assert AutoModelForCausalLM.from_pretrained(model).num_parameters() > 10_000
    assert AutoTokenizer.from_pretrained(model)("text")["input_ids"]


def test_a_cancelled_fine_tune_stops_at_a_step_and_leaves_no_model(
    server: RealServer, material: dict[str, Any]
) -> None:
    job = execute(server, {**material, "max_steps": 100_000, "name": "long"})
    server.wait(job["job_id"], "running")
    server.until(job["job_id"], lambda job: job["current_step"] is not None)
    with server.http() as http:
        assert http.post(f"api/training/jobs/{job['job_id']}/cancel").status_code == 202
    ended = server.wait(job["job_id"])
    assert (ended["status"], ended["error"], ended["exit"]["code"]) == ("cancelled", "Cancelled", 0)
    assert ended["artifacts"] == []


def test_a_model_that_cannot_be_loaded_is_a_plain_reason_before_training(
    server: RealServer, material: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    job = server.wait(execute(server, {**material, "model_name": str(tmp_path)})["job_id"])
    assert job["status"] == "failed"
    assert "can't be loaded" in job["error"]
    assert "\n" not in job["error"]
    assert "model_name" in job["hint"]
    assert job["current_step"] is None
