"""Answers: what views return becomes JSON, what is raised becomes an error in the form that the client likes best."""

import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from apifairy import response as apifairy_response
from apifairy.exceptions import ValidationError
from flask import Flask, Response, current_app, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import HTTP_STATUS_CODES

from api.edge.auth import challenge
from api.errors import ApiError
from api.queries.query import Query
from api.schemas.base import ResponseSchema, json_response
from api.schemas.errors import ErrorSchema, ProblemSchema

PROBLEM = 'application/problem+json'
SECONDS_UNTIL_RETRY = 5
PAGES = {HTTPStatus.NOT_FOUND: '404.html', HTTPStatus.INTERNAL_SERVER_ERROR: '500.html'}

NO_CONTENT = '', 204

log = logging.getLogger(__name__)
error_schema, problem_schema = ErrorSchema(), ProblemSchema()


def response(
    schema: type[ResponseSchema], status_code: int = 200
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """APIFairy's `response` for views that return a query: it is run for just the members that the schema has.

    No row is 404. A 201 says with `Location` where the new resource is: at its `self` link.
    """
    instance = schema()

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def fetch(*args: Any, **kwargs: Any) -> Any:
            answer = view(*args, **kwargs)
            record = one(answer, instance.members) if isinstance(answer, Query) else answer
            created = status_code == HTTPStatus.CREATED
            headers = {'Location': instance.compiled(record)['_links']['self']} if created else {}
            # With the status, because APIFairy takes a lone tuple, which a row is, for such a triple.
            return record, status_code, headers

        return cast(Callable[..., Any], apifairy_response(instance, status_code)(fetch))

    return decorate


def found(query: Query) -> tuple[str, int]:
    """204 where the query has a row, else 404."""
    if query.first() is None:
        raise ApiError(404)
    return NO_CONTENT


def one(query: Query, members: tuple[str, ...]) -> Any:
    """The query's row, or 404."""
    row = query.only(members).first()
    if row is None:
        raise ApiError(404)
    return row


def render_errors(app: Flask) -> None:
    """Makes this module answer for everything that is raised."""
    app.register_error_handler(ApiError, render)
    app.register_error_handler(HTTPException, lambda error: render(from_http(error)))
    app.register_error_handler(ValidationError, lambda error: render(from_schema(error)))
    for unavailable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(unavailable, lambda error: render(from_database(error)))
    app.register_error_handler(Exception, lambda error: render(from_bug(error)))


def from_http(error: HTTPException) -> ApiError:
    """What Flask and Werkzeug raise. Their descriptions speak of the inside; the status says enough."""
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers['Allow'] = ', '.join(sorted(error.valid_methods or ()))
    return ApiError(error.code or 500, headers=headers)


def from_schema(error: ValidationError) -> ApiError:
    errors = {field: texts_of(messages) for location in error.messages.values() for field, messages in location.items()}
    return ApiError(400, 'the request does not fit its schema', errors)


def texts_of(messages: Any) -> list[str]:
    """The texts among marshmallow's messages for a field, which may be nested."""
    if isinstance(messages, dict):
        return [text for inner in messages.values() for text in texts_of(inner)]
    return [text for inner in messages for text in texts_of(inner)] if isinstance(messages, list) else [str(messages)]


def from_database(error: Exception) -> ApiError:
    log.error('database unavailable', exc_info=error)
    return ApiError(503, headers={'Retry-After': str(SECONDS_UNTIL_RETRY)})


def from_bug(error: Exception) -> ApiError:
    if current_app.debug:
        raise error
    log.error('unhandled exception', exc_info=error)
    return ApiError(500)


def render(error: ApiError) -> Response:
    """The answer for an error: a page, problem details or our JSON, whatever `Accept` prefers."""
    page = PAGES.get(error.status)
    if page and prefers_html():
        answer = Response(render_template(page), mimetype='text/html')
    elif prefers_problem():
        answer = json_response(problem_schema.compiled(as_problem(error, request.path)), PROBLEM)
    else:
        answer = json_response(error_schema.compiled(as_error(error)))
    answer.status_code = error.status
    answer.headers.update(error.headers)
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers['WWW-Authenticate'] = challenge()
    answer.vary.add('Accept')
    return answer


def prefers_html() -> bool:
    accept = accepted()
    return accept.quality('text/html') > max(accept.quality('application/json'), named_problem_quality())


def prefers_problem() -> bool:
    named = named_problem_quality()
    return named > 0 and named >= accepted().quality('application/json')


def accepted() -> MIMEAccept:
    """What the client accepts; parameters of media types (`; charset=utf-8`) make no difference to us."""
    return MIMEAccept([(value.partition(';')[0].strip(), quality) for value, quality in request.accept_mimetypes])


def named_problem_quality() -> float:
    """How much the client likes problem details; 0 where it does not name them, a wildcard is not enough."""
    return max((quality for value, quality in accepted() if value.lower() == PROBLEM), default=0)


def as_error(error: ApiError) -> dict[str, Any]:
    body = {'error': HTTP_STATUS_CODES[error.status], 'message': error.message, 'errors': error.errors}
    return {member: value for member, value in body.items() if value is not None}


def as_problem(error: ApiError, instance: str) -> dict[str, Any]:
    pointed = [
        {'pointer': f'#/{pointer_token(field)}', 'detail': text}
        for field, texts in (error.errors or {}).items()
        for text in texts
    ]
    body = {
        'type': 'about:blank',
        'title': HTTP_STATUS_CODES[error.status],
        'status': int(error.status),
        'detail': error.message,
        'instance': quote(instance),
        'errors': pointed or None,
    }
    return {member: value for member, value in body.items() if value is not None}


def pointer_token(field: str) -> str:
    return field.replace('~', '~0').replace('/', '~1')
