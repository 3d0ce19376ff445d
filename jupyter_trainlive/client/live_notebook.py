"""Runs a notebook's cells in a session of the server, so that who opens it finds it running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import find_connection_file
from nbformat.sign import NotebookNotary

_START_SECONDS = 60.0


class CellError(RuntimeError):
    """A cell raised; the text is its error."""


def run_in_session(server: httpx.Client, notebook: Path, after_cell: Callable[[], None]) -> None:
    """Open the notebook's session on a server of this machine and run all its code cells in order.

    The outputs are written into the notebook as they come. `notebook` lies in the server's root folder. The
    next cell waits for `after_cell`; meanwhile the kernel is free for whoever opens the notebook.
    Raises CellError at the first cell that raises, httpx.HTTPError where the server refuses.
    """
    session = server.post(
        "api/sessions",
        json={"path": notebook.name, "name": notebook.name, "type": "notebook", "kernel": {"name": "python3"}},
    )
    session.raise_for_status()
    kernel_id = session.json()["kernel"]["id"]
    client = BlockingKernelClient(connection_file=find_connection_file(f"kernel-{kernel_id}.json"))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=_START_SECONDS)
        _run_cells(client, notebook, after_cell)
    finally:
        client.stop_channels()


def _run_cells(client: BlockingKernelClient, notebook: Path, after_cell: Callable[[], None]) -> None:
    notary = NotebookNotary()  # type: ignore[no-untyped-call]
    content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in content.cells:
        if cell.cell_type != "code":
            continue

        def take(message: dict[str, Any], cell: Any = cell) -> None:
            if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                cell.outputs.append(nbformat.v4.output_from_msg(message))  # type: ignore[no-untyped-call]
                _save(content, notebook, notary)

        reply = client.execute_interactive(cell.source, output_hook=take, allow_stdin=False)["content"]
        cell.execution_count = reply.get("execution_count")
        _save(content, notebook, notary)
        if reply["status"] != "ok":
            raise CellError(f"{reply.get('ename')}: {reply.get('evalue')}")
        after_cell()


def _save(content: Any, notebook: Path, notary: NotebookNotary) -> None:
    """Write the notebook and sign it: in one that is not trusted JupyterLab shows no widgets."""
    nbformat.write(content, notebook)  # type: ignore[no-untyped-call]
    notary.sign(content)  # type: ignore[no-untyped-call]
