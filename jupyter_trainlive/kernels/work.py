"""What a training kernel is told to do, and the environment it does it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..protocol.jobdir import ATTEMPT_VARIABLE, JOB_DIR_VARIABLE, JobDir

#: The one cell that the server sends to a training kernel; everything else it reads from the job directory.
BOOT_CODE = "from jupyter_trainlive.training.boot import run; run()"

# Credentials and addresses of the server are not the training's business.
_STRIPPED_PREFIXES = ("JPY_", "JUPYTERHUB_", "CONFIGPROXY_")
_STRIPPED = frozenset(("JUPYTER_TOKEN", "JUPYTER_SERVER_URL", "PYTHONEXECUTABLE", "NOTIFY_SOCKET"))


_PACKAGE = Path(__file__).resolve().parent.parent


def prepare(job_dir: JobDir) -> Path:
    """Make the folder from which the training kernel imports this package, whatever its environment.

    The folder holds this package alone, so that nothing of the server's environment shadows the kernel's.
    """
    folder = job_dir.kernel / "path"
    folder.mkdir(mode=0o700, exist_ok=True)
    link = folder / _PACKAGE.name
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(_PACKAGE, target_is_directory=True)
    return folder


def environment(
    base: Mapping[str, str],
    job_dir: JobDir,
    own: Mapping[str, str],
    *,
    attempt: int = 1,
    gpus: Sequence[str] | None = None,
) -> dict[str, str]:
    """The variables of a job: the server's less its secrets, the job's `own`, and those we need.

    `gpus` are the UUIDs of those that the job may use, and none other; None leaves it to the other variables.
    """
    env = {
        name: value for name, value in base.items() if name not in _STRIPPED and not name.startswith(_STRIPPED_PREFIXES)
    }
    # A bar that is drawn ten times a second fills a log of days.
    env.setdefault("TQDM_MININTERVAL", "5")
    env.update(own)
    path = [str(prepare(job_dir)), *filter(None, [env.get("PYTHONPATH")])]
    env.update(
        {
            JOB_DIR_VARIABLE: str(job_dir.path),
            ATTEMPT_VARIABLE: str(attempt),
            "PYTHONPATH": ":".join(path),
            "PYTHONUNBUFFERED": "1",
            # ipykernel knows 1 as "a parent, but none to watch": it neither polls it nor prints advice.
            "JPY_PARENT_PID": "1",
        }
    )
    if gpus is not None:
        # Indices, should anything use them, count as nvidia-smi does.
        env.update({"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(gpus)})
    return env
