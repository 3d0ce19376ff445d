"""A page that is not Jupyter's, as VS Code's and Colab's are not: it has the widget and a kernel, but no server.

The page has an opaque origin and no cookies. Messages of widgets go between it and a real kernel over a socket of the
host's; everything that the kernel said is kept, so that a test can look what came across.
"""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session
from playwright.sync_api import Page
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

import jupyter_trainlive

from ..real_server import RealServer

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
STATIC = Path(jupyter_trainlive.__file__).parent / "notebook" / "static"

#: The host's own page, which reaches the kernel, and in a frame of opaque origin the outputs of a notebook.
OUTER = """<!doctype html><title>Elsewhere</title>
<body style="margin:0"><iframe sandbox="allow-scripts allow-downloads" style="width:100%;height:980px;border:0"
srcdoc="<!doctype html><body style='margin:8px;background:white'>"></iframe>
<script type="module">
  const frame = document.querySelector("iframe"), socket = new WebSocket(location.href.replace("http", "ws"));
  socket.onmessage = event => frame.contentWindow.postMessage(event.data, "*");
  window.onmessage = event => socket.send(event.data);
  await new Promise(resolve => { socket.onopen = resolve; });
  window.ready = true;
</script>"""

#: What anywidget asks of its host, and nothing else.
INNER = """
([source, style]) => {
  const css = document.createElement("style");
  css.textContent = style;
  document.head.append(css);
  const models = new Map();
  window.onmessage = event => {
    const { model_id, content, buffers } = JSON.parse(event.data);
    const views = buffers.map(text => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer));
    for (const listener of [...(models.get(model_id) ?? [])]) listener(content, views);
  };
  window.show = async (model_id, state) => {
    const listeners = new Set();
    models.set(model_id, listeners);
    const model = {
      get: name => state[name], set() {}, save_changes() {},
      on: (event, listener) => { if (event === "msg:custom") listeners.add(listener); },
      off: (event, listener) => listeners.delete(listener),
      send: content => parent.postMessage(JSON.stringify({ model_id, content }), "*"),
    };
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const { signal } = new AbortController();
    await widget.initialize({ model, signal });
    const el = document.createElement("div");
    document.body.append(el);
    await widget.render({ model, el, signal });
  };
}
"""


class ForeignPage:
    """One page of such a host, and the kernel of its notebook."""

    def __init__(self, page: Page, server: RealServer) -> None:
        self._server = server
        #: What the kernel sent to the page, as text.
        self.said: list[str] = []
        self._to_page: queue.Queue[str] = queue.Queue()
        self._states: dict[str, dict[str, Any]] = {}
        self._shown: queue.Queue[str] = queue.Queue()
        self._closing = threading.Event()
        self._kernel_changes = threading.Lock()
        self._bridge = serve(self._serve, "127.0.0.1", 0, process_request=_outer_page)
        self._threads = [threading.Thread(target=self._bridge.serve_forever)]
        self.start_kernel()
        self._threads.append(threading.Thread(target=self._listen))
        for thread in self._threads:
            thread.start()
        page.goto(f"http://127.0.0.1:{self._bridge.socket.getsockname()[1]}/")
        page.wait_for_function("() => window.ready")
        self.frame = page.frames[1]
        self.frame.evaluate(INNER, [(STATIC / name).read_text() for name in ("widget.js", "widget.css")])

    def start_kernel(self) -> None:
        """A fresh kernel, also where the one before was killed."""
        with self._kernel_changes:
            self._manager = KernelManager(kernel_name="python3")
            self._manager.start_kernel(env=self._server.env, cwd=str(self._server.home / "root"))
            self._for_cells, self._for_widgets, self._for_news = (self._client() for _ in range(3))

    def kill_kernel(self) -> None:
        self._manager.shutdown_kernel(now=True)

    def run(self, cell: str, *, wait: bool = True) -> None:
        """Run a cell as a person does; one that fails fails the test."""
        request = self._for_cells.execute(cell, allow_stdin=True)
        while wait:
            reply = self._for_cells.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == request:
                assert reply["content"]["status"] == "ok", reply["content"]
                return

    def show(self) -> None:
        """Put what the kernel displayed next into the page."""
        model_id = self._shown.get(timeout=60)
        self.frame.evaluate("([id, state]) => { window.show(id, state) }", [model_id, self._states[model_id]])

    def close(self) -> None:
        self._closing.set()
        self._bridge.shutdown()
        for thread in self._threads:
            thread.join(10)
        for client in (self._for_cells, self._for_widgets, self._for_news):
            client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _client(self) -> BlockingKernelClient:
        # Each with a session of its own: a kernel answers one of a name alone.
        client: BlockingKernelClient = self._manager.client(session=Session(key=self._manager.session.key))
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return client

    def _serve(self, socket: ServerConnection) -> None:
        """One socket of the page: what comes goes to the kernel, what the kernel says to the page."""
        sending = threading.Thread(target=self._send, args=(socket,))
        sending.start()
        for text in socket:
            message = json.loads(text)
            data = {"method": "custom", "content": message["content"]}
            with self._kernel_changes:
                client = self._for_widgets
                content = {"comm_id": message["model_id"], "data": data}
                client.shell_channel.send(client.session.msg("comm_msg", content))
        sending.join()

    def _send(self, socket: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while not self._closing.is_set():
                with contextlib.suppress(queue.Empty):
                    socket.send(self._to_page.get(timeout=0.2))

    def _listen(self) -> None:
        while not self._closing.is_set():
            with self._kernel_changes:
                client = self._for_news
            with contextlib.suppress(queue.Empty):
                self._take(client.get_iopub_msg(timeout=0.2))

    def _take(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "comm_open" and content["target_name"] == "jupyter.widget":
            self._states[content["comm_id"]] = content["data"]["state"]
        elif message["msg_type"] in ("display_data", "execute_result"):
            view = content["data"].get(VIEW_MIME)
            if view is not None:
                self._shown.put(view["model_id"])
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
            buffers = [base64.b64encode(part).decode() for part in message["buffers"]]
            text = {"model_id": content["comm_id"], "content": content["data"]["content"], "buffers": buffers}
            self.said.append(json.dumps(text) + "".join(bytes(part).decode("latin1") for part in message["buffers"]))
            self._to_page.put(json.dumps(text))


def _outer_page(socket: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("Upgrade") is not None:
        return None
    response = socket.respond(200, OUTER)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    return response


@contextlib.contextmanager
def foreign_page(page: Page, server: RealServer) -> Iterator[ForeignPage]:
    """A page elsewhere, with a kernel that belongs to the server's user."""
    host = ForeignPage(page, server)
    try:
        yield host
    finally:
        host.close()
