"""The executed notebook: what its cells put out, of bounded size, and safe on the disk while it is run."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

from ..protocol.jobdir import write_json
from ..protocol.notebooks import Cell, Notebook
from .displays import Message, type_of
from .recorder import warn

#: Of what a cell prints its first and its last so many characters are kept; all of it is in output.log.
HEAD_CHARACTERS, TAIL_CHARACTERS = 1 << 20, 1 << 18
#: So many outputs of a cell, and of displays so many bytes in the whole notebook.
MOST_OUTPUTS, DISPLAYS_LIMIT_BYTES = 1000, 64 << 20
#: While a cell runs, its outputs are written so often; at first more often, and less often where writing is slow.
_FIRST_SAVE_SECONDS, _SAVE_SECONDS, _SAVE_SHARE = 1.0, 10.0, 0.02
_LEFT_OUT = "\n[… {} characters left out; output.log has all of it …]\n"
_TOO_MANY = "[further displays of this cell are left out]\n"
_TOO_LARGE = "[left out: the outputs of this notebook are larger than {} MiB]"


class Executed:
    """Takes what the current cell puts out, from any thread, and writes the notebook.

    A disk that refuses it costs one warning. A forked child's outputs are its own and not taken.
    """

    def __init__(self, notebook: Notebook, file: Path) -> None:
        self.notebook = notebook
        self._file = file
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        self._over = threading.Event()
        self._changed = False
        self._warned = False
        self._took = 0.0
        self._outputs: list[dict[str, Any]] = []
        self._prints = _Prints(self._outputs)
        self._clear_next = False
        self._by_display_id: dict[str, list[dict[str, Any]]] = {}
        self._display_bytes = 0
        for cell in notebook["cells"]:
            cell.setdefault("metadata", {})
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        threading.Thread(target=self._save_now_and_then, name="jupyter_trainlive-notebook", daemon=True).start()

    def begin(self, cell: Cell, count: int) -> None:
        """From now on the outputs are that cell's, the `count`-th that is run."""
        with self._lock:
            self._outputs = []
            self._prints = _Prints(self._outputs)
            self._clear_next = False
            cell.update(outputs=self._outputs, execution_count=count)
            self._changed = True

    def printed(self, name: str, text: str) -> None:
        """Something was written to ``stdout`` or ``stderr``."""
        if text and os.getpid() == self._process:
            with self._lock:
                self._clear()
                self._prints.add(name, text)
                self._changed = True

    def displayed(self, message: Message) -> None:
        """Something was displayed, or what is displayed changed."""
        if os.getpid() != self._process:
            return
        kind, content = type_of(message), message.get("content", {})
        with self._lock:
            self._changed = True
            if kind == "clear_output":
                self._clear_next = True
                if not content.get("wait"):
                    self._clear()
                return
            data, metadata = content.get("data") or {}, content.get("metadata") or {}
            display_id = str((content.get("transient") or {}).get("display_id") or "")
            if kind == "update_display_data":
                for output in self._by_display_id.get(display_id, ()):
                    self._display_bytes -= _size(output["data"])
                    output.update(data=self._bounded(data), metadata=metadata)
                return
            self._clear()
            if len(self._outputs) >= MOST_OUTPUTS:
                return
            self._prints.pause()
            output = {"output_type": kind, "data": self._bounded(data), "metadata": metadata}
            if kind == "execute_result":
                output["execution_count"] = content.get("execution_count")
            self._outputs.append(output)
            if display_id:
                self._by_display_id.setdefault(display_id, []).append(output)
            if len(self._outputs) == MOST_OUTPUTS - 1:
                self._outputs.append({"output_type": "stream", "name": "stderr", "text": _TOO_MANY})

    def failed(self, error: BaseException, traceback: list[str]) -> None:
        """The cell raised."""
        with self._lock:
            name, text = type(error).__name__, ""
            with contextlib.suppress(Exception):
                text = str(error)
            self._clear()
            self._prints.close()
            self._outputs.append({"output_type": "error", "ename": name, "evalue": text, "traceback": traceback})
            self._changed = True

    def save(self) -> None:
        """Write the notebook as it is now."""
        with self._saving:
            began = time.monotonic()
            with self._lock:
                self._changed = False
                self._prints.flush()
                # The outputs of the cells before don't change but as a whole.
                cells = [
                    {**cell, "outputs": [dict(output) for output in cell["outputs"]]} if "outputs" in cell else cell
                    for cell in self.notebook["cells"]
                ]
            try:
                write_json(self._file, {**self.notebook, "cells": cells})
            except (OSError, ValueError, TypeError, RecursionError) as error:
                if not self._warned:
                    self._warned = True
                    warn(f"the executed notebook can't be written: {error}")
            self._took = time.monotonic() - began

    def close(self) -> None:
        """Write it for the last time."""
        self._over.set()
        self.save()

    def _save_now_and_then(self) -> None:
        pause = _FIRST_SAVE_SECONDS
        while not self._over.wait(max(pause, self._took / _SAVE_SHARE)):
            pause = min(2 * pause, _SAVE_SECONDS)
            if self._changed:
                self.save()

    def _clear(self) -> None:
        """What was displayed goes, once something else comes."""
        if self._clear_next:
            self._clear_next = False
            gone = {id(output) for output in self._outputs}
            for display_id, outputs in list(self._by_display_id.items()):
                outputs[:] = [output for output in outputs if id(output) not in gone]
                if not outputs:
                    del self._by_display_id[display_id]
            self._display_bytes -= sum(_size(output["data"]) for output in self._outputs if "data" in output)
            self._outputs.clear()
            self._prints = _Prints(self._outputs)

    def _bounded(self, data: dict[str, Any]) -> dict[str, Any]:
        size = _size(data)
        if self._display_bytes + size > DISPLAYS_LIMIT_BYTES:
            data = {"text/plain": _TOO_LARGE.format(DISPLAYS_LIMIT_BYTES >> 20)}
            size = _size(data)
        self._display_bytes += size
        return data


