"""The loss of a plain loop, taken from what `backward` is called of, without waiting for the device at any step."""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..recorder import current
from .guard import complain, guarded

_wanted = False
#: The sum since an optimizer stepped last, on its device.
_sum: Any = None
#: What a gradient scaler made last, and what of.
_scaled: tuple[weakref.ReferenceType[Any], Any] | None = None
_inside = threading.local()


def want(wanted: bool) -> None:
    """Say whether losses are to be taken from now on."""
    global _wanted
    _wanted = wanted


def hook(module: ModuleType) -> None:
    """Called with the modules that define tensors, and gradient scalers."""
    if module.__name__ == "torch._tensor":
        _watch_backward(module.Tensor)
    else:
        _watch_scaler(module.GradScaler)


def take() -> Any:
    """The sum of the losses since the last call, as a tensor; None where there were none."""
    global _sum
    taken, _sum = _sum, None
    return taken


def kept(loss: Any) -> Any:
    """A copy of a tensor of one element, on its device: who made it may go on to work on it in its place."""
    torch = sys.modules["torch"]
    exact = torch.float64 if loss.dtype == torch.float64 else torch.float32
    return loss.detach().reshape(()).to(exact, copy=True)


def numbers(tensors: list[Any]) -> list[float]:
    """The values of scalar tensors, waiting for their device but once."""
    torch = sys.modules["torch"]
    if len({tensor.device for tensor in tensors}) == 1:
        values: list[float] = torch.stack(tensors).tolist()
        return values
    return [float(tensor) for tensor in tensors]


def _watch_backward(tensors: Any) -> None:
    original = tensors.backward

    @functools.wraps(original)
    def backward(self: Any, gradient: Any = None, *args: Any, **kwargs: Any) -> Any:
        # A tensor of a subclass comes here a second time from inside.
        if not _wanted or getattr(_inside, "backward", False):
            return original(self, gradient, *args, **kwargs)
        _inside.backward = True
        try:
            result = original(self, gradient, *args, **kwargs)
        finally:
            _inside.backward = False
        if gradient is None:
            _saw(self)
        return result

    tensors.backward = backward


@guarded("losses")
def _saw(loss: Any) -> None:
    global _sum
    recorder = current()
    if recorder is None or recorder.trainer_runs or loss.numel() != 1:
        return
    if _scaled is not None and _scaled[0]() is loss:
        loss = _scaled[1]
    value = kept(loss)
    _sum = value if _sum is None else _sum + value


def _watch_scaler(scalers: Any) -> None:
    """See through the factor of mixed precision, and forget the loss of a step that is left out for it."""
    scale: Callable[..., Any] = scalers.scale
    update: Callable[..., Any] = scalers.update

    @functools.wraps(scale)
    def scale_and_note(self: Any, outputs: Any) -> Any:
        global _scaled
        result = scale(self, outputs)
        try:
            if _wanted and hasattr(outputs, "detach") and result is not outputs:
                _scaled = (weakref.ref(result), outputs.detach())
        except Exception as error:  # noqa: BLE001 - watching must not cost anybody a training
            complain("losses", error)
        return result

    @functools.wraps(update)
    def update_and_forget(self: Any, *args: Any, **kwargs: Any) -> Any:
        take()
        return update(self, *args, **kwargs)

    scalers.scale, scalers.update = scale_and_note, update_and_forget
