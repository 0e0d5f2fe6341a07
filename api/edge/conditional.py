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

from api.edge.contract import contract_of_app
from api.edge.views import note, notes_of
from api.errors import ApiError
from api.extensions import db
from api.problems import CHANGED_MEANWHILE
from api.schemas.base import ResponseSchema, encode

DIGEST_LENGTH = 24
SERIALIZATION_FAILURE = '40001'
MOST_ATTEMPTS = 10


def entity_tag(shape: ResponseSchema, dumped: Any, body: bytes) -> str:
    return f'"{state(shape, dumped)}-{digest(body)}"' if shape.steady else f'"{digest(body)}"'


def weak_tag(*parts: Any) -> str:
    """The tag of what is made of these parts, which the encoder knows, by the contract of today."""
    return f'W/"{digest(encode([contract_of_app().digest, *parts]))}"'


def state(shape: ResponseSchema, dumped: Any) -> str:
    return digest(encode([dumped.get(member) for member in shape.steady]))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def answer_unchanged(request: Request, answer: Response) -> None:
    """304 where the client has it as it is."""
    if 'HTTP_IF_NONE_MATCH' not in request.environ or answer.status_code != HTTPStatus.OK:
        return
    tag = answer.headers.get('ETag')
    if tag and is_known(tag):
        answer.status_code = HTTPStatus.NOT_MODIFIED


def is_known(tag: str) -> bool:
    """Whether the client has what the tag stands for. A tag ends with its quotes, and none is a part of another."""
    known: str | None = request.environ.get('HTTP_IF_NONE_MATCH')
    return known is not None and (known.strip() == '*' or tag.removeprefix('W/') in known)


def conditional(view: Callable[..., Any]) -> Callable[..., Any]:
    """For views that change or delete what GET shows at their URL: 412 where `If-Match` says that it was different.

    The innermost decorator: whatever else is wrong with the request comes first. The view reads and writes a snapshot
    of the database, and begins anew where somebody else changed what it is about to write.
    """
    note(view, conditional=True)

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if 'If-Match' not in request.headers:
            return view(*args, **kwargs)
        db.session.info['snapshot'] = True
        attempts = 0
        while True:
            attempts += 1
            try:
                demand_match()
                return view(*args, **kwargs)
            except OperationalError as error:
                if attempts == MOST_ATTEMPTS or getattr(error.orig, 'sqlstate', None) != SERIALIZATION_FAILURE:
                    raise
                db.session.rollback()

    return checked


def demand_match() -> None:
    """412 where GET at this URL does not show, to this caller, what `If-Match` names."""
    adapter: MapAdapter = current_app.create_url_adapter(request)  # type: ignore[assignment]
    endpoint, arguments = adapter.match(method='GET')
    notes = notes_of(endpoint)
    now = state(notes['response'], notes['represent'](**arguments))
    # Of an empty tag Werkzeug makes None.
    named = {(tag or '').partition('-')[0] for tag in request.if_match.as_set()}
    if not request.if_match.star_tag and now not in named:
        raise ApiError(CHANGED_MEANWHILE)
