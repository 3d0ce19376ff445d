"""A console on a kept kernel: cells run there, and what they show is shown here.

It speaks to the kernel over its private Unix sockets, so it needs no server once it is open.
"""

from __future__ import annotations

import contextlib
import getpass
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NoServerError, TrainLiveError
from .outputs import Message

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

#: How long a kernel may take to answer for the first time; one that runs another console's cell does not.
_ANSWER_SECONDS = 30.0
_POLL_SECONDS = 0.1
#: While nothing comes it is asked so often whether the kernel is there at all.
_ALIVE_SECONDS = 2.0


class ConsoleError(TrainLiveError):
    """A cell failed in the kept kernel; the text is its exception, `traceback` the kernel's lines about it."""

    def __init__(self, message: str, traceback: list[str]) -> None:
        super().__init__(message)
        self.traceback = traceback

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this: what went wrong is there, not here.
        return self.traceback or [str(self)]


class Console:
    """A kept kernel, as `Job.console` gives it. Also a context manager; it stays open until it is closed.

    `is_kept` says whether the kernel is still there.
    """

    def __init__(self, connection_file: Path, is_kept: Callable[[], bool], show: Callable[[Message], None]) -> None:
        from jupyter_client.blocking.client import BlockingKernelClient

        self._is_kept = is_kept
        self._show = show
        self._client: BlockingKernelClient = BlockingKernelClient()
        try:
            self._client.load_connection_file(str(connection_file))
        except (OSError, ValueError) as error:
            raise TrainLiveError(f"The kept kernel can't be reached: {error}") from error
        self._client.start_channels(hb=False)
        try:
            self._wait_until_heard()
        except BaseException:
            self.close()
            raise

    def run(self, code: str) -> None:
        """Run a cell and show what it shows; magics work, ``%debug`` in the frame that failed among them.

        Ctrl-C interrupts it there. Raises ConsoleError where it fails, and TrainLiveError where the kernel is gone.
        """
        message_id = self._client.execute(code, allow_stdin=True)
        reply: Message | None = None
        idle, interrupted = False, False
        heard_at = time.monotonic()
        while not (idle and reply):
            try:
                message = self._next(message_id)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                # The kernel stops the cell and says so as for any exception; pressed again, nobody waits for that.
                interrupted = True
                self._interrupt()
                continue
            if message is None:
                heard_at = self._look_after(heard_at)
                continue
            heard_at = time.monotonic()
            kind, content = message["msg_type"], message["content"]
            if kind == "execute_reply":
                reply = content
            elif kind == "status":
                idle = idle or content["execution_state"] == "idle"
            elif kind == "input_request":
                self._answer(content)
            elif kind != "error":
                self._show(message)
        if reply.get("status") == "error":
            raise ConsoleError(f"{reply.get('ename')}: {reply.get('evalue')}", list(reply.get("traceback") or ()))
        if reply.get("status") == "aborted":
            raise TrainLiveError("The cell did not run, as one before it failed; run it again.")

    def is_complete(self, code: str) -> bool:
        """Whether a person would run that now, and not go on typing it."""
        message_id = self._client.is_complete(code)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                message = self._client.shell_channel.get_msg(timeout=_POLL_SECONDS)
                if message["parent_header"].get("msg_id") == message_id:
                    return bool(message["content"]["status"] != "incomplete")
        return True

    def close(self) -> None:
        """Let go of the kernel, which stays."""
        self._client.stop_channels()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<Console of a kept kernel: run("…") runs a cell there ({"open" if self._is_kept() else "gone"})>'

    def _wait_until_heard(self) -> None:
        """Until the kernel's outputs come: what is published before is lost."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        asked = list[str]()
        while time.monotonic() < deadline:
            asked.append(self._client.kernel_info())
            with contextlib.suppress(queue.Empty):
                while time.monotonic() < deadline:
                    message = self._client.iopub_channel.get_msg(timeout=1.0 if len(asked) > 1 else _POLL_SECONDS)
                    if message["parent_header"].get("msg_id") in asked:
                        return
            if not self._is_kept():
                break
        if not self._is_kept():
            raise TrainLiveError("The kept kernel is gone.")
        raise TrainLiveError(
            f"The kept kernel does not answer within {_ANSWER_SECONDS:.0f} seconds; another console may run a cell in "
            "it. Interrupt that, or end the kernel."
        )

    def _next(self, message_id: str) -> Message | None:
        """The next message that belongs to the cell; None where none came for a moment.

        Output before the reply, since the cell is over only when both say so.
        """
        client = self._client
        for channel, timeout in (
            (client.iopub_channel, 0.0),
            (client.stdin_channel, 0.0),
            (client.shell_channel, 0.0),
            (client.iopub_channel, _POLL_SECONDS),
        ):
            with contextlib.suppress(queue.Empty):
                message: Message = channel.get_msg(timeout=timeout)
                if message["parent_header"].get("msg_id") == message_id:
                    return message
                return None
        return None

    def _look_after(self, heard_at: float) -> float:
        if time.monotonic() - heard_at > _ALIVE_SECONDS:
            if not self._is_kept():
                raise TrainLiveError("The kept kernel is gone; what it did last may be missing above.")
            return time.monotonic()
        return heard_at

    def _interrupt(self) -> None:
        interrupt(self._client)

    def _answer(self, content: Message) -> None:
        try:
            text = (getpass.getpass if content.get("password") else input)(str(content.get("prompt", "")))
        except EOFError:
            text = "\x04"
        except KeyboardInterrupt:
            self._interrupt()
            return
        self._client.input(text)


def interrupt(client: Any) -> None:
    """Have the kernel stop what it runs, by the channel that it reads meanwhile."""
    client.control_channel.send(client.session.msg("interrupt_request", {}))


def still_kept(info: Callable[[], dict[str, Any]]) -> bool:
    """Whether the server says that the kernel is kept; without a server nobody knows better."""
    try:
        return info()["kept"] is not None
    except NoServerError:
        return True
