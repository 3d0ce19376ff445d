"""What a kernel without a job is asked: what a fine-tune with these parameters would do."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from ..protocol.dataset import DatasetError
from ..protocol.jobdir import write_json
from ..protocol.parameters import ParameterError
from .errors import RecipeError
from .explanations import explain

#: Trainings go first.
_NICE = 10
_LINE_LIMIT = 300


def answer(folder: str) -> None:
    """Answer `question.json` of that folder in `answer.json`: ``{"answer": …}`` or ``{"error": {field, message}}``."""
    path = Path(folder)
    question = json.loads((path / "question.json").read_bytes())
    threading.Thread(target=_leave_after, args=(float(question["lifetime_seconds"]),), daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    write_json(path / "answer.json", _answer(question))


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        # Here, because what is imported with it may be missing.
        from .recipes.dry_run import describe

        return {"answer": describe(question["parameters"], devices=question["devices"], seconds=question["seconds"])}
    except ParameterError as error:
        return _error(error.field, error.message)
    except DatasetError as error:
        return _error(getattr(error, "field", None) or "dataset_path", str(error))
    except RecipeError as error:
        return _error(error.field, " ".join(filter(None, (f"{str(error).rstrip('.')}.", error.hint))))
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever it was, it is told
        explanation = explain(error)
        lines = str(error).strip().splitlines() or [""]
        text = f"{type(error).__name__}: {lines[0][:_LINE_LIMIT]}".removesuffix(": ")
        hint = explanation.hint if explanation else None
        return _error(None, " ".join(filter(None, ((explanation and explanation.reason) or text, hint))))


def _error(field: str | None, message: str) -> dict[str, Any]:
    return {"error": {"field": field, "message": message}}


def _leave_after(seconds: float) -> None:
    """Whoever asked may have been killed, and nobody ends this kernel then."""
    time.sleep(seconds)
    os._exit(1)
