"""Errors: whatever is raised becomes an answer in the form that the client likes best."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from apifairy.exceptions import ValidationError
from flask import Flask, Response, current_app, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import HTTP_STATUS_CODES

from api.edge.auth import challenge
from api.edge.negotiation import PROBLEM, prefers_html, prefers_problem
from api.errors import ApiError
from api.problems import BAD_REQUEST, BY_STATUS, INTERNAL_ERROR, INVALID_FIELDS, UNAVAILABLE
from api.schemas.base import json_response
from api.schemas.errors import MAX_ERRORS, MAX_TEXT, MAX_TEXTS, ErrorSchema, ProblemSchema

SECONDS_UNTIL_RETRY = 5
PAGES = {HTTPStatus.NOT_FOUND: '404.html', HTTPStatus.INTERNAL_SERVER_ERROR: '500.html'}

log = logging.getLogger(__name__)
error_schema, problem_schema = ErrorSchema(), ProblemSchema()


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
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return ApiError(BY_STATUS.get(status, BAD_REQUEST if status < 500 else INTERNAL_ERROR), headers=headers)


def from_schema(error: ValidationError) -> ApiError:
    errors = {field: texts_of(messages) for location in error.messages.values() for field, messages in location.items()}
    return ApiError(INVALID_FIELDS, errors=errors)


def texts_of(messages: Any) -> list[str]:
    """The texts among marshmallow's messages for a field, which may be nested."""
    if isinstance(messages, dict):
        return [text for inner in messages.values() for text in texts_of(inner)]
    return [text for inner in messages for text in texts_of(inner)] if isinstance(messages, list) else [str(messages)]


def from_database(error: Exception) -> ApiError:
    log.error('database unavailable', exc_info=error)
    return ApiError(UNAVAILABLE, headers={'Retry-After': str(SECONDS_UNTIL_RETRY)})


def from_bug(error: Exception) -> ApiError:
    if current_app.debug:
        raise error
    log.error('unhandled exception', exc_info=error)
    return ApiError(INTERNAL_ERROR)


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
    answer.headers.add('Link', f'<{error.problem.url}>; rel="help"')
    return answer


def as_error(error: ApiError) -> dict[str, Any]:
    body = {'error': HTTP_STATUS_CODES[error.status], 'message': error.message, 'errors': shortened(error.errors)}
    return {member: value for member, value in body.items() if value is not None}


def as_problem(error: ApiError, instance: str) -> dict[str, Any]:
    pointed = [
        {'pointer': f'#/{pointer_token(field)}', 'detail': text}
        for field, texts in (shortened(error.errors) or {}).items()
        for text in texts
    ]
    body = {
        'type': error.problem.url,
        'title': HTTP_STATUS_CODES[error.status],
        'status': int(error.status),
        'detail': error.message,
        'instance': quote(instance),
        'errors': pointed[:MAX_ERRORS] or None,
    }
    return {member: value for member, value in body.items() if value is not None}


def shortened(errors: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]] | None:
    """The first of them: a short request with a thousand mistakes is not answered with a thousand texts."""
    if errors is None:
        return None
    return {field: [text[:MAX_TEXT] for text in texts[:MAX_TEXTS]] for field, texts in errors.items()}


def pointer_token(field: str) -> str:
    return field.replace('~', '~0').replace('/', '~1')
