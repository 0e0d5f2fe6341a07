"""What a thread asks of the network, counted: unlike the time that it takes, it is the same on a busy machine."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

REQUESTS = ('connect', 'send', 'sendall')
RESPONSES = ('recv', 'recv_into')


class Trace:
    """requests: how often a connection was opened or something sent. waits: the timeouts that ended, in seconds."""

    def __init__(self) -> None:
        self.requests = 0
        self.waits: list[float] = []


class Tracer:
    """Traces what Python code does with sockets. A wait without a timeout is an error instead of a test that hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._local = threading.local()
        for name in REQUESTS + RESPONSES:
            monkeypatch.setattr(socket.socket, name, self._traced(name))

    @contextmanager
    def trace(self) -> Iterator[Trace]:
        """Trace what the current thread does in this block."""
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
