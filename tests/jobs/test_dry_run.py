"""What the server makes of a dry run: whether it fits on the GPU that the job would get."""

from __future__ import annotations

from typing import Any, cast

import pytest

from jupyter_trainlive.client import DryRun
from jupyter_trainlive.jobs.dry_run import describe
from jupyter_trainlive.jobs.errors import InvalidRequest, Unprocessable
from jupyter_trainlive.jobs.queue import Slot
from jupyter_trainlive.kernels.launcher import Launcher
from jupyter_trainlive.kernels.question import Unanswered
from jupyter_trainlive.system import Gpu

MEMORY = {"model": 4.0, "gradients": 4.0, "optimizer": 8.0, "activations": 2.0, "total": 18.0}
ANSWER = {
    **{"rows": 90, "eval_rows": 10, "tokens": 12_345, "truncated_rows": 3, "unusable_rows": 0},
    **{"steps": 36, "steps_per_epoch": 12, "trainable_parameters": 5, "all_parameters": 10},
    **{"memory_gb": MEMORY, "warnings": ["One thing."], "estimated": False, "more": "of a later version"},
}
GPUS = [Gpu(index, f"GPU-{index}", "A", memory_total_gb=size) for index, size in enumerate((16.0, 24.0, 48.0))]


class Kernel:
    """Answers, or does not, and remembers what it was asked."""

    dry_run_timeout = 300.0

    def __init__(self, answer: object = ANSWER) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    async def ask(self, spec: dict[str, Any], question: dict[str, Any]) -> Any:
        self.asked = question
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def spec(**more: Any) -> dict[str, Any]:
    return {"kind": "finetune", "gpus": None, "parameters": {"fp16": False}, **more}


def slots(*holders: str | None) -> list[Slot]:
    return [Slot(f"GPU-{index}", index, holder) for index, holder in enumerate(holders)]


async def run(kernel: Kernel, spec: dict[str, Any], slots: list[Slot]) -> dict[str, Any]:
    return await describe(spec, cast(Launcher, kernel), GPUS, slots)


@pytest.mark.parametrize(
    ("gpus", "holders", "devices", "gpu_memory_gb", "fits"),
    [
        (None, (), 1, None, None),
        (0, (None,), 1, None, None),
        (None, (None, None, None), 1, 16.0, False),  # the first that is free
        (None, ("a job", None, None), 1, 24.0, True),
        (1, ("a job", "a job", "a job"), 1, 16.0, False),  # the first, when its turn comes
        (2, ("a job", None, None), 2, 24.0, True),  # the smaller of both
    ],
)
async def test_the_estimate_is_held_against_the_gpu_that_the_job_would_get(
    gpus: int | None, holders: tuple[str | None, ...], devices: int, gpu_memory_gb: float | None, fits: bool | None
) -> None:
    kernel = Kernel()
    answer = await run(kernel, spec(gpus=gpus), slots(*holders))
    assert (answer["gpu_memory_gb"], answer["fits"]) == (gpu_memory_gb, fits)
    assert kernel.asked["devices"] == devices
    assert answer["memory_gb"] == MEMORY
    assert "more" not in answer
    assert any("lower per_device_train_batch_size" in warning for warning in answer["warnings"]) >= (fits is False)
    assert answer["warnings"][-1] == "One thing."
    shown = repr(DryRun.of(answer))
    assert "90 rows to learn, 10 to evaluate on; 12,345 tokens, 3 rows cut" in shown
    assert "36, 12 an epoch" in shown
    assert ("it does not fit" in shown) is (fits is False)


async def test_more_than_the_machine_has_is_said_without_a_gpu() -> None:
    huge = {**ANSWER, "memory_gb": {**MEMORY, "total": 1e6}}
    answer = await run(Kernel(huge), spec(), [])
    assert "and this machine has" in answer["warnings"][0]
    assert (await run(Kernel({**ANSWER, "memory_gb": {**MEMORY, "total": 0.1}}), spec(), []))["warnings"] == [
        "One thing."
    ]


async def test_what_can_not_be_answered_names_the_field() -> None:
    for kernel, asked, kind, field in (
        (Kernel(Unanswered("is odd", "optim")), spec(), Unprocessable, "optim"),
        (Kernel(Unanswered("no answer within 300 s")), spec(), Unprocessable, "dry_run"),
        (Kernel({"rows": 1}), spec(), Unprocessable, "dry_run"),
        (Kernel({**ANSWER, "tokens": None}), spec(), Unprocessable, "dry_run"),
        (Kernel(), spec(parameters={"fp16": True}), Unprocessable, "fp16"),
        (Kernel(), spec(kind="code"), InvalidRequest, "dry_run"),
    ):
        with pytest.raises(kind) as raised:
            await run(kernel, asked, [])
        assert raised.value.field == field
