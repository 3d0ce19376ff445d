"""Whatever was written, in whatever order it is read, wherever it was cut: the same job, in a legal state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_trainlive.protocol.journal import JournalReader
from jupyter_trainlive.protocol.messages import job_view, message
from jupyter_trainlive.protocol.moves import MOVES, Action, refusal
from jupyter_trainlive.protocol.saved import restored, saved
from jupyter_trainlive.protocol.states import Job, Journal, Status, fold
from jupyter_trainlive.protocol.states import fold_all as fold_many
from jupyter_trainlive.protocol.values import dumps

from .lives import Entry, Life, interleavings, lives

JOB = Job("job_000000000000", {"kind": "finetune", "name": "x"})
LIVES = lives()
RECORDS = LIVES.flatmap(interleavings)


def fold_all(entries: Sequence[Entry], job: Job = JOB) -> Job:
    for journal, record in entries:
        job = fold(job, journal, record)
    return job


def assert_legal(job: Job) -> None:
    """What holds of every job at every moment."""
    status = job.status
    assert isinstance(status, Status)
    assert status.ended == (job.ended_at is not None)
    assert (job.error is not None) == (status in (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED))
    assert message(job, 0.0)["complete"] is status.ended
    assert not (status.ended and job.running)
    if status is Status.QUEUED:
        assert not job.begun
    if status is Status.COMPLETED:
        assert job.now.training.end == "completed"
        assert job.now.process.exit_code == 0 or job.now.training.kept_until is not None
    if job.kept_until is not None:
        assert status in (Status.COMPLETED, Status.FAILED)
        assert refusal(job, Action.DELETE) is not None
    if not status.ended:
        assert refusal(job, Action.CANCEL) is None, "there is always a way out"
    for action in Action:
        sentence = refusal(job, action)
        assert sentence is None or ((sentence.endswith(".") and status.value in sentence) or "job" in sentence)
        if status not in MOVES[action]:
            assert sentence is not None
    dumps(job_view(job))


@given(st.data())
def test_any_interleaving_gives_the_same_job(data: st.DataObject) -> None:
    life = data.draw(LIVES)
    one, other = (fold_all(data.draw(interleavings(life))) for _ in range(2))
    assert one == other
    assert_legal(one)


_odd = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.floats(), st.sampled_from(["nan", "x"]))
_metrics = st.fixed_dictionaries(
    {"kind": st.just("metrics"), "t": st.floats(0, 9), "seq": st.just(1)},
    optional={
        "step": _odd,
        "epoch": _odd,
        "total_steps": _odd,
        "attempt": st.integers(0, 3),
        "values": st.one_of(_odd, st.dictionaries(st.sampled_from(["loss", "grad_norm", "own"]), _odd)),
    },
)
_others = st.fixed_dictionaries(
    {"kind": st.sampled_from(["segment", "resumed", "start"]), "t": st.floats(0, 9), "seq": st.just(1)},
    optional={"attempt": st.integers(0, 3), "step": st.integers(0, 3)},
)


@given(st.lists(st.one_of(_metrics, _metrics, _others)))
def test_many_numbers_at_once_are_folded_as_one_by_one(records: list[dict[str, object]]) -> None:
    at_once = fold_many(JOB, Journal.TRAINING, records)
    assert at_once == fold_all([(Journal.TRAINING, record) for record in records])


@given(RECORDS)
def test_every_prefix_is_a_legal_state(entries: list[Entry]) -> None:
    job = JOB
    assert_legal(job)
    for journal, record in entries:
        job = fold(job, journal, record)
        assert_legal(job)


@given(RECORDS, st.sets(st.integers(0, 60)))
def test_records_that_are_missing_leave_a_legal_state(entries: list[Entry], missing: set[int]) -> None:
    assert_legal(fold_all([entry for index, entry in enumerate(entries) if index not in missing]))


@given(RECORDS, st.lists(st.integers(0, 60), max_size=4))
def test_folding_is_the_same_however_often_it_is_resumed(entries: list[Entry], stops: list[int]) -> None:
    job, begin = JOB, 0
    for stop in [*sorted(stops), len(entries)]:
        job, begin = fold_all(entries[begin:stop], job), max(begin, stop)
        # As the index keeps it: JSON, and another process.
        job = restored(job.job_id, job.spec, json.loads(dumps(saved(job))))
    assert job == fold_all(entries)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIVES, st.data())
def test_any_cut_of_the_last_line_is_a_legal_state_and_reading_goes_on_from_it(
    tmp_path: Path, life: Life, data: st.DataObject
) -> None:
    whole, cut = Job(JOB.job_id, JOB.spec), Job(JOB.job_id, JOB.spec)
    for journal in Journal:
        lines = b"".join(dumps(record).encode() + b"\n" for record in life[journal])
        at = data.draw(st.integers(0, len(lines)))
        path = tmp_path / f"{journal.value}.jsonl"
        path.write_bytes(lines[:at])
        reader = JournalReader(path)
        cut = fold_all([(journal, record) for record in reader.read()], cut)
        assert_legal(cut)
        path.write_bytes(lines)
        cut = fold_all([(journal, record) for record in reader.read()], cut)
        whole = fold_all([(journal, record) for record in life[journal]], whole)
        assert reader.position == (len(lines), len(life[journal]))
    assert cut == whole


@pytest.mark.parametrize("facts", [{}, {"server": {}}, {"server": 1, "process": {}, "training": {}}])
def test_facts_of_another_form_are_refused_so_that_they_are_folded_anew(facts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="these are no"):
        restored(JOB.job_id, JOB.spec, facts)


def test_non_finite_values_survive_being_saved() -> None:
    values = {"a": "nan", "b": "inf", "c": "-inf", "d": 1.5}
    job = fold(JOB, Journal.TRAINING, {"seq": 1, "t": 1.0, "kind": "metrics", "step": 1, "values": values})
    again = restored(job.job_id, job.spec, json.loads(dumps(saved(job))))
    assert repr(again) == repr(job), "NaN is not equal to itself"
