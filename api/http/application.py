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

from api.http.unit_of_work import unit_of_work

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NO_SESSION = NullSession()


class NullSessionInterface(SessionInterface):
    """There are no cookies, so nothing is looked for in them."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION


class ApiResponse(Response):
    """A response that is sent as it is, where it is whole or a 304: Werkzeug would look for URLs to complete in it."""

    def __call__(self, environ: 'WSGIEnvironment', start_response: 'StartResponse') -> Iterable[bytes]:
        if self.is_sequence and not self._on_close and environ['REQUEST_METHOD'] != 'HEAD':
            body = cast(list[bytes], self.response)
            if self.status_code == HTTPStatus.OK and body:
                start_response(self.status, list(self.headers))
                return body
            if self.status_code == HTTPStatus.NOT_MODIFIED:
                start_response(self.status, [header for header in self.headers if not is_entity_header(header[0])])
                return []
        return super().__call__(environ, start_response)

    def add_unchecked(self, *headers: tuple[str, str]) -> None:
        """Adds headers whose values are known to be good: Werkzeug would look at each of them."""
        self.headers._list.extend(headers)


BeforeRequestHook = Callable[[Request], None]
AfterRequestHook = Callable[[Request, ApiResponse], None]


class Application(Flask):
    """A Flask whose views run in the request's transaction.

    `before_request_hooks` come before Flask's own functions and the view; what they raise
    is the response. `after_request_hooks` complete every response, errors too.
     Flask's own functions for that get to know the request by proxies, each time they look at it,
    and cost several times as much.
    """

    response_class = ApiResponse
    session_interface = NullSessionInterface()
    before_request_hooks: Sequence[BeforeRequestHook] = ()
    after_request_hooks: Sequence[AfterRequestHook] = ()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Looks at the host once, and only where some are trusted: no rule asks for it, and no URL is made of it."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        if trusted_hosts := self.config['TRUSTED_HOSTS']:
            request.trusted_hosts = trusted_hosts
            request.host = get_host(environ, trusted_hosts)
        path = environ.get('PATH_INFO', '').encode('latin-1').decode(errors='replace')
        script, query = environ.get('SCRIPT_NAME', ''), environ.get('QUERY_STRING', '')
        return self.url_map.bind('', script, '', environ['wsgi.url_scheme'], request.method, path, query)

    def dispatch_request(self) -> ResponseReturnValue:
        return unit_of_work(super().dispatch_request)

    def preprocess_request(self) -> ResponseReturnValue | None:
        current_request: Request = request._get_current_object()  # type: ignore[attr-defined]
        for hook in self.before_request_hooks:
            hook(current_request)
        has_flask_hooks = self.before_request_funcs or self.url_value_preprocessors
        return super().preprocess_request() if has_flask_hooks else None

    def process_response(self, response: Response) -> Response:
        current_request: Request = request._get_current_object()  # type: ignore[attr-defined]
        for hook in self.after_request_hooks:
            hook(current_request, cast(ApiResponse, response))
        return super().process_response(response)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # None is asynchronous, and Flask asks of each at every call.
        return func
