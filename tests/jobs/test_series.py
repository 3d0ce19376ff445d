"""Series are what the journal holds: every number once, and nothing that is none."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from jupyter_trainlive.jobs.series import SeriesSummary, columns, csv_chunks, frame_columns, points, summarise
from jupyter_trainlive.protocol import journal
from jupyter_trainlive.protocol.jobdir import JobDir, new_job_id
from jupyter_trainlive.protocol.journal import JournalWriter


def metrics(values: Any, t: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"seq": 1, "t": t, "kind": "metrics", "values": values, **more}


def test_only_numbers_under_sane_names_are_points() -> None:
    odd = {"text": "1", "flag": True, "none": None, "list": [1], "x" * 201: 1.0}
    got = list(points([metrics({**odd, "x" * 200: 1, "loss": "nan"}, step=3.0, epoch="nan")]))
    assert [(name[:4], step, epoch) for name, step, epoch, _, _ in got] == [("xxxx", 3, None), ("loss", 3, None)]
    assert list(points([metrics([1]), metrics(None), {"seq": 1, "t": 1, "kind": "end", "values": {"a": 1}}])) == []


def test_a_summary_counts_and_knows_the_last() -> None:
    series: dict[str, SeriesSummary] = {}
    assert summarise(series, columns([metrics({"a": 1.0, "b": 2}), metrics({"a": 3.0})]), 10) is None
    assert summarise(series, columns([metrics({"a": "-inf"})]), 10) is None
    assert (series["a"].count, series["a"].last) == (3, float("-inf"))
    assert (series["b"].count, series["b"].last) == (1, 2.0)


def test_only_so_many_series_are_followed_the_first_ones() -> None:
    series: dict[str, SeriesSummary] = {}
    assert summarise(series, columns([metrics({"a": 1.0, "b": 2.0, "c": 3.0})]), 2) == "c"
    assert summarise(series, columns([metrics({"d": 1.0, "a": 2.0})]), 2) == "d"
    assert {name: summary.count for name, summary in series.items()} == {"a": 2, "b": 1}


def test_columns_keep_the_order_and_can_be_written_as_json() -> None:
    new = columns([metrics({"a": 1.0}, 5.0, step=1), metrics({"a": "inf"}, 6.0), metrics({"b": 2.0}, 7.0, step=2)])
    assert frame_columns(new, {"a", "b"}) == {
        "a": {"step": [1, None], "time": [5.0, 6.0], "value": [1.0, "inf"]},
        "b": {"step": [2], "time": [7.0], "value": [2.0]},
    }
    assert list(frame_columns(new, {"b"})) == ["b"]


def test_a_name_that_a_spreadsheet_would_compute_is_marked_as_text(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    names = ["=cmd|' /C calc'!A0", "-loss", "@x", "'quoted", "a=b"]
    JournalWriter(job_dir.training_journal).append("metrics", step=1, values=dict.fromkeys(names, 1.0))
    rows = list(csv.reader(io.StringIO("".join(csv_chunks(job_dir)), newline="")))
    assert [row[0] for row in rows[1:]] == ["'=cmd|' /C calc'!A0", "'-loss", "'@x", "''quoted", "a=b"]


def test_the_csv_has_every_point_of_a_journal_of_many_chunks(tmp_path: Path, monkeypatch: Any) -> None:
    job_dir = JobDir(tmp_path / new_job_id())
    job_dir.create()
    assert "".join(csv_chunks(job_dir)) == "name,step,epoch,time,value\r\n"
    writer = JournalWriter(job_dir.training_journal, clock=lambda: 1_700_000_000.125)
    for step in range(2000):
        writer.append("metrics", step=step, epoch=step / 1000, values={"loss": step / 7, 'a "b",\r\nc': "nan"})
    monkeypatch.setattr(journal.JournalReader.read, "__defaults__", (10_000,))
    chunks = list(csv_chunks(job_dir))
    assert len(chunks) > 5
    rows = list(csv.DictReader(io.StringIO("".join(chunks), newline="")))
    losses = [row for row in rows if row["name"] == "loss"]
    assert [float(row["value"]) for row in losses] == [step / 7 for step in range(2000)]
    assert {row["time"] for row in rows} == {"1700000000.125"}
    assert {row["value"] for row in rows if row["name"] == 'a "b",\r\nc'} == {"nan"}
