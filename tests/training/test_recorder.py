"""The recorder: everything logged is there, whatever becomes of the process, and it never gets in the way."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_trainlive.protocol import values as protocol_values
from jupyter_trainlive.protocol.doorbell import listen
from jupyter_trainlive.protocol.values import number
from jupyter_trainlive.training.log import log
from jupyter_trainlive.training.recorder import Recorder, current

from .conftest import ROOT, Job

PROGRESS_KEYS = {
    "job_id", "status", "progress", "current_epoch", "total_epochs", "current_step", "total_steps", "loss",
    "eval_loss", "samples_per_second", "gpu_memory_allocated_gb", "gpu_utilization_percent", "eta_seconds",
    "queue", "timestamp", "complete",
}  # fmt: skip


def test_what_was_logged_survives_sigkill(job: Job) -> None:
    code = (
        "import os, signal\n"
        "from jupyter_trainlive.training.log import log\n"
        "for step in range(1, 1001): log({'loss': 1 / step}, step=step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = job.python(code)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert job.series("loss") == [(step, 1 / step) for step in range(1, 1001)]


def test_numbers_and_all_that_happens_ring_the_doorbell(job: Job, recorder: Recorder) -> None:
    bell = listen(job.dir.path.parent)
    recorder.start()
    recorder.metrics({"loss": 1})
    recorder.end("completed")
    assert [bell.recv(100) for _ in range(3)] == [job.dir.job_id.encode()] * 3
    bell.close()


def test_all_ways_of_writing_a_log_give_the_same_record(in_job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """With orjson, without it as in a kernel that has the standard library only, and what orjson can't write."""
    values = {"loss": 0.1, "a": 5e-324, "b": -1.7976931348623157e308, "c": 1e16, "d": 3, "e": 2**70, "\ud800": 1.5}
    log(values, step=1)
    log({key: item for key, item in values.items() if key not in ("e", "\ud800")}, step=1)
    monkeypatch.setattr(protocol_values, "orjson", None)
    log(values, step=1)
    one, quick, other = in_job.records("metrics")
    assert one["values"] == other["values"] == values
    assert quick["values"] == {key: item for key, item in values.items() if key not in ("e", "\ud800")}


def test_steps_count_on_where_none_is_given(in_job: Job) -> None:
    log({"a": 1})
    log({"a": 2})
    log({"a": 3}, step=10)
    log({"a": 4})
    assert in_job.series("a") == [(1, 1), (2, 2), (10, 3), (11, 4)]


def test_without_a_step_numbers_go_to_the_step_of_the_trainer(job: Job, recorder: Recorder) -> None:
    recorder.segment(step=3, total_steps=9, total_epochs=1.0)
    recorder.metrics({"a": 1})
    recorder.at_step(4)
    recorder.metrics({"a": 2})
    recorder.metrics({"a": 3})
    assert job.series("a") == [(3, 1), (4, 2), (4, 3)]


def test_numbers_of_numpy_and_torch_and_no_numbers_at_all(in_job: Job) -> None:
    import numpy
    import torch

    log({"a": numpy.float32(0.5), "b": torch.tensor(2), "c": torch.tensor([1.5], requires_grad=True)})
    log({"a": math.nan, "b": numpy.float64("inf"), "c": -math.inf})
    first, second = in_job.records("metrics")
    assert first["values"] == {"a": 0.5, "b": 2, "c": 1.5}
    assert second["values"] == {"a": "nan", "b": "inf", "c": "-inf"}
    assert math.isnan(number(second["values"]["a"]) or 0)
    assert b"NaN" not in in_job.dir.training_journal.read_bytes()


