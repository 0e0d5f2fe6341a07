"""Call applications in this process like a server does, through WSGI or ASGI."""

import asyncio
import io
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

HOST = '127.0.0.1'
Request = dict[str, Any]


class Answer(NamedTuple):
    status: int
    type: str
    body: str


Repeat = Callable[[Request, int], Answer]


def wsgi(app: Any) -> Repeat:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        started[:] = status, headers

    def call(environ: dict[str, Any], body: bytes) -> bytes:
        response = app({**environ, 'wsgi.input': io.BytesIO(body)}, start_response)
        try:
            return b''.join(response)
        finally:
            if hasattr(response, 'close'):
                response.close()

    def repeat(request: Request, times: int) -> Answer:
        environ, body = environ_of(request), (request['body'] or '').encode()
        for _ in range(times):
            content = call(environ, body)
        status, headers = started
        return Answer(int(status.split()[0]), type_of(headers), content.decode())

    return repeat


def environ_of(request: Request) -> dict[str, Any]:
    path, _, query = request['path'].partition('?')
    environ = {
        'REQUEST_METHOD': request['method'],
        'SCRIPT_NAME': '',
        'PATH_INFO': path,
        'QUERY_STRING': query,
        'SERVER_NAME': HOST,
        'SERVER_PORT': '5000',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': HOST,
        'HTTP_HOST': f'{HOST}:5000',
        'HTTP_ACCEPT': '*/*',
        'HTTP_AUTHORIZATION': f'Bearer {request["token"]}',
        'wsgi.version': (1, 0),
        'wsgi.url_scheme': 'http',
        'wsgi.errors': sys.stderr,
        'wsgi.multithread': True,
        'wsgi.multiprocess': False,
        'wsgi.run_once': False,
    }
    if request['body'] is not None:
        environ |= {'CONTENT_TYPE': 'application/json', 'CONTENT_LENGTH': str(len(request['body'].encode()))}
    return environ


def asgi(app: Any) -> Repeat:
    """Call an ASGI application on uvloop, the event loop that servers use."""
    import uvloop

    loop = uvloop.new_event_loop()
    lifespan = loop.run_until_complete(start(app, loop))

    async def call(scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
        waiting = [{'type': 'http.disconnect'}, {'type': 'http.request', 'body': body, 'more_body': False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app({**scope, 'state': {}}, receive, send)
        return sent

    async def several(request: Request, times: int) -> Answer:
        scope, body = scope_of(request), (request['body'] or '').encode()
        for _ in range(times):
            sent = await call(scope, body)
        headers = [(name.decode(), value.decode()) for name, value in sent[0]['headers']]
        content = b''.join(message.get('body', b'') for message in sent)
        return Answer(sent[0]['status'], type_of(headers), content.decode())

    def repeat(request: Request, times: int) -> Answer:
        assert not lifespan.done()
        return loop.run_until_complete(several(request, times))

    return repeat


async def start(app: Any, loop: Any) -> 'asyncio.Task[None]':
    """Start the lifespan of the application, which lasts until the process ends."""
    started: asyncio.Future[str] = loop.create_future()
    messages = [{'type': 'lifespan.startup'}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await loop.create_future()

    async def send(message: dict[str, Any]) -> None:
        started.set_result(message['type'])

    running = loop.create_task(app({'type': 'lifespan', 'asgi': {'version': '3.0'}, 'state': {}}, receive, send))
    assert await started == 'lifespan.startup.complete'
    return running


def scope_of(request: Request) -> dict[str, Any]:
    path, _, query = request['path'].partition('?')
    headers = {'host': f'{HOST}:5000', 'accept': '*/*', 'authorization': f'Bearer {request["token"]}'}
    if request['body'] is not None:
        headers |= {'content-type': 'application/json', 'content-length': str(len(request['body'].encode()))}
    return {
        'type': 'http',
        'asgi': {'version': '3.0', 'spec_version': '2.3'},
        'http_version': '1.1',
        'method': request['method'],
        'scheme': 'http',
        'path': path,
        'raw_path': path.encode(),
        'query_string': query.encode(),
        'root_path': '',
        'headers': [(name.encode(), value.encode()) for name, value in headers.items()],
        'client': (HOST, 50_000),
        'server': (HOST, 5000),
    }


def type_of(headers: Iterable[tuple[str, str]]) -> str:
    return next(value for name, value in headers if name.lower() == 'content-type')
