"""How many requests are worked on at a time.

The server has threads to spare, which wait for clients: they cost nothing, and bodies may come slowly. A request that
is there as a whole takes a turn, of which there are as many as `WEB_THREADS` says. Where turns are long, because the
database does not answer, the others are told to come again; whether the process lives can be asked all the time.
"""

from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from flask import Flask, Request

from api.errors import ApiError
from api.http.errors import RETRY_AFTER
from api.http.request_body import buffer_body
from api.problems import UNAVAILABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACQUIRE_TIMEOUT = 3
UNLIMITED_PATH = '/livez'
REJECTED = 'microblog.rejected'


class ConcurrencyLimiter:
    """The application, for so many requests at a time: who comes first is served first."""

    def __init__(self, app: 'WSGIApplication', limit: int, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.lock = Lock()
        self.available = limit
        self.waiting: deque[Lock] = deque()

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        buffer_body(environ, self.max_body_bytes)
        if environ['PATH_INFO'] == UNLIMITED_PATH:
            return self.app(environ, start_response)
        if not self.acquire():
            environ[REJECTED] = True
            return self.app(environ, start_response)
        try:
            return self.app(environ, start_response)
        finally:
            self.release()

    def acquire(self) -> bool:
        """Waits for a turn, and tells whether there was one."""
        with self.lock:
            if self.available:
                self.available -= 1
                return True
            waiter = Lock()
            waiter.acquire()
            self.waiting.append(waiter)
        if waiter.acquire(timeout=ACQUIRE_TIMEOUT):
            return True
        with self.lock:
            if waiter not in self.waiting:  # it was given just now
                return True
            self.waiting.remove(waiter)
            return False

    def release(self) -> None:
        """Hands the turn to whoever waits for longest."""
        with self.lock:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.available += 1


def limit_concurrency(app: Flask, limit: int, max_body_bytes: int) -> None:
    app.wsgi_app = ConcurrencyLimiter(app.wsgi_app, limit, max_body_bytes)  # type: ignore[method-assign]


def reject_over_limit(request: Request) -> None:
    if REJECTED in request.environ:
        raise ApiError(UNAVAILABLE, headers={'Retry-After': str(RETRY_AFTER)})
