"""Which checkpoints are complete: those that are all there, as far as sizes and the heads of their files tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_trainlive.protocol.checkpoints import MANIFEST, is_complete, newest_complete, read_manifest, step_of
from jupyter_trainlive.training.recipes.checkpointing import CheckpointError, CheckpointStore


def save(step: int) -> Callable[[Path], None]:
    """Writes what a Trainer writes, in small."""

    def write(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        inside = folder / f"checkpoint-{step}"
        (inside / "more").mkdir(parents=True)
        save_file({"weight": torch.arange(8.0)}, inside / "model.safetensors")
        torch.save({"momentum": torch.arange(8.0)}, inside / "optimizer.pt")
        (inside / "trainer_state.json").write_text("{}")
        (inside / "more" / "notes.txt").write_text("notes")

    return write


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, keep=2, expected_bytes=0)


@pytest.fixture
def checkpoint(store: CheckpointStore) -> Path:
    return store.write(5, save(5), {"more": 1})


def test_a_checkpoint_is_complete_once_it_has_its_name(checkpoint: Path, tmp_path: Path) -> None:
    assert is_complete(checkpoint)
    assert checkpoint == tmp_path / "checkpoint-5"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    manifest = read_manifest(checkpoint) or {}
    assert (manifest["step"], manifest["more"]) == (5, 1)
    assert manifest["files"]["more/notes.txt"] == 5


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _overwrite(path: Path, at: int) -> None:
    """Other bytes, the same size."""
    content = bytearray(path.read_bytes())
    content[at : at + 8 or None] = b"\xff" * 8
    path.write_bytes(content)


def _relist(folder: Path, name: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "files": {**manifest["files"], name: 0}}))


def _link(path: Path) -> None:
    moved = path.rename(path.parent.parent / path.name)
    path.symlink_to(moved)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text("[1]"),
        lambda folder: _shorten(folder / MANIFEST),
        lambda folder: (folder / "trainer_state.json").unlink(),
        lambda folder: (folder / "more" / "notes.txt").write_text("longer notes"),
        lambda folder: _shorten(folder / "model.safetensors"),
        lambda folder: _overwrite(folder / "model.safetensors", 0),
        lambda folder: _overwrite(folder / "optimizer.pt", -22),
        lambda folder: _link(folder / "model.safetensors"),
        lambda folder: _link(folder / "more"),
        lambda folder: _link(folder),
        lambda folder: _link(folder / MANIFEST),
        lambda folder: _relist(folder, "../outside"),
        lambda folder: _relist(folder, "/etc/hostname"),
        lambda folder: folder.rename(folder.with_name("checkpoint-6")),
    ],
)
def test_whatever_is_damaged_is_not_gone_on_from(
    store: CheckpointStore, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    checkpoint = CheckpointStore(folder, keep=2, expected_bytes=0).write(5, save(5), {})
    damage(checkpoint)
    assert newest_complete(folder) is None


def test_the_newest_is_by_its_step_and_only_if_complete(store: CheckpointStore, tmp_path: Path) -> None:
    for step in (9, 10):
        store.write(step, save(step), {})
    (tmp_path / "checkpoint-100").mkdir()
    (tmp_path / "checkpoint-011").mkdir()
    assert newest_complete(tmp_path) == tmp_path / "checkpoint-10"
    assert newest_complete(tmp_path / "nowhere") is None
    assert step_of(Path("checkpoint-011")) is step_of(Path(".saving-checkpoint-3")) is None


def test_what_is_too_much_goes_incomplete_first_and_then_oldest(store: CheckpointStore, tmp_path: Path) -> None:
    store.write(1, save(1), {})
    store.write(2, save(2), {})
    (tmp_path / "checkpoint-30").mkdir()
    store.write(3, save(3), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-3"]
    CheckpointStore(tmp_path, keep=1, expected_bytes=0).write(2, save(2), {})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"], "never the one just written"


def test_a_checkpoint_of_the_same_step_is_replaced_whole(checkpoint: Path, store: CheckpointStore) -> None:
    (checkpoint / "stray").touch()
    store.write(5, save(5), {"more": 2})
    assert is_complete(checkpoint)
    assert (read_manifest(checkpoint) or {})["more"] == 2
    assert not (checkpoint / "stray").exists()


def test_what_an_interrupted_save_left_is_removed(checkpoint: Path, store: CheckpointStore, tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        save(6)(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(6, interrupted, {})
    assert newest_complete(tmp_path) == checkpoint
    save(7)(tmp_path / ".saving-checkpoint-7")
    CheckpointStore(tmp_path, keep=2, expected_bytes=0)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_what_can_not_be_read_back_is_no_checkpoint(store: CheckpointStore, tmp_path: Path) -> None:
    def torn(folder: Path) -> None:
        save(5)(folder)
        _shorten(folder / "checkpoint-5" / "model.safetensors")

    with pytest.raises(CheckpointError, match="step 5 could not be read back"):
        store.write(5, torn, {})
    assert list(tmp_path.iterdir()) == []
