"""What a fine-tune would do, as its user looks at it before it is started."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, repr=False)
class DryRun:
    """The answer to ``finetune(…, dry_run=True)``. Printed it is readable; its numbers are attributes.

    ``rows`` to learn, of which one step takes a batch, and ``eval_rows`` to evaluate on; ``tokens`` of all of them;
    ``truncated_rows`` cut at max_length, ``unusable_rows`` left out. ``steps`` in all. ``memory_gb`` is an estimate:
    ``model``, ``gradients``, ``optimizer``, ``activations``, ``total``. ``gpu_memory_gb`` is what the GPU has that
    it would get (None without one), and ``fits`` whether that is enough. With ``estimated`` the data was too large
    to be counted to its end.
    """

    rows: int
    eval_rows: int
    tokens: int
    truncated_rows: int
    unusable_rows: int
    steps: int
    steps_per_epoch: int
    trainable_parameters: int
    all_parameters: int
    memory_gb: dict[str, float]
    gpu_memory_gb: float | None
    fits: bool | None
    warnings: list[str]
    estimated: bool = False

    @classmethod
    def of(cls, answer: dict[str, Any]) -> DryRun:
        """From the server's answer, of which later versions may say more."""
        return cls(**{field.name: answer[field.name] for field in fields(cls) if field.name in answer})

    def __repr__(self) -> str:
        about = "about " if self.estimated else ""
        evaluated = f", {self.eval_rows:,} to evaluate on" if self.eval_rows else ""
        cut = f", {self.truncated_rows:,} rows cut" if self.truncated_rows else ""
        left = f", {self.unusable_rows:,} left out" if self.unusable_rows else ""
        share = 100 * self.trainable_parameters / max(1, self.all_parameters)
        parts = ", ".join(f"{name} {_gb(size)}" for name, size in self.memory_gb.items() if name != "total")
        lines = [
            f"Data        {about}{self.rows:,} rows to learn{evaluated}; {about}{self.tokens:,} tokens{cut}{left}",
            f"Steps       {about}{self.steps:,}, {self.steps_per_epoch:,} an epoch",
            f"Parameters  {self.trainable_parameters:,} trained, of {self.all_parameters:,} ({share:.3g} %)",
            f"Memory      about {_gb(self.memory_gb['total'])} GB: {parts}",
            f"GPU         {self._gpu()}",
            *(f"Note        {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)

    def _gpu(self) -> str:
        if self.gpu_memory_gb is None:
            return "none, or none that tells how much memory it has"
        fits = {True: "; it fits", False: "; it does not fit", None: ""}[self.fits]
        return f"{self.gpu_memory_gb:.1f} GB{fits}"


def _gb(size: float) -> str:
    return f"{size:.1f}" if size >= 10 else f"{size:.2g}"
