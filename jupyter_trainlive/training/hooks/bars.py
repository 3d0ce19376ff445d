"""Progress bars in a job: no widgets that nobody sees, and no log that they fill over days."""

from __future__ import annotations

import functools
import math
import sys
import time
from types import ModuleType
from typing import Any


def hook(module: ModuleType) -> None:
    """Called with the modules of tqdm's and rich's that draw bars."""
    if module.__name__ == "tqdm.std":
        _refresh_seldom(module.tqdm)
    elif module.__name__ == "tqdm.notebook":
        # `tqdm.auto` takes them from here when it finds itself in a kernel.
        std = sys.modules["tqdm.std"]
        module.tqdm_notebook = module.tqdm = std.tqdm  # type: ignore[attr-defined]
        module.tnrange = module.trange = std.trange  # type: ignore[attr-defined]
    elif module.__name__ == "rich.console" and hasattr(module, "_is_jupyter"):
        module._is_jupyter = lambda: False  # type: ignore[attr-defined]


def _refresh_seldom(bars: Any) -> None:
    """Heed `mininterval` also where a bar is told to draw itself, as `set_postfix` and Lightning do at every step."""
    original = bars.refresh

    @functools.wraps(original)
    def refresh(self: Any, *args: Any, **kwargs: Any) -> Any:
        now = time.monotonic()
        if now - vars(self).get("_trainlive_drawn_at", -math.inf) < (getattr(self, "mininterval", None) or 0):
            return False
        self._trainlive_drawn_at = now
        return original(self, *args, **kwargs)

    bars.refresh = refresh
