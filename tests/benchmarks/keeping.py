"""What the peers keep, or show, of a curve of a million points, and how long reading it takes them."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from ..real_server import serve
from . import peer_servers, peers
from .curves import CONFIG, JOB, count
from .measure import Row, measured, unable

POINTS, TIMES = 1_000_000, 5
WHAT = f"a curve of {POINTS / 1e6:.0f} M points over HTTP, as the page asks for it"
_PATIENCE_SECONDS = 120
#: Those that need a server elsewhere for their pages; from their documentation and sources.
_TOLD = {
    "wandb": "on its server: charts in buckets with minimum and maximum; `Run.history` gives 500 samples by default",
    "aim": "even samples, 50 by default in its API; its read-only Repo shows nothing of a run here",
    "swanlab": "on its server: at most 1,500 samples",
}


def run(folder: Path) -> list[Row]:
    rows = [_ours(folder / "ours")]
    for who, read in (("tensorboard", _tensorboard), ("mlflow", _mlflow), ("trackio", None)):
        home = folder / who
        home.mkdir()
        try:
            filled = peers.ask(who, "keeping.py", home, who, str(home), str(POINTS), timeout=200)
            taken, note = read(home) if read else (filled["milliseconds"], f"{filled['points']:,} rows, sampled")
            rows.append(measured(WHAT, "ms", taken, who=peers.called(who), note=note))
        except (peers.DoesNotRun, OSError, KeyError) as error:
            rows.append(unable(WHAT, peers.called(who), f"does not run here: {error}"))
    return rows + [unable(WHAT, peers.called(who), told) for who, told in _TOLD.items()]


def _ours(folder: Path) -> Row:
    with serve(folder, config=CONFIG) as server:
        job_id = server.submit(JOB.format(points=POINTS, active=False))
        server.until(job_id, lambda job: count(job) > POINTS, 120)
        url = f"{server.url}trainlive/api/training/jobs/{job_id}/metrics?names=loss&points=480"
        with server.http() as http:
            taken = []
            for _ in range(1 + TIMES):
                began = time.perf_counter()
                answer = http.get(url).raise_for_status()
                taken.append((time.perf_counter() - began) * 1e3)
        loss: dict[str, Any] = answer.json()["series"]["loss"]
        memory = psutil.Process(server.process.pid).memory_info().rss / 1e6
    note = f"{len(loss['buckets'])} buckets with minimum and maximum of all {loss['n']:,}; server {memory:.0f} MB"
    return measured(WHAT, "ms", taken[1:], note=note)


def _tensorboard(home: Path) -> tuple[list[float], str]:
    """Milliseconds of the page's question once the server has read all, and how long that took it."""
    began = time.monotonic()
    with peer_servers.tensorboard(home / "server", home) as env:
        url = f"{env['BENCH_TENSORBOARD']}/data/plugin/scalars/scalars?run=.&tag=loss"
        points: list[list[float]] = []
        while time.monotonic() - began < _PATIENCE_SECONDS:
            try:
                points, _ = _get(url)
            except OSError:
                points = []
            if points and points[-1][1] >= POINTS:
                break
            time.sleep(0.1)
        read = time.monotonic() - began
        taken = [_get(url)[1] for _ in range(TIMES)]
    if not points:
        raise peers.DoesNotRun(f"its server shows nothing within {_PATIENCE_SECONDS} s")
    return taken, f"{len(points):,} sampled at random; the server had read all after {read:.1f} s"


def _mlflow(home: Path) -> tuple[list[float], str]:
    (home / "server").mkdir()
    (home / "server.db").rename(home / "server" / "server.db")
    with peer_servers.mlflow(home / "server", home) as env:
        run_id = (home / "mlflow-run").read_text()
        question = f"run_ids={run_id}&metric_key=loss&max_results=2500"
        url = f"{env['BENCH_MLFLOW']}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{question}"
        answer, _ = _get(url)
        taken = [_get(url)[1] for _ in range(TIMES)]
    return taken, f"{len(answer['metrics']):,} sampled at even intervals"


def _get(url: str) -> tuple[Any, float]:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS) as answer:
        content = answer.read()
    return json.loads(content), (time.perf_counter() - began) * 1e3
