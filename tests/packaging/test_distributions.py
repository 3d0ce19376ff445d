"""What the wheel and the source distribution carry."""

from __future__ import annotations

import configparser
import json
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import REPOSITORY, build, run

EXTENSION = "share/jupyter/labextensions/jupyter-trainlive"


@pytest.fixture(scope="module")
def content(wheel: Path) -> dict[str, bytes]:
    """The files in the wheel; those for the environment's root by their path there, as ``data/…``."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name: name.partition(".data/")[2] or name for name in archive.namelist()}
        return {short: archive.read(name) for name, short in names.items()}


def test_the_wheel_has_the_front_end(content: dict[str, bytes]) -> None:
    assert len(content["jupyter_trainlive/notebook/static/widget.js"]) > 10_000
    assert len(content["jupyter_trainlive/notebook/static/widget.css"]) > 100
    extension = json.loads(content[f"data/{EXTENSION}/package.json"])
    assert f"data/{EXTENSION}/{extension['jupyterlab']['_build']['load']}" in content
    assert f"data/{EXTENSION}/install.json" in content
    settings = json.loads(content[f"data/{EXTENSION}/schemas/jupyter-trainlive/plugin.json"])
    assert settings["properties"]["notifyFailed"]["default"] is True


def test_the_wheel_enables_the_server_extension(content: dict[str, bytes]) -> None:
    config = json.loads(content["data/etc/jupyter/jupyter_server_config.d/jupyter_trainlive.json"])
    assert config == {"ServerApp": {"jpserver_extensions": {"jupyter_trainlive": True}}}


def test_the_wheel_has_the_quickstart_without_outputs(content: dict[str, bytes]) -> None:
    notebook = json.loads(content["jupyter_trainlive/notebook/quickstart.ipynb"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) == 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_wheel_has_the_command(content: dict[str, bytes]) -> None:
    name = next(name for name in content if name.endswith("entry_points.txt"))
    scripts = configparser.ConfigParser()
    scripts.read_string(content[name].decode())
    assert scripts["console_scripts"]["jupyter-trainlive"] == "jupyter_trainlive.client.cli:main"


def test_the_wheel_has_every_module_and_nothing_else(content: dict[str, bytes]) -> None:
    package = REPOSITORY / "jupyter_trainlive"
    modules = {str(path.relative_to(REPOSITORY)) for path in package.rglob("*.py")}
    beside = {
        "jupyter_trainlive/notebook/quickstart.ipynb",
        "jupyter_trainlive/notebook/static/widget.css",
        "jupyter_trainlive/notebook/static/widget.js",
        *(f"jupyter_trainlive/protocol/schemas/{name}.json" for name in ("asyncapi", "plain.schema", "v1.schema")),
        "jupyter_trainlive/server/jupyter_trainlive.json",
    }
    ours = {name for name in content if not name.startswith("data/") and ".dist-info/" not in name}
    assert ours == modules | beside
    data = {name for name in content if name.startswith("data/")}
    assert {name.split("/")[1] for name in data} == {"etc", "share"}
    assert not [name for name in content if "node_modules" in name or name.endswith((".ts", ".map", ".sources"))]


def test_torch_is_needed_only_by_the_extra(content: dict[str, bytes]) -> None:
    name = next(name for name in content if name.endswith("METADATA"))
    needed = [line for line in content[name].decode().splitlines() if line.startswith("Requires-Dist:")]
    heavy = [line for line in needed if any(package in line for package in ("torch", "transformers", "jupyterlab"))]
    assert len(heavy) == 3
    assert all("extra ==" in line for line in heavy)


def test_the_source_distribution_carries_sources_and_what_was_built(unpacked_sdist: Path) -> None:
    names = {str(path.relative_to(unpacked_sdist)) for path in unpacked_sdist.rglob("*") if path.is_file()}
    assert {
        "js/package-lock.json",
        "js/core/src/index.ts",
        "jupyter_trainlive/notebook/static/widget.js",
        "notebooks/quickstart.ipynb",
    } <= names
    assert not [name for name in names if "node_modules" in name or name.startswith("tests")]


def test_a_wheel_from_the_source_distribution_is_the_same_and_needs_no_node(
    unpacked_sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    again = build(unpacked_sdist, "wheel", tmp_path)
    # Where npm had run there would be its node_modules.
    assert not list(unpacked_sdist.rglob("node_modules"))
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert set(one.namelist()) == set(other.namelist())
        assert all(one.read(name) == other.read(name) for name in one.namelist() if "dist-info" not in name)


@pytest.mark.parametrize(
    ("change", "same"),
    [("js/core/src/index.ts", False), ("js/package-lock.json", False), ("js/core/tests/format.test.ts", True)],
)
def test_changed_sources_are_built_again(unpacked_sdist: Path, change: str, same: bool) -> None:
    digest = (sys.executable, "-c", "import pathlib, hatch_build; print(hatch_build.sources_digest(pathlib.Path()))")
    built = (unpacked_sdist / "jupyter_trainlive/notebook/static/.sources").read_text()
    assert run(*digest, cwd=unpacked_sdist / "js").stdout.strip() == built
    file = unpacked_sdist / change
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"\n")
        assert (run(*digest, cwd=unpacked_sdist / "js").stdout.strip() == built) is same
    finally:
        file.write_bytes(before)
