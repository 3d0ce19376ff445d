"""A script in a training kernel runs as it would under a plain Python, and a rank's runs by the same code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.journal import append_shared

from .conftest import Job
from .test_boot import Kernel

SCRIPT = '''"""what it says of itself"""
from __future__ import annotations
import asyncio, inspect, multiprocessing, os, pickle, sys
import beside

class Config:
    def __init__(self, n): self.n = n

def child(queue, config): queue.put((config.n, __name__, os.path.basename(__file__)))

async def main():
    await asyncio.sleep(0)
    return 5

def check():
    assert __doc__ == "what it says of itself" and __file__ == sys.argv[0]
    assert pickle.loads(pickle.dumps(Config(3))).n == 3 and Config.__module__ == "__main__"
    assert inspect.getsource(Config).startswith("class Config")
    for name in ("get_ipython", "__IPYTHON__", "In", "_ih"):
        assert name not in globals() and name not in vars(__builtins__), name
    assert not hasattr(sys, "ps1")
    assert asyncio.run(main()) == 5
    asyncio.set_event_loop(asyncio.new_event_loop())
    assert asyncio.get_event_loop().run_until_complete(main()) == 5

if __name__ == "__main__":
    check()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue, Config(7)))
    process.start()
    print(queue.get(), sys.argv[1:], os.path.basename(sys.path[0]), beside.X)
    process.join()
    exit()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside.py").write_text("X = 'the module beside it'\n")
    return folder


def submit(job: Job, folder: Path, source: str, *args: str) -> dict[str, object]:
    """Put a script where it is looked for; the fields of its job."""
    (folder / "train.py").write_text(source)
    (job.dir.inputs / "train.py").write_text(source)
    return {"kind": "script", "path": str(folder / "train.py"), "args": list(args), "processes": 1}


@pytest.fixture
def kernel(job: Job) -> Iterator[Kernel]:
    kernel = Kernel(job)
    yield kernel
    kernel.stop()


def test_a_script_finds_what_it_would_find_under_a_plain_python(kernel: Kernel, folder: Path) -> None:
    assert kernel.start(**submit(kernel.job, folder, SCRIPT, "--lr", "1e-4")).wait() == 0
    assert kernel.job.end()["status"] == "completed", kernel.log
    assert kernel.log == "(7, '__mp_main__', 'train.py') ['--lr', '1e-4'] project the module beside it\n"


def test_a_script_that_fails_shows_its_own_frames_as_they_were_when_it_was_submitted(
    kernel: Kernel, folder: Path
) -> None:
    source = "import jupyter_trainlive as t\nt.log({'loss': 0.5})\ndef step():\n    raise ValueError('bad')\nstep()\n"
    spec = submit(kernel.job, folder, source)
    (folder / "train.py").write_text("# Edited while the job waits\n" + source)
    assert kernel.start(**spec).wait() == 0
    end = kernel.job.end()
    assert (end["status"], end["error"]) == ("failed", "ValueError: bad")
    assert end["traceback"].splitlines()[1].strip() == f'File "{folder}/train.py", line 5, in <module>'
    assert "    raise ValueError('bad')\n" in end["traceback"]
    assert f"{folder}/train.py has changed since the job was submitted" in kernel.log
    assert kernel.job.series("loss") == [(1, 0.5)]


def test_a_script_that_saves_what_it_has_when_it_is_interrupted_was_cancelled(kernel: Kernel, folder: Path) -> None:
    source = "import time\nprint('began')\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('saved')"
    kernel.start(**submit(kernel.job, folder, source))
    while "began" not in kernel.log:
        time.sleep(0.02)
    kernel.job.cancel()
    # As the server does it.
    append_shared(kernel.job.dir.server_journal, "escalated", to="interrupt")
    kernel.manager.interrupt_kernel()
    assert kernel.wait() == 0
    assert kernel.log == "began\nsaved\n"
    assert kernel.job.end()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        ("import sys; sys.exit(0)", "completed", None),
        ("import sys; sys.exit(3)", "failed", "SystemExit: 3"),
        ("x = (1,\nif x:", "failed", "SyntaxError: '(' was never closed (train.py, line 1)"),
    ],
)
def test_the_end_of_a_script_outside_of_a_kernel(
    job: Job, folder: Path, source: str, status: str, error: str | None
) -> None:
    submit(job, folder, source)
    done = job.python(
        "import sys\nfrom pathlib import Path\nfrom jupyter_trainlive.training import script\n"
        "from jupyter_trainlive.training.errors import end_of\n"
        f"path = Path({str(folder / 'train.py')!r})\n"
        "try: script.run_as_main(path, [], path.read_bytes()); error = None\n"
        "except BaseException as raised: error = raised\n"
        "end = end_of(error, cancelled=False)\n"
        "print(end.status, end.error, sep='|')"
    )
    assert done.stdout.strip() == f"{status}|{error}", done.stderr
