"""Pagination shared by collections and timelines: arguments, keyset pages, and responses."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from flask import Response, request
from marshmallow import missing

from api.db.selects import AnyRow, PagedSelect
from api.errors import ApiError, NotFoundError
from api.http.application import ApiResponse
from api.http.conditional import matches_if_none_match, weak_etag
from api.http.negotiation import require_acceptable
from api.http.pagination.cursors import decode_cursor
from api.http.responses import encode_response
from api.http.sparse_fieldsets import requested_fields
from api.http.view_spec import annotate
from api.schemas.base import ResponseSchema, encode_json
from api.schemas.collections import TimelineRequestSchema


class PageLinks(NamedTuple):
    """The URLs of a page and of related pages. `first` and `last` are only in the header `Link`."""

    self: str
    next: str | None
    prev: str | None
    first: str
    last: str


class Page(NamedTuple):
    """The rows of a page, and whether there are rows before and after them."""

    rows: Sequence[AnyRow]
    has_before: bool
    has_after: bool


def page_arguments(schema: type[TimelineRequestSchema]) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Decorate a view to get its query arguments as a dict, for a schema whose fields accept every value.

    It replaces APIFairy's `arguments`, which takes as long as an SQL statement.
    """
    instance = schema()

    def decorate(page: Callable[..., Response]) -> Callable[..., Response]:
        annotate(page, args=[(instance, 'query')])

        @wraps(page)
        def wrapper(**kwargs: Any) -> Response:
            query, arguments = request.args, {}
            for name, field in instance.load_fields.items():
                if name in query:
                    arguments[name] = field.deserialize(query[name])
                elif field.load_default is not missing:
                    arguments[name] = field.load_default
            return page(arguments, **kwargs)

        return wrapper

    return decorate


def item_columns(schema: ResponseSchema) -> tuple[str, ...]:
    """Return the columns that the items of a collection need."""
    return cast(tuple[str, ...], cast(Any, schema.fields['items']).schema.columns)


def page_response(schema: ResponseSchema, page: Any) -> Response:
    """Return the response for a page, with its links in the header `Link` (RFC 8288); 304 if it has not changed."""
    require_acceptable()
    etag = weak_etag(
        schema.only and sorted(schema.only), [*map(tuple, page.items)], tuple(page.meta), tuple(page.links)
    )
    response = (
        ApiResponse(status=304)
        if matches_if_none_match(etag)
        else encode_response(schema, encode_json(schema.compiled(page)))
    )
    response.add_unchecked(('ETag', etag))
    relations = ((relation, getattr(page.links, relation)) for relation in ('first', 'prev', 'next', 'last'))
    response.headers.add('Link', ', '.join(f'<{url}>; rel="{relation}"' for relation, url in relations if url))
    return response


def total_or_404(paged: PagedSelect) -> Any:
    """Return the total of a collection, for a page without rows. Raise 404 if the collection does not exist.

    For a timeline, which has no count, the result only says that it exists.
    """
    select = paged.count_query or paged.exists_query
    total = select.scalar() if select else 0
    if total is None:
        raise NotFoundError
    return total


def decode_cursor_or_404(paged: PagedSelect, text: str) -> int | None:
    """Return the decoded cursor. Raise 404 if the collection does not exist, else 400 if the cursor is invalid."""
    try:
        return decode_cursor(text)
    except ApiError:
        total_or_404(paged)
        raise


def page_after(paged: PagedSelect, columns: tuple[str, ...], limit: int, cursor: int | None) -> Page:
    """Return the first `limit` rows after the cursor; None: of the collection. One more row tells if others follow."""
    rows = paged.keyset_page(columns, cursor, limit + 1)
    return Page(rows[:limit], has_before=cursor is not None, has_after=len(rows) > limit)


def page_before(paged: PagedSelect, columns: tuple[str, ...], limit: int, cursor: int | None) -> Page:
    """Return the last `limit` rows before the cursor; None: of the collection. One more row tells if others precede."""
    rows = paged.keyset_page(columns, cursor, limit + 1, reverse=True)
    return Page(rows[-limit:], has_before=len(rows) > limit, has_after=cursor is not None)


def base_url(**filters: str) -> str:
    """Return the path and query of the request without page parameters, ready for more: it ends with `?` or `&`."""
    fields = requested_fields()
    if fields is not None:
        filters['fields'] = fields
    return quote(request.path) + '?' + ''.join(f'{name}={quote(value, ",")}&' for name, value in filters.items())
