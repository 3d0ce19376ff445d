"""environment.json: in what a training runs, so that it can be understood, and done again, months later.

Python, packages, host, git commit, GPUs, seeds and a few variables by name: never another variable's value, no
address of a repository, nothing that could be a secret. Whatever can't be found out is null, and nothing that is called
from elsewhere raises.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..protocol.jobdir import JobDir, write_json

if TYPE_CHECKING:
    import importlib.metadata

#: The variables that change what a training computes or how fast; they name devices and numbers.
VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
    *("NVIDIA_TF32_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_ALGO", "NCCL_PROTO", "TORCH_NCCL_BLOCKING_WAIT"),
    *("ACCELERATE_MIXED_PRECISION", "TOKENIZERS_PARALLELISM", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    *("PYTHONHASHSEED", "PL_GLOBAL_SEED", "PYTORCH_ENABLE_MPS_FALLBACK"),
)
_VALUE_LIMIT = 500
_MOST_PACKAGES = 5000
_GIT_SECONDS = 10.0
_DRIVER = Path("/proc/driver/nvidia/version")
#: What begins, or ends, waits so long for what is still being found out.
_WAIT_SECONDS = 15.0

_lock = threading.Lock()
_collecting: threading.Thread | None = None
#: What was found out before there was a file to add it to.
_early: list[tuple[dict[str, Any], dict[str, Any]]] = []

Answer = TypeVar("Answer")


def begin(job_dir: JobDir, spec: Mapping[str, Any]) -> None:
    """Record it all beside the work: a thread of its own looks at packages and git, which may take seconds."""
    global _collecting
    try:
        # Here and not in the thread: a process that is forked while a thread imports may wait for ever.
        for module in ("email.parser", "importlib.metadata", "platform", "subprocess"):
            importlib.import_module(module)
        # What the work changes in them must not be seen.
        known = {
            "variables": {
                name: value[:_VALUE_LIMIT] for name in VARIABLES if (value := os.environ.get(name)) is not None
            },
            "seeds": _seeds_of(spec),
            "gpus": {"uuids": _visible(), "driver": _driver(), "cuda": None, "names": None},
        }
        folder, path = _folder_of(spec), list(sys.path)
        _collecting = threading.Thread(
            target=_collect, args=(job_dir, known, folder, path), name="jupyter_trainlive-environment", daemon=True
        )
        _collecting.start()
    except Exception:  # noqa: BLE001 - the training matters, this does not
        _collecting = None


def wait() -> None:
    """Wait until what `begin` looks at is written down: for who leaves, or starts processes that add to it."""
    collecting = _collecting
    if collecting is not None:
        collecting.join(_WAIT_SECONDS)


def training_begins(job_dir: JobDir, seeds: Mapping[str, Any] | None = None) -> None:
    """A trainer begins, or the work is over: add what torch knows by now, and the `seeds` by whom they belong to.

    Of a seed that is told several times the first is kept. Loads no framework.
    """
    try:
        gpus, found = _of_torch()
        found = {**(seeds or {}), **found}
        with _lock:
            if _collecting is not None:
                _early.append((gpus, found))
                return
            environment = json.loads(job_dir.environment_file.read_bytes())
            before = json.dumps(environment)
            _add(environment, gpus, found)
            if json.dumps(environment) != before:
                write_json(job_dir.environment_file, environment)
    except Exception:  # noqa: BLE001 - as above
        return


def _add(environment: dict[str, Any], gpus: Mapping[str, Any], seeds: Mapping[str, Any]) -> None:
    environment["gpus"].update(gpus)
    for name, value in seeds.items():
        if type(value) is int and environment["seeds"].get(name) is None:
            environment["seeds"][name] = value


def _collect(job_dir: JobDir, known: dict[str, Any], folder: Path, path: list[str]) -> None:
    import platform

    environment: dict[str, Any] = {
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
        },
        "platform": _or_none(platform.platform),
        "host": _or_none(platform.node),
        "cpu_count": _or_none(_cpu_count),
        "memory_gb": _or_none(_memory_gb),
        "packages": _or_none(lambda: packages(path)) or {},
        "git": _or_none(lambda: git(folder)),
        **known,
    }
    global _collecting
    with _lock:
        for gpus, seeds in _early:
            _add(environment, gpus, seeds)
        _early.clear()
        # A full disk, a value that is no text: then there is none.
        with contextlib.suppress(OSError, ValueError):
            write_json(job_dir.environment_file, environment)
        # Not before: whoever waits looks for it.
        _collecting = None


def packages(path: list[str]) -> dict[str, str]:
    """What is installed where Python looks for modules, name to version, in the order of names."""
    import importlib.metadata

    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions(path=path):
        name, version = _named(distribution)
        # Of two of one name the first is imported.
        if name and version:
            found.setdefault(name, version)
        if len(found) >= _MOST_PACKAGES:
            break
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def _named(distribution: importlib.metadata.Distribution) -> tuple[str | None, str | None]:
    # Half-removed packages leave folders without metadata.
    with contextlib.suppress(Exception):
        metadata = distribution.metadata
        return metadata["Name"], metadata["Version"]
    return None, None


def git(folder: Path) -> dict[str, Any] | None:
    """{"commit", "branch", "dirty"} of the repository that `folder` is in; None where it is in none.

    Dirty says whether tracked files differ from the commit; null where looking at them took too long.
    """
    import subprocess

    try:
        lines = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
    except subprocess.TimeoutExpired:
        return {"commit": _git(folder, "rev-parse", "HEAD").strip(), "branch": None, "dirty": None}
    heads = dict(_head(line) for line in lines if line.startswith("# "))
    commit, branch = heads.get("branch.oid"), heads.get("branch.head")
    return {
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": any(not line.startswith("# ") for line in lines),
    }


def _head(line: str) -> tuple[str, str]:
    name, _, value = line.removeprefix("# ").partition(" ")
    return name, value


def _git(folder: Path, *command: str) -> str:
    import subprocess

    # It must neither ask anybody, nor write, nor run what the repository's configuration names.
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run(
        ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *command],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_GIT_SECONDS,
        check=True,
    ).stdout


def _folder_of(spec: Mapping[str, Any]) -> Path:
    """Where the code of a job lies."""
    path = spec.get("path")
    if isinstance(path, str):
        return Path(path).parent
    cwd = spec.get("cwd")
    return Path(cwd) if isinstance(cwd, str) else Path.cwd()


def _seeds_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    parameters = spec.get("parameters")
    recipe = parameters.get("seed") if spec.get("kind") == "finetune" and isinstance(parameters, dict) else None
    return {
        "python_hash": os.environ.get("PYTHONHASHSEED"),
        "recipe": recipe if type(recipe) is int else None,
        "training_arguments": None,
        "torch": None,
    }


def _visible() -> list[str] | None:
    """The GPUs as they were given; None where nothing was said of them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if given is None else [gpu.strip() for gpu in given.split(",") if gpu.strip()][:1024]


def _driver() -> str | None:
    """The version of NVIDIA's driver, where Linux tells it."""
    with contextlib.suppress(OSError):
        return next(_versions(_DRIVER.read_text(errors="replace").partition("\n")[0]), None)
    return None


def _versions(line: str) -> Iterator[str]:
    for word in line.split():
        if word[0].isdigit() and "." in word:
            yield word


def _of_torch() -> tuple[dict[str, Any], dict[str, Any]]:
    """What torch tells of its GPUs and its seed, where it is loaded; nothing on a GPU is set up for that."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}, {}
    gpus: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        gpus["cuda"] = torch.version.cuda
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            gpus["names"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    seeds: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        seeds["torch"] = torch.initial_seed()
    return gpus, seeds


def _cpu_count() -> int | None:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _or_none(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - no git, no such folder, a package that is broken
        return None
