"""Limit the number of requests that run at the same time.

The server has more threads than `WEB_THREADS`: the extra ones wait for slow clients to send their bodies, which costs
little. A request acquires one of `WEB_THREADS` slots when its body is complete. If no slot becomes free in time, for
example because the database does not respond, the request gets 503. The liveness check needs no slot.
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
    """WSGI middleware that runs at most `limit` requests at a time, in order of arrival."""

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
        """Acquire a slot, and return False if none is free within ACQUIRE_TIMEOUT seconds."""
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
            if waiter not in self.waiting:  # release() passed the slot on after the timeout
                return True
            self.waiting.remove(waiter)
            return False

    def release(self) -> None:
        """Pass the slot to the request that has waited longest, if any."""
        with self.lock:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.available += 1


def limit_concurrency(app: Flask, limit: int, max_body_bytes: int) -> None:
    app.wsgi_app = ConcurrencyLimiter(app.wsgi_app, limit, max_body_bytes)  # type: ignore[method-assign]


def reject_over_limit(request: Request) -> None:
    """Raise 503 with `Retry-After` for a request that got no slot."""
    if REJECTED in request.environ:
        raise ApiError(UNAVAILABLE, headers={'Retry-After': str(RETRY_AFTER)})