class _Prints:
    """What one cell prints, as the outputs that it becomes: the beginning in order, and of the rest the end."""

    def __init__(self, outputs: list[dict[str, Any]]) -> None:
        self._outputs = outputs
        self._room = HEAD_CHARACTERS
        self._open: dict[str, Any] | None = None
        self._pieces: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = self._left_out = 0
        self._tail_output: dict[str, Any] | None = None

    def add(self, name: str, text: str) -> None:
        if self._room > 0 and not self._tail and (self._goes_on(name) or len(self._outputs) < MOST_OUTPUTS):
            if not self._goes_on(name):
                self.pause()
                self._open = {"output_type": "stream", "name": name, "text": ""}
                self._outputs.append(self._open)
            if self._redraws(text):
                # A progress bar that is drawn again.
                self._room += len(self._pieces.pop())
            text, rest = text[: self._room], text[self._room :]
            self._room -= len(text)
            self._pieces.append(text)
            if not rest:
                return
            text = rest
        self._tail.append(text[-TAIL_CHARACTERS:])
        self._left_out += len(text) - len(self._tail[-1])
        self._tail_size += len(self._tail[-1])
        while self._tail_size > TAIL_CHARACTERS and len(self._tail) > 1:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self._left_out += gone

    def pause(self) -> None:
        """Something else comes in between."""
        self.flush()
        self._open, self._pieces = None, []

    def flush(self) -> None:
        """Put what was printed into the outputs."""
        if self._open is not None:
            text = "".join(self._pieces)
            self._open["text"] = _redrawn(text)
            # What a progress bar drew over needs no room any more; its last line may be drawn over yet.
            before, newline, last = text.rpartition("\n")
            if "\r" in last:
                last = "\r" + _redrawn(last) + ("\r" if last.endswith("\r") else "")
            self._pieces = [piece for piece in (_redrawn(before) + newline, last) if piece]
            self._room += len(text) - sum(map(len, self._pieces))
        if self._tail:
            if self._tail_output is None:
                self._tail_output = {"output_type": "stream", "name": "stdout", "text": ""}
                self._outputs.append(self._tail_output)
            note = _LEFT_OUT.format(self._left_out) if self._left_out else ""
            self._tail_output["text"] = note + _redrawn("".join(self._tail))

    def close(self) -> None:
        """Nothing more is printed by this cell."""
        self.pause()

    def _goes_on(self, name: str) -> bool:
        return self._open is not None and self._open["name"] == name

    def _redraws(self, text: str) -> bool:
        last = self._pieces[-1] if self._pieces else ""
        return text[:1] == "\r" and text[1:2] != "\n" and last[:1] == "\r" and "\n" not in last


class Tee:
    """A stream that also tells the notebook what is written to it."""

    def __init__(self, stream: TextIO, name: str, executed: Executed) -> None:
        self._stream = stream
        self._name = name
        self._executed = executed

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        with contextlib.suppress(Exception):
            self._executed.printed(self._name, text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _redrawn(text: str) -> str:
    """The text without what was drawn over by a carriage return, as a terminal shows it."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _size(data: dict[str, Any]) -> int:
    return sum(len(item) if isinstance(item, str) else len(json.dumps(item, default=str)) for item in data.values())
