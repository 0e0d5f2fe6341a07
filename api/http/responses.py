"""JSON responses: serialize the results of views and add the headers that belong to them."""

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
    """Decorate a view that returns a BoundSelect or an object to serialize.

    A BoundSelect reads only the columns that the schema needs; if it has no row, the response is 404. A 201 has the
    `self` link of the new resource in `Location`. A GET accepts `fields` and has a strong `ETag`. A POST accepts
    `Idempotency-Key`.

    prefetch: the query that a GET usually returns, as a function of its URL arguments. The statement that authenticates
    the caller reads its row, too, which saves a statement.
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
    """Return the response with its headers.

    Raise 406 for a read if the client does not accept JSON: only now, because a missing resource is 404 first.
    """
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
    """Return a JSON response, with the media type of sparse fieldsets if the schema is restricted."""
    return ApiResponse(body, status_code, content_type=JSON if schema.only is None else PARTIAL_JSON)


def is_read_request() -> bool:
    return request.method in ('GET', 'HEAD')


def render_result(schema: ResponseSchema, result: Any) -> Any:
    """Return the result of a view as JSON-serializable data. Raise 404 for a query without a row."""
    return schema.compiled(row_or_404(result, schema.columns) if isinstance(result, BoundSelect) else result)


def no_content_or_404(query: BoundSelect) -> tuple[str, int]:
    """Return a 204 response if the query has a row, else raise 404."""
    if query.first() is None:
        raise NotFoundError
    return NO_CONTENT


def row_or_404(query: BoundSelect, columns: tuple[str, ...]) -> Any:
    """Return the first row with these columns, or raise 404 if there is none."""
    row = query.select_columns(columns).first()
    if row is None:
        raise NotFoundError
    return row
