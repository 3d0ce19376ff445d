"""An inherited CUDA_VISIBLE_DEVICES is read as CUDA reads it."""

from __future__ import annotations

import pytest

from jupyter_trainlive.system import Gpu, visible

GPUS = [
    Gpu(0, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "First"),
    Gpu(1, "GPU-8932aaaa-0000-0000-0000-000000000001", "Second"),
    Gpu(2, None, "Never told its name"),
    Gpu(3, "GPU-41000000-0000-0000-0000-000000000003", "Fourth"),
]


def indices(mask: str) -> list[int]:
    return [gpu.index for gpu in visible(GPUS, {"CUDA_VISIBLE_DEVICES": mask})]


def test_without_a_mask_all_gpus_that_can_be_named_are_visible() -> None:
    assert visible(GPUS, {"PATH": "/bin"}) == [GPUS[0], GPUS[1], GPUS[3]]


@pytest.mark.parametrize("mask", ["", " ", "-1", "NoDevFiles", "none", "MIG-41000000-0000-0000-0000-000000000003"])
def test_a_mask_that_names_no_gpu_leaves_none(mask: str) -> None:
    assert indices(mask) == []


def test_the_order_is_the_masks() -> None:
    assert indices("3,0") == [3, 0]
    assert indices(" 1 , 3 ") == [1, 3]


def test_a_uuid_may_be_cut_short_as_long_as_it_names_one_gpu() -> None:
    assert indices("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6") == [0]
    assert indices("GPU-41,GPU-8932a") == [3, 1]
    assert indices("GPU-8932") == []
    assert indices("8932f937") == []


@pytest.mark.parametrize("wrong", ["-1", "4", "99", "", "x", "GPU-", "GPU-nobody", "1.0", "²", "MIG-1"])
def test_the_first_entry_that_names_no_gpu_ends_the_list(wrong: str) -> None:
    assert indices(f"3,{wrong},1") == [3]


@pytest.mark.parametrize("mask", ["1,1", "3,1,3", "GPU-41,GPU-41000000", "3,GPU-41"])
def test_a_gpu_named_twice_leaves_none(mask: str) -> None:
    assert indices(mask) == []


def test_a_gpu_without_a_uuid_is_passed_over_and_does_not_end_the_list() -> None:
    assert indices("2,1") == [1]


def test_on_a_machine_without_gpus_there_is_none_to_see() -> None:
    assert visible([], {}) == []
    assert visible([], {"CUDA_VISIBLE_DEVICES": "0"}) == []
