"""Answers: what views return becomes JSON, in the one form and with the headers that all answers have."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

from flask import Response, request

from api.db.selects import BoundSelect, bind_by_name
from api.errors import NotFoundError
from api.http.application import ApiResponse
from api.http.conditional import strong_etag
from api.http.idempotency import idempotent
from api.http.negotiation import JSON, PARTIAL_JSON, require_acceptable
from api.http.sparse_fieldsets import requested_schema
from api.http.view_spec import annotate
from api.schemas.base import ResponseSchema, encode_json

NO_CONTENT = '', 204


def response(
    schema: type[ResponseSchema], status_code: int = 200, prefetch: Callable[..., BoundSelect] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """For views that return a query, which is run for just the members that the schema has, or something to dump.

    No row is 404. A 201 says with `Location` where the new resource is: at its `self` link. A GET takes `fields` and
    has a strong `ETag`; a POST takes an `Idempotency-Key`.

    foreseen: what a GET mostly returns, for the arguments that its URL has. It is read together with the caller.
    """
    instance, prefetch_for = schema(), bind_by_name(prefetch)

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        def render(**kwargs: Any) -> Any:
            return render_result(instance, view(**kwargs))

        annotate(view, response=instance, status_code=status_code, description=None, render=render)
        if prefetch:
            annotate(
                view,
                prefetch=lambda arguments: cast(BoundSelect, prefetch_for(arguments)).select_columns(instance.columns),
            )

        def call_view(*args: Any, **kwargs: Any) -> Response:
            requested = requested_schema(instance)
            return build_response(requested, render_result(requested, view(*args, **kwargs)), status_code)

        @wraps(view)
        def handle(*args: Any, **kwargs: Any) -> Response:
            if is_read_request():
                return call_view(*args, **kwargs)
            require_acceptable()
            return (
                idempotent(lambda: call_view(*args, **kwargs))
                if request.method == 'POST'
                else call_view(*args, **kwargs)
            )

        return handle

    return decorate


def build_response(schema: ResponseSchema, rendered: Any, status_code: int = 200) -> Response:
    """406 for a read whose client accepts nothing of it: here, because what does not exist is 404 whoever asks how."""
    is_read = is_read_request()
    if is_read:
        require_acceptable()
    body = encode_json(rendered)
    response = encode_response(schema, body, status_code)
    if status_code == HTTPStatus.CREATED:
        response.headers['Location'] = rendered['_links']['self']
    elif status_code == HTTPStatus.OK and (is_read or request.method == 'PATCH'):
        response.add_unchecked(('ETag', strong_etag(schema, rendered, body)))
    return response


def encode_response(schema: ResponseSchema, body: bytes, status_code: int = 200) -> ApiResponse:
    return ApiResponse(body, status_code, content_type=JSON if schema.only is None else PARTIAL_JSON)


def is_read_request() -> bool:
    return request.method in ('GET', 'HEAD')


def render_result(schema: ResponseSchema, result: Any) -> Any:
    """What the view's answer is to clients."""
    return schema.compiled(row_or_404(result, schema.columns) if isinstance(result, BoundSelect) else result)


def no_content_or_404(query: BoundSelect) -> tuple[str, int]:
    """204 where the query has a row, else 404."""
    if query.first() is None:
        raise NotFoundError
    return NO_CONTENT


def row_or_404(query: BoundSelect, columns: tuple[str, ...]) -> Any:
    """The query's row, or 404."""
    row = query.select_columns(columns).first()
    if row is None:
        raise NotFoundError
    return row
