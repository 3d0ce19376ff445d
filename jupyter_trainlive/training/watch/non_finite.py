"""The watch over the loss and its gradients: tells when they were no finite numbers for several logs in a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .names import called, is_gradient_norm, is_training_loss

#: Logs in a row, where a job says nothing else.
PATIENCE = 3


class NonFiniteLoss(Exception):
    """The training was to stop because its loss, or the norm of its gradients, is no finite number any more."""

    hint = (
        "Lower learning_rate or raise warmup_steps, use bf16 instead of fp16, and look at the data for odd rows; "
        "max_grad_norm keeps single steps from going too far."
    )


class NonFiniteWatch:
    """Sees every log; pure, so that it can be asked about any series of them.

    `patience` logs in a row with a NaN or an infinity are worth telling, once for each such row.
    """

    def __init__(self, patience: int = PATIENCE) -> None:
        self._patience = patience
        #: Whether norms of gradients count: they are infinite now and then where a scaler seeks its scale.
        self.gradients = True
        #: How many logs in a row were odd; with none, a log of finite numbers would change nothing.
        self.row = 0
        self._since: int | None = None
        self._seen: set[tuple[str, str]] = set()

    def see(self, step: int | None, values: Mapping[str, Any]) -> str | None:
        """What to tell after this log, in a sentence; None as long as there is nothing, or nothing new."""
        watched = {name: value for name, value in values.items() if self._counts(name)}
        if not watched:
            return None
        odd = {(name, _kind(value)) for name, value in watched.items() if not is_finite(value)}
        if not odd:
            self.row = 0
            self._seen.clear()
            return None
        if self.row == 0:
            self._since = step
        self.row += 1
        self._seen |= odd
        return self._sentence(step) if self.row == self._patience else None

    def _counts(self, name: str) -> bool:
        return is_training_loss(name) or (self.gradients and is_gradient_norm(name))

    def _sentence(self, step: int | None) -> str:
        # Where both are odd it is the loss that is spoken of.
        name = min((name for name, _ in self._seen), key=lambda name: (is_gradient_norm(name), name))
        kinds = " or ".join(sorted({kind for seen, kind in self._seen if seen == name}))
        times = "" if self.row == 1 else f" in {self.row} logs in a row"
        steps = f"step {step}" if self._since == step else f"steps {self._since} to {step}"
        return f"{called(name)} was {kinds}{times} ({steps})."


def is_finite(value: object) -> bool:
    """Whether a logged number is one; whole numbers are, also those that no float can hold."""
    return not isinstance(value, float) or math.isfinite(value)


def _kind(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
