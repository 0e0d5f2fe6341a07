"""Conditional requests (RFC 9110): `ETag`, `If-None-Match`, `If-Match`.

A strong tag is a digest of the response body, so it does not depend on the token. Some tags have a first part, the
version: a digest of the fields that their owner changes. `If-Match` compares only the version, because other fields
(counts, `last_seen`) change with every reader. The weak tag of a page is a digest of its rows, so that a 304 does not
need to serialize them.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Request, Response, current_app, request
from sqlalchemy.exc import OperationalError
from werkzeug.routing import MapAdapter

from api.db.session import db
from api.errors import ApiError
from api.http.openapi.document import current_openapi_document
from api.http.view_spec import annotate, view_spec
from api.problems import PRECONDITION_FAILED
from api.schemas.base import ResponseSchema, encode_json

DIGEST_LENGTH = 24
SERIALIZATION_FAILURE = '40001'
MAX_ATTEMPTS = 10


def strong_etag(schema: ResponseSchema, rendered: Any, body: bytes) -> str:
    """Return `"<version>-<digest of the body>"`, or `"<digest of the body>"` if the schema has no version fields."""
    return f'"{version(schema, rendered)}-{digest(body)}"' if schema.version_fields else f'"{digest(body)}"'


def weak_etag(*parts: Any) -> str:
    """Return the weak tag of a response that depends only on JSON-serializable parts and the OpenAPI document."""
    return f'W/"{digest(encode_json([current_openapi_document().digest, *parts]))}"'


def version(schema: ResponseSchema, rendered: Any) -> str:
    """Return a digest of the fields that define the version of the resource."""
    return digest(encode_json([rendered.get(field) for field in schema.version_fields]))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def send_not_modified(request: Request, response: Response) -> None:
    """Turn a 200 into a 304 if `If-None-Match` names its `ETag`. After-request hook."""
    if 'HTTP_IF_NONE_MATCH' not in request.environ or response.status_code != HTTPStatus.OK:
        return
    etag = response.headers.get('ETag')
    if etag and matches_if_none_match(etag):
        response.status_code = HTTPStatus.NOT_MODIFIED


def matches_if_none_match(etag: str) -> bool:
    """Return whether `If-None-Match` is `*` or contains the tag.

    A substring search is enough: a tag includes its quotes, so no tag is part of another.
    """
    header: str | None = request.environ.get('HTTP_IF_NONE_MATCH')
    return header is not None and (header.strip() == '*' or etag.removeprefix('W/') in header)


def conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view that changes or deletes the resource of its URL: raise 412 if `If-Match` names another version.

    Place it innermost, so that every other error takes precedence. With `If-Match` the view runs in a snapshot
    transaction, and is retried, up to MAX_ATTEMPTS runs in total, if a concurrent transaction changed the same row.
    """
    annotate(view, conditional=True)

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if 'If-Match' not in request.headers:
            return view(*args, **kwargs)
        db.session.info['snapshot'] = True
        attempts = 0
        while True:
            attempts += 1
            try:
                check_precondition()
                return view(*args, **kwargs)
            except OperationalError as error:
                if attempts == MAX_ATTEMPTS or getattr(error.orig, 'sqlstate', None) != SERIALIZATION_FAILURE:
                    raise
                db.session.rollback()

    return wrapper


def check_precondition() -> None:
    """Raise 412 if `If-Match` does not name the version that GET at this URL would return to this caller."""
    adapter: MapAdapter = current_app.create_url_adapter(request)  # type: ignore[assignment]
    endpoint, arguments = adapter.match(method='GET')
    spec = view_spec(endpoint)
    current_version = version(spec['response'], spec['render'](**arguments))
    # Werkzeug parses an empty tag as None.
    requested_versions = {(etag or '').partition('-')[0] for etag in request.if_match.as_set()}
    if not request.if_match.star_tag and current_version not in requested_versions:
        raise ApiError(PRECONDITION_FAILED)
