"""The Flask application and its responses, with little around each request."""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.http import is_entity_header
from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from api.edge.transaction import transactional

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NO_SESSION = NullSession()


class NoSessions(SessionInterface):
    """There are no cookies, so nothing is looked for in them."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION


class Answer(Response):
    """A response that is sent as it is, where it is whole or a 304: Werkzeug would look for URLs to complete in it."""

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        if self.is_sequence and not self._on_close and environ['REQUEST_METHOD'] != 'HEAD':
            whole = cast(list[bytes], self.response)
            if self.status_code == HTTPStatus.OK and whole:
                start_response(self.status, list(self.headers))
                return whole
            if self.status_code == HTTPStatus.NOT_MODIFIED:
                start_response(self.status, [header for header in self.headers if not is_entity_header(header[0])])
                return []
        return super().__call__(environ, start_response)

    def add_unchecked(self, *headers: tuple[str, str]) -> None:
        """Adds headers whose values are known to be good: Werkzeug would look at each of them."""
        self.headers._list.extend(headers)


Starter = Callable[[Request], None]
Finisher = Callable[[Request, Answer], None]


class Application(Flask):
    """A Flask whose views run in the request's transaction.

    `starters` come before Flask's own functions and the view; what they raise is the answer. `finishers` complete every
    answer, errors too. Flask's own functions for that get to know the request by proxies, each time they look at it,
    and cost several times as much.
    """

    response_class = Answer
    session_interface = NoSessions()
    starters: Sequence[Starter] = ()
    finishers: Sequence[Finisher] = ()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Looks at the host once, and only where some are trusted: no rule asks for it, and no URL is made of it."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        if trusted := self.config['TRUSTED_HOSTS']:
            request.trusted_hosts = trusted
            request.host = get_host(environ, trusted)
        path = environ.get('PATH_INFO', '').encode('latin-1').decode(errors='replace')
        script, query = environ.get('SCRIPT_NAME', ''), environ.get('QUERY_STRING', '')
        return self.url_map.bind('', script, '', environ['wsgi.url_scheme'], request.method, path, query)

    def dispatch_request(self) -> ResponseReturnValue:
        return transactional(super().dispatch_request)

    def preprocess_request(self) -> ResponseReturnValue | None:
        current: Request = request._get_current_object()  # type: ignore[attr-defined]
        for start in self.starters:
            start(current)
        has_others = self.before_request_funcs or self.url_value_preprocessors
        return super().preprocess_request() if has_others else None

    def process_response(self, answer: Response) -> Response:
        current: Request = request._get_current_object()  # type: ignore[attr-defined]
        for finish in self.finishers:
            finish(current, cast(Answer, answer))
        return super().process_response(answer)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # None is asynchronous, and Flask asks of each at every call.
        return func
