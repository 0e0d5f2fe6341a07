"""Request bodies: strict JSON parsing, and buffering before the request runs."""

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
    """Return the JSON object in the body, for `@body(schema)`."""
    return parse_json_object(request, 'application/json', {})


@parser.location_loader('merge_patch')
def load_merge_patch(request: Request, schema: Schema) -> dict[str, Any]:
    """Return the JSON merge patch in the body, for `@body(schema, 'merge_patch', MERGE_PATCH)`."""
    return parse_json_object(request, MERGE_PATCH, {'Accept-Patch': MERGE_PATCH})


def read_body(request: Request) -> bytes:
    """Return the body. Raise 413 if it is over the limit."""
    data = request.get_data()
    # Without a Content-Length Werkzeug reads up to the limit and ignores the rest.
    if (
        len(data) == request.max_content_length
        and request.content_length is None
        and request.environ['wsgi.input'].read(1)
    ):
        raise ApiError(BODY_TOO_LARGE)
    return data


def parse_json_object(request: Request, mimetype: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raise 415 for another media type (with `headers`), 413 for a body over the limit, 400 if it is not a JSON object.
    """
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
    """Read the whole body before the request runs, so that no database connection or lock waits for a slow client.

    max_bytes: the limit for views. One more byte is kept, to detect a body over the limit. The rest, up to DRAIN_LIMIT,
    is read and dropped: if the server closes the connection while the client still sends, the client never gets the
    response.
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
    """Return up to 64 KiB; empty at the end, or if the client has disconnected."""
    try:
        return stream.read(64 * 1024)
    except ClientDisconnected:
        return b''


def close_truncated(request: Request, response: Response) -> None:
    """Close the connection after the response if the body was longer than DRAIN_LIMIT. After-request hook."""
    if request.environ.get(TRUNCATED):
        response.headers['Connection'] = 'close'
