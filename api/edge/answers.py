"""Answers: what views return becomes JSON, in the one form and with the headers that all answers have."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

from flask import Response, request

from api.edge.application import Answer
from api.edge.conditional import entity_tag
from api.edge.idempotency import once
from api.edge.negotiation import JSON, PART, demand_acceptable
from api.edge.sparse import wanted
from api.edge.views import note
from api.errors import NotFoundError
from api.queries.query import Query, by_names
from api.schemas.base import ResponseSchema, encode

NO_CONTENT = '', 204


def response(
    schema: type[ResponseSchema], status_code: int = 200, foreseen: Callable[..., Query] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """For views that return a query, which is run for just the members that the schema has, or something to dump.

    No row is 404. A 201 says with `Location` where the new resource is: at its `self` link. A GET takes `fields` and
    has a strong `ETag`; a POST takes an `Idempotency-Key`.

    foreseen: what a GET mostly returns, for the arguments that its URL has. It is read together with the caller.
    """
    instance, foresee = schema(), by_names(foreseen)

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        def represent(**kwargs: Any) -> Any:
            return dump(instance, view(**kwargs))

        note(view, response=instance, status_code=status_code, description=None, represent=represent)
        if foreseen:
            note(view, foresee=lambda arguments: cast(Query, foresee(arguments)).only(instance.members))

        def answer(*args: Any, **kwargs: Any) -> Response:
            shape = wanted(instance)
            return respond(shape, dump(shape, view(*args, **kwargs)), status_code)

        @wraps(view)
        def answer_once(*args: Any, **kwargs: Any) -> Response:
            if is_read():
                return answer(*args, **kwargs)
            demand_acceptable()
            return once(lambda: answer(*args, **kwargs)) if request.method == 'POST' else answer(*args, **kwargs)

        return answer_once

    return decorate


def respond(shape: ResponseSchema, dumped: Any, status_code: int = 200) -> Response:
    """406 for a read whose client accepts nothing of it: here, because what does not exist is 404 whoever asks how."""
    reads = is_read()
    if reads:
        demand_acceptable()
    body = encode(dumped)
    answer = json_of(shape, body, status_code)
    if status_code == HTTPStatus.CREATED:
        answer.headers['Location'] = dumped['_links']['self']
    elif status_code == HTTPStatus.OK and (reads or request.method == 'PATCH'):
        answer.add_unchecked(('ETag', entity_tag(shape, dumped, body)))
    return answer


def json_of(shape: ResponseSchema, body: bytes, status_code: int = 200) -> Answer:
    return Answer(body, status_code, content_type=JSON if shape.only is None else PART)


def is_read() -> bool:
    return request.method in ('GET', 'HEAD')


def dump(shape: ResponseSchema, answer: Any) -> Any:
    """What the view's answer is to clients."""
    return shape.compiled(one(answer, shape.members) if isinstance(answer, Query) else answer)


def found(query: Query) -> tuple[str, int]:
    """204 where the query has a row, else 404."""
    if query.first() is None:
        raise NotFoundError
    return NO_CONTENT


def one(query: Query, members: tuple[str, ...]) -> Any:
    """The query's row, or 404."""
    row = query.only(members).first()
    if row is None:
        raise NotFoundError
    return row
