"""Bodies: JSON, read strictly, before a schema sees it."""

from typing import IO, Any

import orjson
from apifairy.decorators import parser
from flask import Request, Response
from marshmallow import Schema
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from api.errors import ApiError
from api.problems import BODY_TOO_LARGE, MALFORMED_BODY, WRONG_MEDIA_TYPE

DRAIN_LIMIT = 2 * 1024 * 1024
MERGE_PATCH = 'application/merge-patch+json'


@parser.location_loader('json')
def load_json(request: Request, schema: Schema) -> dict[str, Any]:
    """The object in the body, for `@body(schema)`."""
    return read_object(request, 'application/json', {})


@parser.location_loader('merge_patch')
def load_merge_patch(request: Request, schema: Schema) -> dict[str, Any]:
    """The same in a PATCH, for `@body(schema, 'merge_patch', MERGE_PATCH)`."""
    return read_object(request, MERGE_PATCH, {'Accept-Patch': MERGE_PATCH})


def whole_body(request: Request) -> bytes:
    data = request.get_data()
    # Where no length was announced, Werkzeug reads up to the limit and leaves the rest.
    if (
        len(data) == request.max_content_length
        and request.content_length is None
        and request.environ['wsgi.input'].read(1)
    ):
        raise ApiError(BODY_TOO_LARGE)
    return data


def read_object(request: Request, mimetype: str, headers: dict[str, str]) -> dict[str, Any]:
    """415 for another media type, 413 for a body over the limit, 400 for what is no JSON object."""
    if request.mimetype != mimetype:
        raise ApiError(WRONG_MEDIA_TYPE, f'the body must be {mimetype}', headers=headers)
    try:
        loaded = orjson.loads(whole_body(request))
    except orjson.JSONDecodeError as error:
        raise ApiError(MALFORMED_BODY) from error
    if not isinstance(loaded, dict):
        raise ApiError(MALFORMED_BODY, 'the body must be a JSON object')
    return loaded


def drain(request: Request, answer: Response) -> None:
    """Reads what the view left of the body, lest the server breaks the connection before the client has the answer.

    A client that sends more than the limit is cut off all the same.
    """
    if request.content_length or 'Transfer-Encoding' in request.headers:
        try:
            stream = request.stream
        except RequestEntityTooLarge:
            stream = get_input_stream(request.environ)
        left = DRAIN_LIMIT
        while left > 0 and (chunk := read_on(stream)):
            left -= len(chunk)
        if left <= 0:
            answer.headers['Connection'] = 'close'


def read_on(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(64 * 1024)
    except (ClientDisconnected, RequestEntityTooLarge):
        return b''
