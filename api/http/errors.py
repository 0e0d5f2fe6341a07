"""Error handlers: turn exceptions into responses in the media type that the client prefers."""

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

from api.errors import ApiError
from api.http.auth import www_authenticate
from api.http.negotiation import PROBLEM, prefers_html, prefers_problem
from api.problems import BAD_REQUEST, DEFAULT_BY_STATUS, INTERNAL_ERROR, INVALID_FIELDS, UNAVAILABLE
from api.schemas.base import json_response
from api.schemas.errors import MAX_ERRORS, MAX_MESSAGE_LENGTH, MAX_MESSAGES, ErrorSchema, ProblemSchema

RETRY_AFTER = 5
ERROR_PAGES = {HTTPStatus.NOT_FOUND: '404.html', HTTPStatus.INTERNAL_SERVER_ERROR: '500.html'}

log = logging.getLogger(__name__)
error_schema, problem_schema = ErrorSchema(), ProblemSchema()


def register_error_handlers(app: Flask) -> None:
    """Register a handler for every exception."""
    app.register_error_handler(ApiError, render_error)
    app.register_error_handler(HTTPException, lambda error: render_error(from_http_exception(error)))
    app.register_error_handler(ValidationError, lambda error: render_error(from_validation_error(error)))
    for unavailable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(unavailable, lambda error: render_error(from_database_error(error)))
    app.register_error_handler(Exception, lambda error: render_error(from_unhandled_exception(error)))


def from_http_exception(error: HTTPException) -> ApiError:
    """Convert an exception of Flask or Werkzeug.

    Its description is dropped because it reveals internals; the status is enough.
    """
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers['Allow'] = ', '.join(sorted(error.valid_methods or ()))
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return ApiError(DEFAULT_BY_STATUS.get(status, BAD_REQUEST if status < 500 else INTERNAL_ERROR), headers=headers)


def from_validation_error(error: ValidationError) -> ApiError:
    """Convert marshmallow's errors into a 400 with messages by field."""
    errors = {
        field: flatten_messages(messages)
        for location in error.messages.values()
        for field, messages in location.items()
    }
    return ApiError(INVALID_FIELDS, errors=errors)


def flatten_messages(messages: Any) -> list[str]:
    """Return the texts of marshmallow's messages for a field, which may be nested."""
    if isinstance(messages, dict):
        return [text for inner in messages.values() for text in flatten_messages(inner)]
    return (
        [text for inner in messages for text in flatten_messages(inner)]
        if isinstance(messages, list)
        else [str(messages)]
    )


def from_database_error(error: Exception) -> ApiError:
    """Log the error and return a 503 with `Retry-After`."""
    log.error('database unavailable', exc_info=error)
    return ApiError(UNAVAILABLE, headers={'Retry-After': str(RETRY_AFTER)})


def from_unhandled_exception(error: Exception) -> ApiError:
    """Log the exception and return a 500; re-raise it in debug mode."""
    if current_app.debug:
        raise error
    log.error('unhandled exception', exc_info=error)
    return ApiError(INTERNAL_ERROR)


def render_error(error: ApiError) -> Response:
    """Return the response to an error: an HTML page, problem details or plain JSON, as `Accept` prefers."""
    template = ERROR_PAGES.get(error.status)
    if template and prefers_html():
        response = Response(render_template(template), mimetype='text/html')
    elif prefers_problem():
        response = json_response(problem_schema.compiled(problem_body(error, request.path)), PROBLEM)
    else:
        response = json_response(error_schema.compiled(error_body(error)))
    response.status_code = error.status
    response.headers.update(error.headers)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers['WWW-Authenticate'] = www_authenticate()
    response.headers.add('Link', f'<{error.problem.url}>; rel="help"')
    return response


def error_body(error: ApiError) -> dict[str, Any]:
    """Return the body of the default JSON format."""
    body = {'error': HTTP_STATUS_CODES[error.status], 'message': error.message, 'errors': truncate_errors(error.errors)}
    return {field: value for field, value in body.items() if value is not None}


def problem_body(error: ApiError, instance: str) -> dict[str, Any]:
    """Return the problem details (RFC 9457). instance: the path of the request."""
    pointers = [
        {'pointer': f'#/{escape_pointer(field)}', 'detail': text}
        for field, texts in (truncate_errors(error.errors) or {}).items()
        for text in texts
    ]
    body = {
        'type': error.problem.url,
        'title': HTTP_STATUS_CODES[error.status],
        'status': int(error.status),
        'detail': error.message,
        'instance': quote(instance),
        'errors': pointers[:MAX_ERRORS] or None,
    }
    return {field: value for field, value in body.items() if value is not None}


def truncate_errors(errors: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]] | None:
    """Limit the number and length of messages per field, so that a short request cannot cause a huge response."""
    if errors is None:
        return None
    return {field: [text[:MAX_MESSAGE_LENGTH] for text in texts[:MAX_MESSAGES]] for field, texts in errors.items()}


def escape_pointer(field: str) -> str:
    """Escape a field name for a JSON pointer (RFC 6901)."""
    return field.replace('~', '~0').replace('/', '~1')
