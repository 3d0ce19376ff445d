"""A kill for want of memory is told from any other: by the counters of the control group, or else the machine's."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_trainlive.kernels.exits import Watch
from jupyter_trainlive.kernels.oom import OomKills
from jupyter_trainlive.protocol.journal import CHUNK_BYTES

from .conftest import Shims

V1, V2 = "4:memory:/user/job\n1:cpu,cpuacct:/\n0::/\n", "0::/user/job\n"
EVENTS, CONTROL = "low 0\nhigh 0\nmax 9\noom 9\noom_kill {}\noom_group_kill 7\n", "oom_kill_disable 0\noom_kill {}\n"


class Machine:
    """The files that a system shows of its control groups."""

    def __init__(self, folder: Path, groups: str) -> None:
        self.mount, self.proc = folder / "cgroup", folder / "proc"
        self._write(self.proc / "self" / "cgroup", groups)
        self.count("vmstat", 0)

    def count(self, file: str, kills: int) -> None:
        """Let the counter in that file stand at `kills`."""
        if file == "vmstat":
            self._write(self.proc / file, f"nr_free_pages 17\noom_kill {kills}\nswap_ra 0\n")
        else:
            text = EVENTS if file.endswith("memory.events") else CONTROL
            self._write(self.mount / file, text.format(kills))

    def kills(self) -> OomKills:
        return OomKills(self.mount, self.proc)

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("groups", "file", "others"),
    [
        (V2, "user/job/memory.events", ["vmstat", "user/memory.events", "other/memory.events"]),
        # A group that has no memory controller of its own; the root never has one.
        (V2, "user/memory.events", ["vmstat", "other/memory.events"]),
        (V1, "memory/user/job/memory.oom_control", ["vmstat", "memory/memory.oom_control"]),
        # In a container: the path is the host's, the root of the mount its own group.
        (V1, "memory/memory.oom_control", ["vmstat"]),
        (V2, "memory.events", ["vmstat"]),
    ],
)
def test_the_counter_of_the_own_group_counts(tmp_path: Path, groups: str, file: str, others: list[str]) -> None:
    machine = Machine(tmp_path, groups)
    machine.count(file, 3)
    kills = machine.kills()
    assert kills.own
    for other in others:
        machine.count(other, 99)
        assert not kills.rose, other
    machine.count(file, 4)
    assert kills.rose
    assert not machine.kills().rose, "kills before it began are no concern of it"


def test_without_a_group_that_counts_the_machines_counter_does(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    kills = machine.kills()
    assert (kills.own, kills.rose) == (False, False)
    machine.count("vmstat", 1)
    assert kills.rose


def test_a_system_that_counts_nothing_had_no_kills(tmp_path: Path) -> None:
    assert not OomKills(tmp_path / "none", tmp_path / "none").rose
    machine = Machine(tmp_path, V1)
    # Kernels before 4.13.
    (machine.mount / "memory").mkdir(parents=True)
    (machine.mount / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert not machine.kills().own
    group = machine.mount / "memory" / "memory.oom_control"
    machine.count("memory/memory.oom_control", 1)
    kills = machine.kills()
    group.unlink()
    assert not kills.rose, "a group that was removed"


EAT = "x = bytearray(200 << 20)"
WORKER = f"import subprocess, sys; worker = subprocess.run([sys.executable, '-c', '{EAT}']); print(worker.returncode)"


def report(status: str) -> str:
    """Code that writes down how its training ended."""
    records = [
        {"seq": 1, "t": 1.0, "kind": "start"},
        {"seq": 2, "t": 2.0, "kind": "end", "status": status},
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    return f"\nfrom pathlib import Path; Path('journal/training.jsonl').write_text({text!r})"


@pytest.mark.parametrize(
    ("code", "died_of", "killed"),
    [
        (EAT, signal.SIGKILL, True),
        (WORKER + "; sys.exit(1)", None, True),
        (WORKER + report("failed"), None, True),
        # A worker that the work could do without.
        (WORKER + report("completed"), None, False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL, False),
        ("import sys; sys.exit(1)", None, False),
    ],
)
def test_the_shim_tells_whether_the_system_ran_out_of_memory(
    shims: Shims, little_memory: Callable[[], None], code: str, died_of: int | None, killed: bool
) -> None:
    job_dir = shims.job_dir()
    exited = shims.run(job_dir, sys.executable, "-c", code, preexec_fn=little_memory)
    assert (exited["signal"], exited["oom_killed"]) == (died_of, killed)
    if code.startswith(WORKER):
        assert job_dir.output_log.read_text() == "-9\n", "the worker must have been killed"


def test_a_kill_somewhere_on_the_machine_does_not_explain_an_exception_here(tmp_path: Path, shims: Shims) -> None:
    machine = Machine(tmp_path, "0::/\n")
    watch = Watch(shims.job_dir(), 0, 0, machine.kills())
    machine.count("vmstat", 1)
    assert watch.details(died_of=None)["oom_killed"] is False
    assert watch.details(died_of=signal.SIGTERM)["oom_killed"] is False
    assert watch.details(died_of=signal.SIGKILL)["oom_killed"] is True


@pytest.mark.parametrize(("status", "killed"), [("failed", True), ("completed", False), ("released", False)])
def test_a_training_of_days_is_known_by_its_first_and_last_records(
    tmp_path: Path, shims: Shims, status: str, killed: bool
) -> None:
    job_dir, machine = shims.job_dir(), Machine(tmp_path, V2)
    machine.count("user/job/memory.events", 0)
    watch = Watch(job_dir, 0, 0, machine.kills())
    start = '{"seq":1,"t":1.0,"kind":"start"}\n'
    steps = "".join(f'{{"seq":{n},"t":2.0,"kind":"metrics","step":{n},"values":{{}}}}\n' for n in range(2, 60_000))
    end = f'{{"seq":60000,"t":3.0,"kind":"end","status":"{status}"}}\n'
    job_dir.training_journal.write_text(start + steps + end)
    assert job_dir.training_journal.stat().st_size > 2 * CHUNK_BYTES
    machine.count("user/job/memory.events", 1)
    assert watch.details(died_of=None) == {"oom_killed": killed}
