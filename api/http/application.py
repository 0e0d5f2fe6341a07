"""The Flask application and its response class, with little overhead per request."""

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
    """Sessions that are always empty: the API sets no cookies, so requests skip parsing them."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION


class ApiResponse(Response):
    """A response that skips Werkzeug's rewriting of URLs in headers if it is a complete 200 or a 304."""

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
        """Add headers without Werkzeug's validation of each value: the caller guarantees that they are valid."""
        self.headers._list.extend(headers)


BeforeRequestHook = Callable[[Request], None]
AfterRequestHook = Callable[[Request, ApiResponse], None]


class Application(Flask):
    """A Flask application that runs each view in a unit of work (see api.http.unit_of_work).

    `before_request_hooks` run before Flask's own hooks and the view; an exception that they raise becomes the response.
    `after_request_hooks` run for every response, errors included. Both get the request as an argument: Flask's hooks
    read it through proxies on each access, which costs several times as much.
    """

    response_class = ApiResponse
    session_interface = NullSessionInterface()
    before_request_hooks: Sequence[BeforeRequestHook] = ()
    after_request_hooks: Sequence[AfterRequestHook] = ()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the URL adapter.

        The host is read only to check TRUSTED_HOSTS: no route depends on it, and no URL is built from it.
        """
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
        # No view is asynchronous, and Flask would check each one at every call.
        return func
