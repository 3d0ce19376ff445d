"""The REST calls about jobs, against a real server with real kernels."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol.contract import schema

from ..real_server import RealServer


def post(server: RealServer, path: str, **options: Any) -> Any:
    with server.http() as http:
        return http.post(path, **options)


def test_a_job_of_code_runs_in_a_kernel_of_its_own_and_is_completed(server: RealServer) -> None:
    answer = post(
        server,
        "api/training/jobs",
        json={
            "kind": "code",
            "name": "a first one",
            "env": {"GREETING": "hello"},
            "code": "import os, sys\nprint(os.environ['GREETING'], 'ipykernel' in sys.modules)\nprint('✓ done')",
        },
    )
    assert answer.status_code == 201
    job = answer.json()
    assert answer.headers["Location"].endswith(f"/trainlive/api/training/jobs/{job['job_id']}")
    assert job["status"] in ("queued", "starting")

    ended = server.wait(job["job_id"])
    assert (ended["status"], ended["progress"], ended["error"]) == ("completed", 100.0, None)
    assert (ended["exit"]["code"], ended["exit"]["signal"]) == (0, None)
    assert ended["exit"]["peak_memory_gb"] > 0.01
    assert ended["submitted_at"] <= ended["started_at"] <= ended["ended_at"]
    assert ended["spec"]["env"] == ["GREETING"], "the values may be secrets"
    with server.http() as http:
        log = http.get(f"api/training/jobs/{job['job_id']}/log").json()
    assert log["text"] == "hello True\n✓ done\n"
    assert log["size"] == log["next_offset"] == len(log["text"].encode())


def test_the_job_does_not_inherit_the_servers_secrets(server: RealServer) -> None:
    job_id = server.submit("import os, json; print(json.dumps(dict(os.environ)))", env={"MINE": "1"})
    server.wait(job_id, "completed")
    environment = json.loads((server.jobs_dir / job_id / "output.log").read_text())
    assert environment["MINE"] == "1"
    assert "JUPYTER_TOKEN" not in environment
    assert "PATH" in environment


def test_everything_of_a_job_is_private_to_its_owner(server: RealServer) -> None:
    job_id = server.submit("import jupyter_trainlive as t; t.log({'loss': 1}); open('artifact', 'w')", cwd="/tmp")
    server.wait(job_id)
    job_dir = server.jobs_dir / job_id
    for path in (server.jobs_dir, job_dir, *job_dir.rglob("*")):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_failing_cell_says_why_in_one_line_with_its_traceback(server: RealServer) -> None:
    job = server.wait(server.submit("def train():\n    raise RuntimeError('the data\\nis gone')\ntrain()"), "failed")
    assert job["error"] == "RuntimeError: the data"
    assert "in train" in job["traceback"]
    assert "RuntimeError: the data\nis gone" in job["traceback"]
    assert "\x1b" not in job["traceback"]


def test_exit_without_the_trainings_own_end_is_never_completed(server: RealServer) -> None:
    job = server.wait(server.submit("import os; os._exit(0)"))
    assert (job["status"], job["exit"]["code"]) == ("failed", 0)
    assert job["error"] == "The training process exited with status 0 before the training reported its end."
    job = server.wait(server.submit("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert (job["status"], job["exit"]["signal"]) == ("failed", 9)
    assert "SIGKILL" in job["error"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import time\nwhile True: time.sleep(0.1)", "Cancelled (by an interrupt)"),
        ("while True: pass", "Cancelled (by an interrupt)"),
    ],
)
def test_a_running_job_is_cancelled(server: RealServer, code: str, error: str) -> None:
    job_id = server.submit(code)
    server.wait(job_id, "running")
    answer = post(server, f"api/training/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    job = server.wait(job_id)
    assert (job["status"], job["error"]) == ("cancelled", error)
    again = post(server, f"api/training/jobs/{job_id}/cancel")
    assert again.status_code == 409
    assert again.json()["message"] == "The job has ended (cancelled); there is nothing to cancel."


def test_a_loop_of_ones_own_is_not_waited_for_as_a_trainer_is(server: RealServer) -> None:
    """It logs how many steps there are, and yet nothing in it reads the flag: it is interrupted soon."""
    code = "import time, jupyter_trainlive as t\nwhile True: t.log({'loss': 1}, total_steps=9); time.sleep(0.1)"
    job_id = server.submit(code)
    server.until(job_id, lambda job: job["total_steps"] == 9)
    post(server, f"api/training/jobs/{job_id}/cancel")
    assert server.wait(job_id)["status"] == "cancelled"
    lines = (server.jobs_dir / job_id / "journal" / "server.jsonl").read_text().splitlines()
    times = {record["kind"]: record["t"] for record in map(json.loads, lines)}
    assert times["escalated"] - times["cancel_requested"] < 5


def test_a_job_is_cancelled_while_it_starts(server: RealServer) -> None:
    job_id = server.submit("import time; time.sleep(600)")
    assert post(server, f"api/training/jobs/{job_id}/cancel").status_code == 202
    assert server.wait(job_id)["status"] == "cancelled"


def test_the_status_for_pollers_is_the_streams_message(server: RealServer) -> None:
    job_id = server.submit("import jupyter_trainlive as t; t.log({'loss': 0.5, 'eval_loss': 0.6}, step=3)")
    server.wait(job_id)
    with server.http() as http:
        message = http.get(f"api/training/status/{job_id}").json()
        (listed,) = http.get("api/training/jobs", params={"q": job_id}).json()["jobs"]
    assert listed["spark"] == [0.5], "a list shows how the loss went"
    assert "marks" not in listed, "and leaves out what only a chart needs"
    assert (message["status"], message["final_loss"], message["eval_loss"]) == ("completed", 0.5, 0.6)
    on_disk = json.loads((server.jobs_dir / job_id / "progress.json").read_text())
    assert {**on_disk, "timestamp": None} == {**message, "timestamp": None}


def test_the_list_is_newest_first_in_pages_and_can_be_searched(server: RealServer) -> None:
    ids = [server.submit("pass", name=f"Searched-For {number}") for number in range(3)]
    for job_id in ids:
        server.wait(job_id)
    with server.http() as http:
        first = http.get("api/training/jobs", params={"q": "searched-for", "limit": 2}).json()
        assert [job["job_id"] for job in first["jobs"]] == [ids[2], ids[1]]
        parameters = {"q": "searched-for", "limit": 2, "cursor": first["next_cursor"]}
        second = http.get("api/training/jobs", params=parameters).json()
        assert [job["job_id"] for job in second["jobs"]] == [ids[0]]
        assert second["next_cursor"] is None
        completed = http.get("api/training/jobs", params={"q": "searched-for", "status": "failed"}).json()
        assert completed["jobs"] == []
        assert http.get("api/training/jobs", params={"q": ids[1]}).json()["jobs"][0]["job_id"] == ids[1]


def test_every_point_is_in_the_csv(server: RealServer) -> None:
    job_id = server.submit(
        "import jupyter_trainlive as t\n"
        "for step in range(3000): t.log({'loss': step / 2, 'a, \"b\"': -step}, step=step, epoch=step / 1000)\n"
        "t.log({'loss': float('nan')}, step=3000); t.log({'loss': float('inf'), 'low': float('-inf')}, step=3001)"
    )
    server.wait(job_id, "completed")
    with server.http() as http:
        answer = http.get(f"api/training/jobs/{job_id}/metrics.csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert list(rows[0]) == ["name", "step", "epoch", "time", "value"]
    losses = [row for row in rows if row["name"] == "loss"]
    assert [int(row["step"]) for row in losses] == list(range(3002))
    assert [float(row["value"]) for row in losses[:3000]] == [step / 2 for step in range(3000)]
    assert [row["value"] for row in rows[-3:]] == ["nan", "inf", "-inf"]
    assert sum(row["name"] == 'a, "b"' for row in rows) == 3000


def test_the_log_is_read_in_pieces_that_never_cut_a_character(server: RealServer) -> None:
    text = "añ€😀" * 50
    job_id = server.submit(f"print({text!r}, end='')")
    server.wait(job_id, "completed")
    for limit in (5, 7, 100):
        got, offset = "", 0
        with server.http() as http:
            while True:
                piece = http.get(f"api/training/jobs/{job_id}/log", params={"offset": offset, "limit": limit}).json()
                got, offset = got + piece["text"], piece["next_offset"]
                if offset == piece["size"]:
                    break
        assert got == text
    with server.http() as http:
        tail = http.get(f"api/training/jobs/{job_id}/log", params={"offset": -4}).json()
        assert tail["text"] == "😀"
        cut = http.get(f"api/training/jobs/{job_id}/log", params={"offset": -2}).json()
        assert cut["text"] == ""
        assert http.get(f"api/training/jobs/{job_id}/log", params={"limit": 3}).json()["field"] == "limit"


@pytest.mark.parametrize(
    ("body", "status", "field", "remedy"),
    [
        (b"{", 400, "body", "not JSON"),
        (b"[]", 400, "body", "JSON object"),
        (b'{"kind": "code", "code": NaN}', 400, "body", "NaN is not JSON"),
        (b"{}", 400, "kind", "finetune, code, script, notebook"),
        (b'{"kind": "track"}', 400, "kind", "must be one of"),
        (b'{"kind": "code"}', 400, "code", "string of Python code"),
        (b'{"kind": "code", "code": "pass", "lr": 1}', 400, "lr", "not a field of a code job"),
        (b'{"kind": "code", "code": "pass", "name": "a\\u0007b"}', 400, "name", "printable"),
        (b'{"kind": "code", "code": "pass", "kernel_name": "julia"}', 400, "kernel_name", "python3"),
        (b'{"kind": "code", "code": "pass", "kernel_name": "../x"}', 400, "kernel_name", "no kernel"),
        (b'{"kind": "code", "code": "pass", "gpus": -1}', 400, "gpus", "from 0"),
        (b'{"kind": "code", "code": "pass", "gpus": true}', 400, "gpus", "whole number"),
        (b'{"kind": "code", "code": "pass", "env": {"A": 1}}', 400, "env", "must be a string"),
        (b'{"kind": "code", "code": "pass", "env": {"TRAINLIVE_JOB_DIR": "/"}}', 400, "env", "set by the server"),
        (b'{"kind": "code", "code": "pass", "cwd": "/no/such/folder"}', 400, "cwd", "no folder"),
        (b'{"kind": "finetune", "model_name": "m"}', 400, "dataset_path", "is missing"),
    ],
)
def test_a_bad_request_names_the_field_and_the_remedy(
    server: RealServer, body: bytes, status: int, field: str, remedy: str
) -> None:
    before = set(server.jobs_dir.glob("job_*"))
    answer = post(server, "api/training/jobs", content=body)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert error["field"] == field
    assert field in error["message"]
    assert remedy in error["message"]
    assert error["reason"]
    assert set(server.jobs_dir.glob("job_*")) == before


def test_execute_refuses_what_can_be_known_beforehand(server: RealServer, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "one"}\n{"text": 2}\n')

    def refused(**parameters: Any) -> tuple[int, str, str]:
        answer = post(server, "api/training/execute", json={"model_name": "m", "dataset_path": str(data), **parameters})
        return answer.status_code, answer.json()["field"], answer.json()["message"]

    status, field, message = refused(learning_rat=1)
    assert (status, field) == (400, "learning_rat")
    assert "learning_rate" in message
    status, field, message = refused()
    assert (status, field) == (422, "dataset_path")
    assert "line 2" in message
    status, field, message = refused(dataset_path=str(tmp_path / "missing.jsonl"))
    assert (status, field) == (422, "dataset_path")
    data.write_text("")
    status, field, message = refused()
    assert (status, field) == (422, "dataset_path")
    assert "empty" in message
    data.write_text('{"text": "one"}\n')
    status, field, message = refused(model_name=str(tmp_path / "no model"))
    assert (status, field) == (422, "model_name")
    status, field, message = refused(kind="code")
    assert (status, field) == (400, "kind")
    # One schema for whoever asks: what it refuses is refused here, and each further argument is known.
    with server.http() as http:
        published = http.get("api/training/schema").json()
    assert published == schema("finetune")
    status, field, message = refused(adam_beta1=1)
    assert (status, field) == (400, "adam_beta1")
    status, field, message = refused(report_to="wandb")
    assert (status, field) == (400, "report_to")
    status, field, message = refused(model_name="a/b", eval_dataset_path="missing.csv")
    assert (status, field) == (422, "eval_dataset_path")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    status, field, message = refused(dataset_path="rows.parquet", cwd=str(tmp_path))
    assert (status, field) == (422, "dataset_path")
    assert "no whole Parquet file" in message


def test_unknown_jobs_and_odd_paths_are_404(server: RealServer) -> None:
    with server.http() as http:
        for job_id in ("job_000000000000", "job_../../etc", "..%2f..%2fetc", "job_000000000000%00"):
            for path in ("", "/log", "/metrics.csv"):
                assert http.get(f"api/training/jobs/{job_id}{path}").status_code == 404
        answer = http.get("api/training/jobs/job_000000000000")
        assert answer.json() == {"message": "There is no job 'job_000000000000' here.", "reason": "Not Found"}
        assert http.get("api/training/jobs", params={"limit": "many"}).json()["field"] == "limit"
        assert http.get("api/training/jobs", params={"cursor": "job_000000000000"}).json()["field"] == "cursor"
        assert http.get("api/training/jobs", params={"status": "happy"}).json()["field"] == "status"


def test_without_a_gpu_the_system_shows_cpu_and_memory(server: RealServer) -> None:
    with server.http() as http:
        system = http.get("api/system").json()
    assert system["gpus"] == []
    assert system["host"]["cpu_count"] >= 1
    assert 0 < system["host"]["memory_used_gb"] < system["host"]["memory_total_gb"]


@pytest.mark.parametrize("odd", ["nope", "job_zzz", "job_000000000000", "%2e%2e", "job_3F9K2M7QX1AB"])
def test_what_is_no_id_is_answered_as_json(server: RealServer, odd: str) -> None:
    with server.http() as http:
        answer = http.get(f"api/training/jobs/{odd}")
    assert answer.status_code == 404
    assert "There is no job" in answer.json()["message"]
