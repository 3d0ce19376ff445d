"""A kernel for one question: it answers or the reason is told, and nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_trainlive.kernels import question as module
from jupyter_trainlive.kernels.launcher import Launcher
from jupyter_trainlive.kernels.question import Unanswered

from ..managing import become

SPEC: dict[str, Any] = {"cwd": "/", "env": {"MINE": "yes", "CUDA_VISIBLE_DEVICES": "7"}}
#: Answers with some of its environment, as the shell it is.
TELLS = """
cd "$(dirname "$0")"
echo "{\\"answer\\": {\\"cuda\\": \\"$CUDA_VISIBLE_DEVICES\\", \\"mine\\": \\"$MINE\\", \\"pid\\": $$, \\
\\"job\\": \\"$TRAINLIVE_JOB_DIR$JPY_API_TOKEN\\", \\"mode\\": \\"$(stat -c %a . question.json | tr '\\n' ' ')\\", \\
\\"question\\": $(cat question.json)}}" > draft
mv draft answer.json
sleep 600 & sleep 600
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for kernelspecs; what the questions leave in the temporary folder would be seen in `tmp`."""
    for name in ("kernels", "tmp"):
        (tmp_path / name).mkdir()
    short = tempfile.mkdtemp(prefix="q", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", short)
    return tmp_path / "kernels"


@pytest.fixture
def launcher(kernels: Path) -> Launcher:
    return Launcher(kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)]))


def install(kernels: Path, name: str, *argv: str) -> None:
    (kernels / name).mkdir()
    spec = {"argv": list(argv), "language": "python", "display_name": name}
    (kernels / name / "kernel.json").write_text(json.dumps(spec))


def shell(kernels: Path, name: str, script: str) -> None:
    install(kernels, name, "/bin/sh", "-c", script, "{connection_file}")


def nothing_left() -> bool:
    return not list(Path(tempfile.gettempdir()).iterdir())


def started(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob("*.pid"))


def gone(pid: int) -> bool:
    """Whether all of a process group has ended, but for those that only wait to be buried."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                return False
    return True


async def test_a_kernel_answers_without_a_gpu_or_a_job_and_is_gone_with_its_children(
    kernels: Path, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_API_TOKEN", "secret")
    shell(kernels, "telling", TELLS)
    answer = await launcher.ask({**SPEC, "kernel_name": "telling"}, {"what": "is it"})
    assert answer["question"]["what"] == "is it"
    assert answer["question"]["lifetime_seconds"] > launcher.dry_run_timeout, "it ends by itself when it is forgotten"
    assert (answer["cuda"], answer["mine"], answer["job"]) == ("", "yes", "")
    assert answer["mode"] in ("700 600 ", "1700 600 ")
    assert gone(answer["pid"])
    assert nothing_left()


@pytest.mark.parametrize(
    ("script", "reason", "field"),
    [
        ("echo starting; echo 'No module named ipykernel' >&2; exit 1", "ended without an answer: No module", None),
        ("kill -9 $$", "ended without an answer", None),
        ("sleep 600", r"no answer within 1 s \(Launcher.dry_run_timeout\)", None),
        ('cd "$(dirname "$0")"; echo "{" > answer.json; sleep 9', "can't be understood", None),
        (
            'cd "$(dirname "$0")"; echo \'{"error": {"field": "optim", "message": "is odd"}}\' > a; mv a answer.json',
            "is odd",
            "optim",
        ),
    ],
)
async def test_why_there_is_no_answer_is_told(
    kernels: Path, launcher: Launcher, script: str, reason: str, field: str | None
) -> None:
    shell(kernels, "odd", script)
    launcher.dry_run_timeout = 1.0
    with pytest.raises(Unanswered, match=reason) as raised:
        await launcher.ask({**SPEC, "kernel_name": "odd"}, {})
    assert raised.value.field == field
    assert nothing_left()


async def test_a_kernel_that_can_not_be_started_is_told(kernels: Path, launcher: Launcher) -> None:
    install(kernels, "gone", "/no/such/python", "{connection_file}")
    for name in ("gone", "nothing"):
        with pytest.raises(Unanswered, match=re.escape(f"the kernel {name!r} could not be started")):
            await launcher.ask({**SPEC, "kernel_name": name}, {})
    assert nothing_left()


async def test_never_more_than_two_at_a_time_and_who_goes_takes_its_kernel_along(
    kernels: Path, launcher: Launcher, tmp_path: Path
) -> None:
    shell(kernels, "slow", f"echo $$ > {tmp_path}/$$.pid; sleep 600")
    launcher.dry_run_timeout = 20.0
    asking = [asyncio.create_task(launcher.ask({**SPEC, "kernel_name": "slow"}, {})) for _ in range(3)]
    await become(lambda: len(started(tmp_path)) == module.MOST_AT_A_TIME)
    await asyncio.sleep(0.3)
    pids = started(tmp_path)
    assert len(pids) == module.MOST_AT_A_TIME == 2
    launcher.dry_run_timeout = 0.2
    with pytest.raises(Unanswered, match="2 others were still at work"):
        await launcher.ask({**SPEC, "kernel_name": "slow"}, {})
    for task in asking:
        task.cancel()
    done = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in done)
    assert all(gone(pid) for pid in pids)
    assert nothing_left()
    assert started(tmp_path) == pids, "the third never began"


ANSWERS = """
import sys, types
sys.path.insert(0, {root!r})
import jupyter_trainlive.training.question as question
question._answer = lambda asked: {{"answer": {{"nice": __import__("os").nice(0), **asked}}}}
question.answer({folder!r})
"""


def test_trainings_go_first_and_a_forgotten_kernel_leaves(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "question.json").write_text('{"lifetime_seconds": 0.3, "what": 1}')
    root = str(Path(module.__file__).parents[2])
    code = ANSWERS.format(root=root, folder=str(tmp_path)) + "import time\ntime.sleep(30)"
    done = subprocess.run([sys.executable, "-c", code], timeout=20)
    assert done.returncode == 1
    answer = json.loads((tmp_path / "answer.json").read_text())["answer"]
    assert (answer["nice"], answer["what"]) == (min(19, os.nice(0) + 10), 1)
