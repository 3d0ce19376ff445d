"""Many WebSockets in one process that does next to nothing: ``python -m tests.benchmarks.sockets SETTINGS``.

Most watchers only drain bytes, so that two cores suffice for a thousand of them and a server; the sampled ones keep
every frame with the moment at which it was read, to be looked at afterwards. Stalled ones never read.
SETTINGS is the JSON of `Watching`. Says "ready" when all are connected; then obeys lines on stdin: "begin" forgets what
was sampled, "end FILE" writes it there and answers with the bytes drained since, "quit" leaves.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: A pong that nobody asked for tells a server that pings that we are alive.
_PONG = b"\x8a\x80\0\0\0\0"
_PONG_SECONDS = 10.0


@dataclass
class Watching:
    """What one process of watchers is to do."""

    url: str
    drained: int = 0
    sampled: int = 0
    stalled: int = 0
    token: str = ""
    subprotocol: str = ""
    #: What each says first.
    says: str = ""
    #: Seconds between two of them connecting.
    pause: float = 0.0
    #: Of stalled ones: a small buffer, which is full soon, and for how long they read before they stop to.
    receive_buffer: int = 0
    reads_seconds: float = 0.0
    #: Of a sampled frame so many characters are kept, 0 for all.
    kept: int = 0

    def settings(self) -> str:
        return json.dumps(asdict(self))


def text_frame(text: str) -> bytes:
    """A short text frame as a client sends it, masked with zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + data


@dataclass
class Frames:
    """Takes a server's frames apart: `feed` gives the payloads of the text frames that are complete."""

    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        rest = self._rest
        rest += data
        whole = []
        while len(rest) >= 2:
            size, start = rest[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                if len(rest) < start:
                    break
                size = int.from_bytes(rest[2:start], "big")
            if len(rest) < start + size:
                break
            if rest[0] & 0x0F == 1:
                whole.append(bytes(rest[start : start + size]))
            del rest[: start + size]
        return whole


def opened(watching: Watching, receive_buffer: int = 0) -> tuple[socket.socket, bytes]:
    """A connected WebSocket, and what the server has already said in it."""
    parts = urlsplit(watching.url)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(60)
    sock.connect((parts.hostname, parts.port))
    head = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade"]
    head += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
    if watching.token:
        head.append(f"Authorization: token {watching.token}")
    if watching.subprotocol:
        head.append(f"Sec-WebSocket-Protocol: {watching.subprotocol}")
    sock.sendall("\r\n".join([*head, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = sock.recv(4096)
        if not more:
            raise ConnectionError(f"refused: {answer!r}")
        answer += more
    start, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in start.splitlines()[0]:
        raise ConnectionError(f"refused: {start!r}")
    if watching.says:
        sock.sendall(text_frame(watching.says))
    return sock, rest


class Drain:
    """All sockets of this process."""

    def __init__(self, watching: Watching) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._frames: dict[int, Frames] = {}
        self._stalled: list[socket.socket] = []
        self._seen: list[tuple[float, str]] = []
        self._bytes = self._closed = 0
        self._kept = watching.kept or None
        self._buffer = bytearray(1 << 18)
        self._pong_at = time.monotonic() + _PONG_SECONDS
        self._stall(watching)
        kinds = [False] * watching.drained + [True] * watching.sampled
        for sampled in kinds:
            sock, rest = opened(watching)
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            if sampled:
                self._frames[sock.fileno()] = Frames()
                self._frames[sock.fileno()].feed(rest)
            self._poll.register(sock, select.EPOLLIN)
            self._turn(0)
            time.sleep(watching.pause)

    def _stall(self, watching: Watching) -> None:
        self._stalled += [opened(watching, watching.receive_buffer)[0] for _ in range(watching.stalled)]
        until = time.monotonic() + watching.reads_seconds
        while self._stalled and time.monotonic() < until:
            for sock in select.select(self._stalled, [], [], 0.1)[0]:
                sock.recv_into(self._buffer)

    def run(self) -> None:
        commands = sys.stdin.fileno()
        self._poll.register(commands, select.EPOLLIN)
        while True:
            if self._turn(1.0, commands) and not self._obey(sys.stdin.readline().split()):
                return

    def _obey(self, words: list[str]) -> bool:
        if words[:1] == ["begin"]:
            self._seen, self._bytes = [], 0
        elif words[:1] == ["end"]:
            with open(words[1], "w") as file:  # noqa: PTH123 - nothing else is imported here
                json.dump(self._seen, file)
            print(json.dumps({"bytes": self._bytes, "closed": self._closed}), flush=True)
        else:
            return False
        return True

    def _turn(self, timeout: float, commands: int = -1) -> bool:
        """Read what is there; whether there is a command."""
        told = False
        for descriptor, _ in self._poll.poll(timeout):
            if descriptor == commands:
                told = True
            else:
                self._read(descriptor)
        if time.monotonic() > self._pong_at:
            self._pong_at = time.monotonic() + _PONG_SECONDS
            for sock in self._sockets.values():
                sock.send(_PONG)
        return told

    def _read(self, descriptor: int) -> None:
        try:
            size = self._sockets[descriptor].recv_into(self._buffer)
        except BlockingIOError:
            return
        except ConnectionError:
            size = 0
        if not size:
            self._closed += 1
            self._poll.unregister(descriptor)
            self._sockets.pop(descriptor).close()
            return
        self._bytes += size
        frames = self._frames.get(descriptor)
        if frames is not None:
            now = time.time()
            for payload in frames.feed(bytes(self._buffer[:size])):
                self._seen.append((now, payload[: self._kept].decode(errors="replace")))


def main() -> None:
    settings: dict[str, Any] = json.loads(sys.argv[1])
    drain = Drain(Watching(**settings))
    print("ready", flush=True)
    drain.run()


if __name__ == "__main__":
    main()
