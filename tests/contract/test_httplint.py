"""Tests of real responses with httplint, the library of REDbot."""

import http.client
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import pytest
from flask import Flask
from httplint import HttpRequestLinter, HttpResponseLinter, Note, levels

from config import Settings
from support.servers import Server, start_server
from tests.support.world import EXAMPLE_REQUESTS, Operation, World, call

# The warnings that are accepted, and why.
ACCEPTED_WARNINGS = {
    'STATUS_BAD_REQUEST': 'reported for every 400, because that is what the status means',
    'STORE_PUBLIC_UNNECESSARY': 'for the static files of /docs: shared caches may store them, as Flask says',
}
PAGES = [
    '/',
    '/livez',
    '/api/me',
    '/api/users',
    '/api/posts',
    '/docs',
    '/docs/assets/swagger-ui.css',
    '/apispec.json',
    '/problems/not-found',
    '/.well-known/api-catalog',
]
TEXT = '{"text": "hello"}'
# By status: method, path, headers and body of a request that returns it
FAILURES: dict[int, tuple[str, str, dict[str, str], str]] = {
    400: ('POST', '/api/posts', {}, '{}'),
    401: ('GET', '/api/users', {}, ''),
    404: ('GET', '/api/users/0', {}, ''),
    405: ('DELETE', '/api/users', {}, ''),
    406: ('GET', '/api/users', {'Accept': 'image/png'}, ''),
    412: ('PUT', '/api/posts/{post}', {'If-Match': '"another"'}, TEXT),
    415: ('PATCH', '/api/posts/{post}', {'Content-Type': 'text/plain'}, TEXT),
}

pytestmark = pytest.mark.parametrize('database_url', ['sqlite'], indirect=True, scope='session')


class Exchange(NamedTuple):
    """A request to a real server and its response."""

    method: str
    target: str
    sent: dict[str, str]
    version: int
    status_code: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes

    def __enter__(self) -> 'Exchange':
        return self

    def __exit__(self, *about: object) -> None:
        pass

    def get_data(self) -> bytes:
        return self.body

    def header(self, name: str) -> str:
        return dict(self.fields)[name]

    def notes(self) -> list[Note]:
        """Return the notes of httplint about the response."""
        request = HttpRequestLinter()
        request.process_request_topline(self.method.encode(), f'http://localhost{self.target}'.encode(), b'1.1')
        request.process_headers([(name.encode(), value.encode()) for name, value in self.sent.items()])
        response = HttpResponseLinter(start_time=time.time(), _related=request)
        response.base_uri = f'http://localhost{self.target}'
        response.is_head_response = self.method == 'HEAD'
        response.process_response_topline(b'1.1', str(self.status_code).encode(), self.reason.encode())
        response.process_headers([(name.encode(), value.encode('latin-1')) for name, value in self.fields])
        response.feed_content(self.body)
        response.finish_content(complete=True)
        return [item for note in response.notes for item in (note, *note.subnotes)]


class Wire:
    """A client for `call` that sends requests over a connection to a server."""

    def __init__(self, server: Server):
        self.server = server

    def open(
        self, path: str, *, method: str = 'GET', query_string: Any = None, headers: Any = None, **body: Any
    ) -> Any:
        target = f'{path}?{urlencode(query_string)}' if query_string else path
        sent = dict(headers or {})
        if 'content_type' in body:
            sent['Content-Type'] = body['content_type']
        connection = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=120)
        try:
            connection.request(method, target, body.get('data'), sent)
            response = connection.getresponse()
            fields = list(response.headers.raw_items())
            return Exchange(
                method, target, sent, response.version, response.status, response.reason, fields, response.read()
            )
        finally:
            connection.close()


@pytest.fixture(scope='module')
def wire(starts_processes: None, migrated_app: Flask, settings: Settings) -> Iterator[Wire]:
    """Yield a client of a server that serves these tests only, so that other tests do not use up its rate limits."""
    with start_server(settings.database_url, RATELIMIT_ENABLED='true') as server:
        yield Wire(server)


@pytest.fixture
def world(app: Flask, make_world: Any) -> World:
    built: World = make_world()
    return built


@pytest.fixture
def token(world: World) -> dict[str, str]:
    return {'Authorization': f'Bearer {world.callers[0].token}'}


def check(exchange: Exchange, status: int) -> None:
    """Fail if the status differs, or if httplint reports an error or a warning that is not accepted."""
    assert exchange.status_code == status, exchange.body
    found = [note for note in exchange.notes() if note.level in (levels.BAD, levels.WARN)]
    unaccepted = [note for note in found if note.level == levels.BAD or type(note).__name__ not in ACCEPTED_WARNINGS]
    assert not unaccepted, [f'{type(note).__name__}: {note.summary}' for note in unaccepted]


@pytest.mark.parametrize('id', EXAMPLE_REQUESTS)
def test_every_operation_passes_httplint(wire: Any, operations: dict[str, Operation], world: World, id: str) -> None:
    exchange = call(wire, operations[id], EXAMPLE_REQUESTS[id], world.callers[0], world)
    check(cast(Any, exchange), EXAMPLE_REQUESTS[id].status)


@pytest.mark.parametrize('path', PAGES)
def test_every_page_passes_httplint(wire: Wire, token: dict[str, str], path: str) -> None:
    full = wire.open(path, headers=token)
    status = 302 if path == '/' else 200
    check(full, status)
    check(wire.open(path, headers=token, method='HEAD'), status)
    check(wire.open(path, headers=token, method='OPTIONS'), 200)
    tag = dict(full.fields).get('etag')
    assert tag or status == 302 or full.header('cache-control') == 'no-store'
    if tag:
        check(wire.open(path, headers={**token, 'If-None-Match': tag}), 304)


@pytest.mark.parametrize('accept', ['application/json', 'application/problem+json'])
@pytest.mark.parametrize('status', FAILURES)
def test_every_error_passes_httplint(wire: Wire, world: World, token: dict[str, str], status: int, accept: str) -> None:
    method, path, headers, body = FAILURES[status]
    sent = {'Accept': accept, **({} if status == 401 else token), **headers}
    data = {'data': body, 'content_type': headers.get('Content-Type', 'application/json')} if body else {}
    check(wire.open(path.format(post=world.post), method=method, headers=sent, **data), status)


def test_error_pages_and_favicon_pass_httplint(wire: Wire) -> None:
    check(wire.open('/nowhere', headers={'Accept': 'text/html'}), 404)
    preflight = {'Origin': 'https://app.example', 'Access-Control-Request-Method': 'POST'}
    check(wire.open('/api/users', method='OPTIONS', headers=preflight), 200)


def test_429_passes_httplint(wire: Wire) -> None:
    body = {'data': '{"email": "user@example.com"}', 'content_type': 'application/json'}
    for _ in range(5):
        check(wire.open('/api/password-resets', method='POST', **body), 202)
    check(wire.open('/api/password-resets', method='POST', **body), 429)
