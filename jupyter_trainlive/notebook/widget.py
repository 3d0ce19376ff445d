"""The widget of one job: an anywidget that talks to the server by itself, or through this kernel where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
from traitlets.traitlets import Unicode

from .relay import Relay

_STATIC = Path(__file__).parent / "static"


class JobWidget(anywidget.AnyWidget):
    """Shows a job live, whether this kernel is idle, busy or gone.

    Its traits say which job on which server; the page's own credentials open the stream, so that a saved
    notebook holds none.
    """

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"

    job_id = Unicode().tag(sync=True)
    name = Unicode().tag(sync=True)
    server_path = Unicode(help="The path of the server's base URL.").tag(sync=True)

    def __init__(self, job_id: str, name: str, server_path: str, **kwargs: Any) -> None:
        super().__init__(job_id=job_id, name=name, server_path=server_path, **kwargs)
        self._relay = Relay(job_id, self.send)
        self.on_msg(lambda _widget, message, _buffers: self._relay.hear(message))

    def close(self) -> None:
        self._relay.close()
        super().close()
