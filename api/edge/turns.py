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

from api.edge.bodies import read_ahead
from api.edge.rendering import SECONDS_UNTIL_RETRY
from api.errors import ApiError
from api.problems import UNAVAILABLE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECONDS_TO_WAIT_FOR_A_TURN = 3
ASKS_NOBODY = '/livez'
NO_TURN = 'microblog.no_turn'


class Turns:
    """The application, for so many requests at a time: who comes first is served first."""

    def __init__(self, inner: 'WSGIApplication', turns: int, max_body: int) -> None:
        self.inner = inner
        self.max_body = max_body
        self.lock = Lock()
        self.free = turns
        self.waiting: deque[Lock] = deque()

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        read_ahead(environ, self.max_body)
        if environ['PATH_INFO'] == ASKS_NOBODY:
            return self.inner(environ, start_response)
        if not self.take():
            environ[NO_TURN] = True
            return self.inner(environ, start_response)
        try:
            return self.inner(environ, start_response)
        finally:
            self.give()

    def take(self) -> bool:
        """Waits for a turn, and tells whether there was one."""
        with self.lock:
            if self.free:
                self.free -= 1
                return True
            mine = Lock()
            mine.acquire()
            self.waiting.append(mine)
        if mine.acquire(timeout=SECONDS_TO_WAIT_FOR_A_TURN):
            return True
        with self.lock:
            if mine not in self.waiting:  # it was given just now
                return True
            self.waiting.remove(mine)
            return False

    def give(self) -> None:
        """Hands the turn to whoever waits for longest."""
        with self.lock:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.free += 1


def take_turns(app: Flask, turns: int, max_body: int) -> None:
    app.wsgi_app = Turns(app.wsgi_app, turns, max_body)  # type: ignore[method-assign]


def refuse_without_turn(request: Request) -> None:
    if NO_TURN in request.environ:
        raise ApiError(UNAVAILABLE, headers={'Retry-After': str(SECONDS_UNTIL_RETRY)})
