"""The widget of one job: an anywidget that talks to the server by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
from traitlets.traitlets import Unicode

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
