"""``GET …/{id}/metrics``: curves as buckets, against a real server."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest
from tornado.httpclient import HTTPClientError

from jupyter_trainlive.jobs.curves import Curves
from jupyter_trainlive.jobs.database import IndexUnavailable

from ..real_server import RealServer

ODD = " a, b&c=ñ/😀 "
COUNT = 3_000
CODE = f"""
import jupyter_trainlive as t
for step in range({COUNT}):
    value = float("nan") if step == 7 else float("inf") if step == 8 else step / 2
    t.log({{"loss": value, {ODD!r}: -step}}, step=step, epoch=step / 1000)
t.log({{f"series {{number}}": 1 for number in range(99)}}, step={COUNT})
"""


@pytest.fixture(scope="module")
def job_id(server: RealServer) -> str:
    """A job with 101 series, of which two are long."""
    job_id = server.submit(CODE)
    server.wait(job_id, "completed")
    return job_id


def get(server: RealServer, job_id: str, *names: str, **parameters: Any) -> httpx.Response:
    with server.http() as http:
        return http.get(
            f"api/training/jobs/{job_id}/metrics", params=[*(("names", name) for name in names), *parameters.items()]
        )


def test_curves_come_as_at_most_so_many_buckets_that_hold_every_point(server: RealServer, job_id: str) -> None:
    answer = get(server, job_id, "loss", ODD, "loss")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    curves = answer.json()
    assert set(curves) == {"axis", "seq", "series"}
    assert curves["axis"] == "step"
    assert set(curves["series"]) == {"loss", ODD}, "names are taken as they are, commas and spaces with them"
    lines = (server.jobs_dir / job_id / "journal" / "training.jsonl").read_text().splitlines()
    assert curves["seq"] == json.loads(lines[-1])["seq"]
    loss = curves["series"]["loss"]
    assert loss["n"] == sum(bucket["n"] for bucket in loss["buckets"]) == COUNT
    assert 100 < len(loss["buckets"]) <= 400
    for bucket in loss["buckets"]:
        steps = [step for step in range(COUNT) if bucket["x0"] <= step < bucket["x1"] and step not in (7, 8)]
        assert (bucket["min"], bucket["max"], bucket["last"]) == (steps[0] / 2, steps[-1] / 2, steps[-1] / 2)
    assert sum(bucket["nan"] for bucket in loss["buckets"]) == 1
    assert sum(bucket["inf"] for bucket in loss["buckets"]) == 1


def test_a_window_on_each_axis(server: RealServer, job_id: str) -> None:
    steps = get(server, job_id, "loss", x0=1000, x1=1063, points=64).json()["series"]["loss"]
    assert (steps["n"], len(steps["buckets"])) == (64, 64)
    assert [bucket["last"] for bucket in steps["buckets"]] == [step / 2 for step in range(1000, 1064)]
    epochs = get(server, job_id, "loss", x0=1.0, x1=2.0, axis="epoch", points=5_000).json()
    assert epochs["axis"] == "epoch"
    assert epochs["series"]["loss"]["n"] == 1001
    one = get(server, job_id, "loss", axis="time", points=1).json()["series"]["loss"]
    assert len(one["buckets"]) == 1
    assert one["buckets"][0]["max"] == (COUNT - 1) / 2
    nothing = get(server, job_id, "loss", x0=10_000).json()["series"]["loss"]
    assert nothing == {"n": 0, "buckets": []}


def test_a_smoothed_curve_is_tensorboards(server: RealServer, job_id: str) -> None:
    raw = get(server, job_id, "loss", x0=0, x1=3, smoothing=0).json()["series"]["loss"]["buckets"]
    assert "smoothed" not in raw[0]
    buckets = get(server, job_id, "loss", x0=0, x1=3, smoothing=0.9).json()["series"]["loss"]["buckets"]
    average = 0.0
    for step, bucket in enumerate(buckets):
        average = 0.9 * average + 0.1 * step / 2
        assert math.isclose(bucket["smoothed"], average / (1 - 0.9 ** (step + 1)), rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "field", "remedy"),
    [
        ({"names": "nothing"}, "names", "'nothing'"),
        ({"names": "loss,other"}, "names", "'loss,other'"),
        ({"names": ""}, "names", "''"),
        ({}, "names", "100 series at most: there are 101 to choose from"),
        ({"names": "loss", "smooting": 0.9}, "smooting", "names, axis, x0, x1, points, smoothing"),
        ({"names": "loss", "x0": "left"}, "x0", "finite number"),
        ({"names": "loss", "x0": "nan"}, "x0", "finite number"),
        ({"names": "loss", "x1": "inf"}, "x1", "finite number"),
        ({"names": "loss", "x0": 2, "x1": 1}, "x1", "less than x0"),
        ({"names": "loss", "points": 0}, "points", "1 to 5000"),
        ({"names": "loss", "points": 5_001}, "points", "1 to 5000"),
        ({"names": "loss", "points": "many"}, "points", "whole number"),
        ({"names": "loss", "axis": "wall"}, "axis", "step, time, epoch"),
        ({"names": "loss", "smoothing": 1}, "smoothing", "less than 1"),
        ({"names": "loss", "smoothing": -0.1}, "smoothing", "from 0"),
        ({"names": "loss", "smoothing": "nan"}, "smoothing", "finite"),
    ],
)
def test_a_refusal_names_the_field_and_the_remedy(
    server: RealServer, job_id: str, parameters: dict[str, Any], field: str, remedy: str
) -> None:
    answer = get(server, job_id, **parameters)
    assert answer.status_code == 400
    error = answer.json()
    assert error["field"] == field
    assert error["message"].startswith(f"{field}: ")
    assert remedy in error["message"]


def test_names_that_are_no_text_and_unknown_jobs_are_refused(server: RealServer, job_id: str) -> None:
    with server.http() as http:
        answer = http.get(f"api/training/jobs/{job_id}/metrics?names=%ff")
        assert (answer.status_code, answer.json()["field"]) == (400, "names")
        assert http.get("api/training/jobs/job_000000000000/metrics").status_code == 404


def test_without_names_it_is_all_series_also_of_a_job_that_has_none(server: RealServer) -> None:
    few, none = server.submit("import jupyter_trainlive as t; t.log({'b': 1, 'a': 2})"), server.submit("pass")
    for job_id in (few, none):
        server.wait(job_id, "completed")
    assert {name: curve["n"] for name, curve in get(server, few).json()["series"].items()} == {"b": 1, "a": 1}
    assert get(server, none).json()["series"] == {}


@pytest.fixture
def jp_server_config(tmp_path: Any) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_trainlive": True}},
        "TrainLive": {"jobs_dir": str(tmp_path / "jobs")},
    }


async def test_an_index_out_of_reach_is_said_in_a_sentence(
    jp_serverapp: Any, jp_fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await jp_serverapp._post_start()

    async def unavailable(*_: Any) -> Any:
        raise IndexUnavailable("The index is out of reach: the disk is full")

    monkeypatch.setattr(Curves, "read", unavailable)
    body = json.dumps({"kind": "code", "code": "pass"})
    submitted = await jp_fetch("trainlive", "api", "training", "jobs", method="POST", body=body)
    job_id = json.loads(submitted.body)["job_id"]
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("trainlive", "api", "training", "jobs", job_id, "metrics")
    assert refused.value.code == 503
    assert json.loads(refused.value.response.body) == {
        "message": "The index is out of reach: the disk is full",
        "reason": "Service Unavailable",
    }
