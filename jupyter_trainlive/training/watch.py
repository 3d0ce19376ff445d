"""The watch over the loss: tells when it has been no finite number for several logs in a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Logs in a row, where a job says nothing else.
PATIENCE = 3
_CALLED = {"loss": "The loss", "grad_norm": "The gradient norm (grad_norm)"}


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
        #: Whose numbers count: a norm of gradients is infinite now and then where a scaler seeks its scale.
        self.names: tuple[str, ...] = tuple(_CALLED)
        self._row = 0
        self._since: int | None = None
        self._seen: set[tuple[str, str]] = set()

    @property
    def calm(self) -> bool:
        """Whether a log of finite numbers would change nothing."""
        return self._row == 0

    def see(self, step: int | None, values: Mapping[str, Any]) -> str | None:
        """What to tell after this log, in a sentence; None as long as there is nothing, or nothing new."""
        watched = {name: values[name] for name in self.names if name in values}
        if not watched:
            return None
        odd = {(name, _kind(value)) for name, value in watched.items() if not _finite(value)}
        if not odd:
            self._row = 0
            self._seen.clear()
            return None
        if self._row == 0:
            self._since = step
        self._row += 1
        self._seen |= odd
        return self._sentence(step) if self._row == self._patience else None

    def _sentence(self, step: int | None) -> str:
        names = {name for name, _ in self._seen}
        name = next(name for name in _CALLED if name in names)
        kinds = " or ".join(sorted({kind for seen, kind in self._seen if seen == name}))
        times = "" if self._row == 1 else f" in {self._row} logs in a row"
        steps = f"step {step}" if self._since == step else f"steps {self._since} to {step}"
        return f"{_CALLED[name]} was {kinds}{times} ({steps})."


def _finite(value: object) -> bool:
    # Whole numbers are finite, also those that no float can hold.
    return not isinstance(value, float) or math.isfinite(value)


def _kind(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
