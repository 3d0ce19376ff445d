"""A thread for a call that may block for as long as it likes: one thread, one call at a time.

Not a ThreadPoolExecutor, because Python joins an executor's threads before it exits: a driver that never
answers would keep the server from ending.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker(Generic[T]):
    """Makes the call `work` in a daemon thread, whenever it is asked.

    The thread starts with the first `ask`. After ``linger_seconds`` without another it calls `rest`, which
    puts down what `work` holds, and ends; so `work` and `rest` never run at the same time, and an idle worker
    is no thread.
    """

    def __init__(self, work: Callable[[], T], rest: Callable[[], None], *, name: str, linger_seconds: float) -> None:
        self._work = work
        self._rest = rest
        self._name = name
        self._linger_seconds = linger_seconds
        self._changed = threading.Condition()
        self._asked: Future[T] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = _running_future()

    def ask(self) -> Future[T]:
        """The outcome, to come, of one call of `work`.

        Raises RuntimeError while the last one asked for is outstanding, and after `stop`.
        """
        with self._changed:
            if self._asked is not None or self._stopping:
                raise RuntimeError("The worker is busy or has been stopped")
            asked: Future[T] = _running_future()
            self._asked = asked
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
            return asked

    def stop(self) -> Future[None]:
        """End the thread, after the call that it is in; done when `rest` has been called too."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
            if self._thread is None and not self._ended.done():
                self._ended.set_result(None)
        return self._ended

    def _live(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._stopping, timeout=self._linger_seconds)
                asked = self._asked
            if asked is not None:
                self._answer(asked)
                continue
            try:
                self._rest()
            except Exception:
                log.exception("%s could not put down what it held", self._name)
            with self._changed:
                if self._asked is None:
                    self._thread = None
                    if self._stopping:
                        self._ended.set_result(None)
                    return

    def _answer(self, asked: Future[T]) -> None:
        try:
            result = self._work()
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            settle: Callable[[], None] = partial(asked.set_exception, error)
        else:
            settle = partial(asked.set_result, result)
        with self._changed:
            self._asked = None
        settle()


def _running_future() -> Future[T]:
    """A future that nobody can cancel, so that setting its result never fails."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    return future