@pytest.mark.parametrize(
    ("values", "options", "error", "text"),
    [
        ({"loss": "0.2"}, {}, TypeError, "'loss' must be a number, not a str"),
        ({"loss": None}, {}, TypeError, "'loss' must be a number, not None"),
        ({"ok": True}, {}, TypeError, "'ok' must be a number, not a bool"),
        ({"z": 1j}, {}, TypeError, "'z' must be a number, not a complex"),
        ({3: 1.0}, {}, TypeError, "the name 3 must be a string"),
        ({"": 1.0}, {}, ValueError, "must not be empty"),
        ({"n" * 201: 1.0}, {}, ValueError, "201 characters; 200 are allowed"),
        ([("loss", 1)], {}, TypeError, "log takes a dict of numbers by name, not a list"),
        ({"loss": 1}, {"step": "7"}, TypeError, "step must be a whole number, not a str"),
        ({"loss": 1}, {"step": 1.5}, TypeError, "step must be a whole number, not a float"),
        ({"loss": 1}, {"step": True}, TypeError, "step must be a whole number, not a bool"),
        ({"loss": 1}, {"step": 2**53 + 1}, ValueError, "step must be at most 2**53, but is 9007199254740993"),
        ({"loss": 1}, {"step": -1}, ValueError, "step must not be negative, but is -1"),
        ({"loss": 1}, {"epoch": "1"}, TypeError, "'epoch' must be a number"),
        ({"loss": 1}, {"total_steps": 2.0}, TypeError, "total_steps must be a whole number"),
    ],
)
def test_bad_input_is_refused_by_name(
    in_job: Job, values: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        log(values, **options)
    assert text in str(raised.value)
    assert in_job.records("metrics") == []


def test_arrays_are_not_numbers(in_job: Job) -> None:
    import torch

    with pytest.raises(TypeError, match=r"'loss' must be one number, but this Tensor holds several"):
        log({"loss": torch.zeros(3)})


def test_a_forked_child_records_nothing(in_job: Job) -> None:
    log({"a": 1})
    child = os.fork()
    if child == 0:
        try:
            log({"a": 2})
            recorder = current()
            os._exit(0 if recorder is None else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    log({"a": 3})
    assert in_job.series("a") == [(1, 1), (2, 3)]


def test_a_child_process_that_inherits_the_environment_records_nothing(in_job: Job) -> None:
    log({"a": 1})
    done = in_job.python("from jupyter_trainlive.training.log import log; log({'a': 2})")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert in_job.series("a") == [(1, 1)]


@pytest.mark.usefixtures("outside")
def test_outside_of_a_job_log_says_once_that_nothing_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        log({"loss": 1})
    text = capsys.readouterr().err
    assert text.count("nothing is recorded") == 1
    assert "%%trainlive" in text


def test_many_threads_lose_nothing(job: Job, recorder: Recorder) -> None:

    def work(name: str) -> None:
        for value in range(200):
            recorder.metrics({name: value})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = job.records("metrics")
    assert [record["step"] for record in records] == list(range(1, 801))
    for name in "abcd":
        assert [value for _, value in job.series(name)] == list(range(200))


def test_a_full_disk_costs_records_and_one_warning_but_never_the_training(
    job: Job, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.metrics({"a": 1})
    full = os.open("/dev/full", os.O_WRONLY)
    file, recorder._journal._file = recorder._journal._file, full
    recorder.metrics({"a": 2})
    recorder.metrics({"a": 3})
    recorder._journal._file = file
    recorder.metrics({"a": 4})
    os.close(full)
    assert [value for _, value in job.series("a")] == [1, 4]
    assert capsys.readouterr().err.count("not everything can be recorded") == 1


def test_progress_json_is_a_whole_message_at_any_time(job: Job) -> None:
    code = (
        "from jupyter_trainlive.training import recorder\n"
        "recorder.PROGRESS_INTERVAL_SECONDS = 0\n"
        "from jupyter_trainlive.training.log import log\n"
        "for step in range(1, 3001): log({'loss': 1.0}, step=step, epoch=step / 1000, total_steps=3000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=job.environment(), cwd=ROOT)
    steps = []
    while process.poll() is None:
        if job.dir.progress_file.exists():
            message = json.loads(job.dir.progress_file.read_bytes())
            assert set(message) == PROGRESS_KEYS
            assert message["status"] == "running"
            steps.append(message["current_step"] or 0)
    assert process.returncode == 0
    assert len(set(steps)) > 5
    assert steps == sorted(steps)
    last = json.loads(job.dir.progress_file.read_bytes())
    assert (last["current_step"], last["total_steps"], last["progress"], last["loss"]) == (3000, 3000, 100, 1)
    assert last["current_epoch"] == 3
    assert list(job.dir.path.glob(".progress*")) == []
    assert job.dir.progress_file.stat().st_mode & 0o777 == 0o600


def test_progress_json_is_replaced_once_a_second_and_at_once_where_the_phase_changes(job: Job) -> None:
    now = [1000.0]
    recorder = Recorder(job.dir, clock=lambda: now[0])

    def step() -> int | None:
        step: int | None = json.loads(job.dir.progress_file.read_bytes())["current_step"]
        return step

    recorder.start()
    assert step() is None
    now[0] += 0.5
    recorder.metrics({"loss": 1})
    assert step() is None
    now[0] += 0.5
    recorder.metrics({"loss": 1})
    assert step() == 2
    recorder.metrics({"loss": 1})
    assert step() == 2
    recorder.phase("saving")
    assert step() == 3
    recorder.close()


def test_only_the_first_end_counts(job: Job, recorder: Recorder) -> None:
    recorder.end("failed", error="OSError: x", traceback="…")
    recorder.end("completed")
    end = job.end()
    assert (end["status"], end["error"], "hint" in end) == ("failed", "OSError: x", False)


def test_log_is_cheap(in_job: Job) -> None:
    log({"loss": 1})
    values = dict.fromkeys(("loss", "a", "b", "c", "d", "e"), 0.123456789)
    times = []
    for step in range(5000):
        began = time.perf_counter()
        log(values, step=step)
        times.append(time.perf_counter() - began)
    median = statistics.median(times) * 1e6
    print(f"log: median {median:.1f} µs, p99 {statistics.quantiles(times, n=100)[98] * 1e6:.1f} µs")
    # Generous, for machines that are slow or busy: it is about 15 µs on an idle one.
    assert median < 100


def test_the_recorder_needs_the_standard_library_only(job: Job, tmp_path: Path) -> None:
    # -S and -I: no site-packages at all.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from jupyter_trainlive.training import boot, cell, log, recorder\n"
        "log.log({'a': 1})\n"
        "assert not {'torch', 'transformers', 'IPython', 'numpy'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, env=job.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert job.series("a") == [(1, 1)]
