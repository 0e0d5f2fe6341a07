"""Conditional requests (RFC 9110): `ETag`, `If-None-Match`, `If-Match`.

A strong tag is made of the bytes of the answer, so it is the same whatever token asks. Before that part it may have
another, of the members that their owner changes: `If-Match` is about these alone, because what else an answer shows
(counts, when somebody was last seen) changes with every reader. The weak tag of a page is made of the rows, so that
whoever polls it in vain does not have them dumped.
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
    return f'"{version(schema, rendered)}-{digest(body)}"' if schema.version_fields else f'"{digest(body)}"'


def weak_etag(*parts: Any) -> str:
    """The tag of what is made of these parts, which the encoder knows, by the contract of today."""
    return f'W/"{digest(encode_json([current_openapi_document().digest, *parts]))}"'


def version(schema: ResponseSchema, rendered: Any) -> str:
    return digest(encode_json([rendered.get(field) for field in schema.version_fields]))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def send_not_modified(request: Request, response: Response) -> None:
    """304 where the client has it as it is."""
    if 'HTTP_IF_NONE_MATCH' not in request.environ or response.status_code != HTTPStatus.OK:
        return
    etag = response.headers.get('ETag')
    if etag and matches_if_none_match(etag):
        response.status_code = HTTPStatus.NOT_MODIFIED


def matches_if_none_match(etag: str) -> bool:
    """Whether the client has what the tag stands for. A tag ends with its quotes, and none is a part of another."""
    header: str | None = request.environ.get('HTTP_IF_NONE_MATCH')
    return header is not None and (header.strip() == '*' or etag.removeprefix('W/') in header)


def conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    """For views that change or delete what GET shows at their URL: 412 where `If-Match` says that it was different.

    The innermost decorator: whatever else is wrong with the request comes first. The view reads and writes a snapshot
    of the database, and begins anew where somebody else changed what it is about to write.
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
    """412 where GET at this URL does not show, to this caller, what `If-Match` names."""
    adapter: MapAdapter = current_app.create_url_adapter(request)  # type: ignore[assignment]
    endpoint, arguments = adapter.match(method='GET')
    spec = view_spec(endpoint)
    current_version = version(spec['response'], spec['render'](**arguments))
    # Of an empty tag Werkzeug makes None.
    requested_versions = {(etag or '').partition('-')[0] for etag in request.if_match.as_set()}
    if not request.if_match.star_tag and current_version not in requested_versions:
        raise ApiError(PRECONDITION_FAILED)
