"""The output of a job as it grows: read once for all who have read equally far, sent to each at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from ..jobs.output import Piece, read_log
from ..jobs.tracker import Tracker
from . import v1_frames as frames
from .sockets import AGAIN_SECONDS, Socket

#: The output has no doorbell: its size is looked at so often.
_LOOK_SECONDS = 0.25
#: Bytes in one frame: half of what may wait for a client, so that points find room beside it.
_FRAME_BYTES = 32 << 10
#: Who lags is far from where the others are, so few pieces are worth keeping.
_PIECES_KEPT = 4


class LogTail:
    """One job's output, for all who follow it. It is looked at while anybody does, and not else."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._path = tracker.job_dir.output_log
        self._size = 0
        self._readers = 0
        self._looking: asyncio.Task[None] | None = None
        self._pieces: dict[tuple[int, bool], asyncio.Task[Piece]] = {}
        self._frame: tuple[Piece, int, str] | None = None
        #: Grows whenever there is more to read, or it is known that there will be no more.
        self.version = 0
        self._grown = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing is written any more."""
        return self._tracker.job.status.ended

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Held by each who follows."""
        self._readers += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._looking.cancel()
                self._looking = None
                self._pieces.clear()
                self._frame = None

    async def piece(self, offset: int, *, final: bool) -> Piece:
        """What is there from `offset` on; who asks for the same shares one reading. Raises OSError."""
        reading = self._pieces.get((offset, final))
        if reading is None:
            work = asyncio.to_thread(read_log, self._path, offset, _FRAME_BYTES, final=final)
            reading = self._pieces[offset, final] = asyncio.get_running_loop().create_task(work)
            reading.add_done_callback(lambda done: self._read((offset, final), done))
            if len(self._pieces) > _PIECES_KEPT:
                del self._pieces[next(iter(self._pieces))]
        return await asyncio.shield(reading)

    def _read(self, which: tuple[int, bool], reading: asyncio.Task[Piece]) -> None:
        # A failure is not kept: the next one who asks tries again.
        if (reading.cancelled() or reading.exception() is not None) and self._pieces.get(which) is reading:
            del self._pieces[which]

    def frame(self, piece: Piece, seq: int) -> str:
        """The piece as a frame, built once for all who have the same number."""
        if self._frame is None or self._frame[:2] != (piece, seq):
            self._frame = (piece, seq, frames.log(seq, piece.offset, piece.next_offset, piece.text))
        return self._frame[2]

    def wake(self) -> None:
        """There is more, or the end of it."""
        self.version += 1
        self._pieces.clear()
        self._grown.set()
        self._grown = asyncio.Event()

    async def beyond(self, version: int) -> None:
        """Wait until there is more than there was at that version."""
        while self.version == version:
            await self._grown.wait()

    async def _look(self) -> None:
        while True:
            size = await asyncio.to_thread(self._size_now)
            if size != self._size:
                self._size = size
                self.wake()
            await asyncio.sleep(_LOOK_SECONDS)

    def _size_now(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return self._size


class LogFollower:
    """Sends one client all of the output from an offset on, and none of it twice.

    `seq` tells the number that the client's frames bear now; `on_done` is called whenever it has all there will be.
    """

    def __init__(
        self, tail: LogTail, socket: Socket, offset: int, *, seq: Callable[[], int], on_done: Callable[[], None]
    ) -> None:
        self._tail = tail
        self._socket = socket
        self._seq = seq
        self._on_done = on_done
        self._all_of: int | None = None
        self._task = asyncio.get_running_loop().create_task(self._follow(offset))

    @property
    def done(self) -> bool:
        """Whether the client has all of the output, and there will be no more."""
        return self._tail.over and self._all_of == self._tail.version

    def close(self) -> None:
        """The client left, or wants no more of it."""
        self._task.cancel()

    async def _follow(self, offset: int) -> None:
        with self._tail.reading():
            while await self._socket.drained():
                # Both are asked before reading: what changes meanwhile is not missed.
                version, over = self._tail.version, self._tail.over
                try:
                    piece = await self._tail.piece(offset, final=over)
                except OSError:
                    # A client that waits for the end is not kept waiting for what can't be read.
                    self._rest(version, over)
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                if not piece.text:
                    offset = piece.next_offset
                    self._rest(version, over)
                    await self._tail.beyond(version)
                elif self._socket.send(self._tail.frame(piece, self._seq())):
                    offset = piece.next_offset
                else:
                    await asyncio.sleep(AGAIN_SECONDS)

    def _rest(self, version: int, over: bool) -> None:
        if over:
            self._all_of = version
            self._on_done()
