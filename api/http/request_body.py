"""Bodies: JSON, read strictly, before a schema sees it."""

from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import orjson
from apifairy.decorators import parser
from flask import Request, Response
from marshmallow import Schema
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from api.errors import ApiError
from api.problems import BODY_TOO_LARGE, MALFORMED_BODY, UNSUPPORTED_MEDIA_TYPE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

DRAIN_LIMIT = 2 * 1024 * 1024
TRUNCATED = 'microblog.truncated'
MERGE_PATCH = 'application/merge-patch+json'


@parser.location_loader('json')
def load_json(request: Request, schema: Schema) -> dict[str, Any]:
    """The object in the body, for `@body(schema)`."""
    return parse_json_object(request, 'application/json', {})


@parser.location_loader('merge_patch')
def load_merge_patch(request: Request, schema: Schema) -> dict[str, Any]:
    """The same in a PATCH, for `@body(schema, 'merge_patch', MERGE_PATCH)`."""
    return parse_json_object(request, MERGE_PATCH, {'Accept-Patch': MERGE_PATCH})


def read_body(request: Request) -> bytes:
    data = request.get_data()
    # Where no length was announced, Werkzeug reads up to the limit and leaves the rest.
    if (
        len(data) == request.max_content_length
        and request.content_length is None
        and request.environ['wsgi.input'].read(1)
    ):
        raise ApiError(BODY_TOO_LARGE)
    return data


def parse_json_object(request: Request, mimetype: str, headers: dict[str, str]) -> dict[str, Any]:
    """415 for another media type, 413 for a body over the limit, 400 for what is no JSON object."""
    if request.mimetype != mimetype:
        raise ApiError(UNSUPPORTED_MEDIA_TYPE, f'the body must be {mimetype}', headers=headers)
    try:
        value = orjson.loads(read_body(request))
    except orjson.JSONDecodeError as error:
        raise ApiError(MALFORMED_BODY) from error
    if not isinstance(value, dict):
        raise ApiError(MALFORMED_BODY, 'the body must be a JSON object')
    return value


def buffer_body(environ: 'WSGIEnvironment', max_bytes: int) -> None:
    """Reads the body before anything is done for the request, so that nothing has to wait for a slow client.

    most: the bytes that a view may see. One more is kept, which tells that there were more; the others are dropped, for
    a connection that is broken before the client has sent everything is one on which it never sees the answer.
    """
    if not environ.get('CONTENT_LENGTH') and 'HTTP_TRANSFER_ENCODING' not in environ:
        return
    stream, buffered, remaining = get_input_stream(environ), bytearray(), DRAIN_LIMIT
    while remaining > 0 and (chunk := read_chunk(stream)):
        buffered += chunk[: max_bytes + 1 - len(buffered)]
        remaining -= len(chunk)
    environ['wsgi.input'] = BytesIO(buffered)
    environ[TRUNCATED] = remaining <= 0


def read_chunk(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(64 * 1024)
    except ClientDisconnected:
        return b''


def close_truncated(request: Request, response: Response) -> None:
    """Where a client sends more than anybody would read, the connection ends with the answer."""
    if request.environ.get(TRUNCATED):
        response.headers['Connection'] = 'close'
