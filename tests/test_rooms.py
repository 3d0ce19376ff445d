"""Imports point one way, and what runs in a training kernel needs nothing but Python."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_trainlive

PACKAGE = Path(jupyter_trainlive.__file__).parent

#: Who may import whom; each room may import itself.
ARROWS = {
    "protocol": set[str](),
    "training": {"protocol"},
    "kernels": {"protocol"},
    "system": {"protocol"},
    "jobs": {"protocol", "kernels", "system"},
    "server": {"jobs", "protocol", "system"},
    "client": {"protocol"},
    "notebook": {"client", "protocol"},
}
#: The wiring knows more than the rest of its room.
WIRING = {"server/app.py": {"kernels"}}
#: These run in training kernels, whose environments have none of our dependencies.
STANDARD_LIBRARY_ONLY = (
    *("protocol/", "training/", "kernels/shim.py", "kernels/processes.py", "kernels/work.py"),
    *("kernels/exits.py", "kernels/leases.py", "kernels/leftovers.py", "kernels/oom.py"),
)
MODULES = sorted(str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if "static" not in file.parts)


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a module imports, and whether it does so as soon as it is imported itself."""
    tree = ast.parse((PACKAGE / module).read_bytes())

    def visit(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            lazily = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                # For the type checker alone; the arrows hold there as well.
                yield from visit(child, False)
                continue
            if isinstance(child, ast.Import):
                yield from ((name.name, at_once) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                parts = ["jupyter_trainlive", *Path(module).parts]
                base = parts[: len(parts) - child.level] if child.level else []
                prefix = ".".join([*base, *filter(None, [child.module])])
                yield from ((f"{prefix}.{name.name}", at_once) for name in child.names)
            else:
                yield from visit(child, at_once and not lazily)

    return visit(tree, True)


def room_of(name: str) -> str | None:
    """The room of an absolute name of ours; None for the package's own face and for other packages."""
    parts = name.split(".")
    return parts[1] if parts[0] == "jupyter_trainlive" and len(parts) > 1 and parts[1] in ARROWS else None


def test_every_folder_is_a_known_room() -> None:
    rooms = {Path(module).parts[0] for module in MODULES if len(Path(module).parts) > 1}
    assert rooms == set(ARROWS)


@pytest.mark.parametrize("module", [module for module in MODULES if "/" in module])
def test_imports_point_one_way(module: str) -> None:
    room = Path(module).parts[0]
    allowed = {room, *ARROWS[room], *WIRING.get(module, ())}
    imported = {found for name, _ in imports(module) if (found := room_of(name))}
    assert imported <= allowed


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(STANDARD_LIBRARY_ONLY)])
def test_what_runs_in_a_training_kernel_imports_the_standard_library_only(module: str) -> None:
    lazy_is_fine = module.startswith("training/")
    foreign = {
        name
        for name, at_once in imports(module)
        if name.split(".")[0] not in sys.stdlib_module_names | {"jupyter_trainlive"} and (at_once or not lazy_is_fine)
    }
    # It makes JSON quicker where it is there.
    if module == "protocol/values.py":
        foreign.discard("orjson")
    # Classes of transformers' own: these modules are imported by a training that has it.
    if module in ("training/transformers_callback.py", "training/recipes/trainer.py"):
        foreign = {name for name in foreign if name.split(".")[0] not in ("transformers", "torch")}
    assert foreign == set()


def test_the_rules_above_would_notice() -> None:
    assert room_of("jupyter_trainlive.jobs.manager.JobManager") == "jobs"
    assert ("jupyter_trainlive.protocol.jobdir.JobDir", True) in set(imports("kernels/shim.py"))
    assert ("jupyter_trainlive.server.app.TrainLive", False) in set(imports("__init__.py"))
    assert ("websockets", False) in set(imports("client/job.py"))


HEAVY = {"torch", "transformers", "tokenizers", "accelerate", "numpy", "pandas", "pynvml", "anywidget", "ipywidgets"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import jupyter_trainlive", HEAVY | {"psutil", "httpx", "websockets", "tornado", "jupyter_server", "asyncio"}),
        ("import jupyter_trainlive.server.app", HEAVY | {"httpx", "websockets"}),
        ("from jupyter_trainlive import launch", HEAVY | {"websockets", "tornado", "jupyter_server"}),
        ("from jupyter_trainlive import log", HEAVY | {"psutil", "httpx", "tornado", "jupyter_core"}),
        ("from jupyter_trainlive import track", HEAVY | {"psutil", "httpx", "tornado", "jupyter_core"}),
        ("import jupyter_trainlive.training.boot", HEAVY | {"psutil", "httpx", "tornado", "jupyter_core"}),
    ],
)
def test_importing_loads_nothing_heavy(statement: str, unwanted: set[str]) -> None:
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in done.stdout.split()} & unwanted == set()


def test_the_public_names_are_there() -> None:
    for name in jupyter_trainlive.__all__:
        if name != "TrainLiveCallback":  # needs transformers
            assert getattr(jupyter_trainlive, name) is not None
    assert set(jupyter_trainlive.__all__) <= set(dir(jupyter_trainlive))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = jupyter_trainlive.nothing
    assert importlib.import_module("jupyter_trainlive")._jupyter_server_extension_points()[0]["app"]
