"""The Flask application, with little around each request."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue

from api.edge.transaction import transactional

Finisher = Callable[[Request, Response], None]
NO_SESSION = NullSession()


class NoSessions(SessionInterface):
    """There are no cookies, so nothing is looked for in them."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION


class Application(Flask):
    """A Flask whose views run in the request's transaction.

    `finishers` complete every answer, errors too, in their order. Flask's own functions for that get to know the
    request by proxies, each time they look at it, and cost several times as much.
    """

    session_interface = NoSessions()
    finishers: Sequence[Finisher] = ()

    def dispatch_request(self) -> ResponseReturnValue:
        return transactional(super().dispatch_request)

    def process_response(self, answer: Response) -> Response:
        current: Request = request._get_current_object()  # type: ignore[attr-defined]
        for finish in self.finishers:
            finish(current, answer)
        return super().process_response(answer)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # None is asynchronous, and Flask asks of each at every call.
        return func
