"""Count the socket operations of a thread. Unlike durations, counts are the same on a busy machine."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

REQUESTS = ('connect', 'send', 'sendall')
RESPONSES = ('recv', 'recv_into')


class Trace:
    """The socket operations of a block.

    requests: number of connects and sends.
    waits: timeouts that expired, in seconds.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.waits: list[float] = []


class Tracer:
    """Traces the socket operations of Python code. A wait without a timeout fails, instead of hanging the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._local = threading.local()
        for name in REQUESTS + RESPONSES:
            monkeypatch.setattr(socket.socket, name, self._traced(name))

    @contextmanager
    def trace(self) -> Iterator[Trace]:
        """Trace the operations of the current thread in this block."""
        trace = self._local.trace = Trace()
        try:
            yield trace
        finally:
            del self._local.trace

    def _traced(self, name: str) -> Callable[..., Any]:
        original = getattr(socket.socket, name)

        def traced(connection: socket.socket, *args: Any) -> Any:
            trace: Trace | None = getattr(self._local, 'trace', None)
            if trace is None:
                return original(connection, *args)
            trace.requests += name in REQUESTS
            timeout = connection.gettimeout()
            assert timeout is not None, f'{name} without a timeout'
            try:
                return original(connection, *args)
            except TimeoutError:
                trace.waits.append(timeout)
                raise

        return traced
