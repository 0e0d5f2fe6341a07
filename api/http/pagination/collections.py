"""Pages of a collection: which rows a request asks for, and the links that lead on.

A page is asked for by number or by a position in the order of the collection. Numbers are for jumping, and cost little
below an offset of DEEP rows. From there on, and wherever the client came by a position, links carry positions, and
every page costs the same.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from flask import Response

from api.db.selects import AnyRow, PagedSelect
from api.http.pagination.cursors import encode_cursor
from api.http.pagination.pages import (
    Page,
    PageLinks,
    base_url,
    decode_cursor_or_404,
    item_columns,
    page_after,
    page_arguments,
    page_before,
    page_response,
    total_or_404,
)
from api.http.replica_reads import read_from_replica
from api.http.sparse_fieldsets import requested_schema
from api.http.view_spec import annotate
from api.schemas.collections import CollectionSchema, PageRequestSchema

CURSOR_THRESHOLD = 1000
PAGE_PARAMETERS = ('page', 'per_page', 'after', 'before')


class CollectionMeta(NamedTuple):
    page: int
    per_page: int
    total_pages: int
    total_items: int


class CollectionPage(NamedTuple):
    items: Sequence[AnyRow]
    meta: CollectionMeta
    links: PageLinks


def paginated(
    collection: type[CollectionSchema], query_schema: type[PageRequestSchema] = PageRequestSchema
) -> Callable[[Callable[..., PagedSelect]], Callable[..., Any]]:
    """For views that return a listing: answers with the page that the query string asks for.

    One statement counts and reads the rows, just the members that the item's schema has, or those of them that `fields`
    names; where there is none, another finds out whether the collection exists (404). asked_by: a schema with more
    members than a page's; the view is called with them.
    """
    instance = collection()

    def decorate(view: Callable[..., PagedSelect]) -> Callable[..., Any]:
        annotate(view, response=instance, status_code=200, description=None, paged=True)

        @wraps(view)
        def page(arguments: dict[str, Any], **kwargs: Any) -> Response:
            schema = requested_schema(instance)
            page_arguments = {name: arguments.pop(name) for name in PAGE_PARAMETERS if name in arguments}
            base = base_url(**arguments)
            window = read_from_replica(
                lambda: read_page(view(**arguments, **kwargs), item_columns(schema), base, **page_arguments)
            )
            return page_response(schema, window)

        return page_arguments(query_schema)(page)

    return decorate


def read_page(
    paged: PagedSelect,
    columns: tuple[str, ...],
    base: str,
    page: int,
    per_page: int,
    after: str | None = None,
    before: str | None = None,
) -> CollectionPage:
    if after is not None:
        window = page_after(paged, columns, per_page, decode_cursor_or_404(paged, after))
    elif before is not None:
        window = page_before(paged, columns, per_page, decode_cursor_or_404(paged, before))
    else:
        return offset_page(paged, columns, base, page, per_page)
    meta = build_meta(paged, window.rows, page, per_page)
    first, last = first_and_last_urls(base, meta)
    links = cursor_links(window, base, meta)._replace(first=f'{first}&after=', last=f'{last}&before=')
    return CollectionPage(window.rows, meta, links)


def offset_page(paged: PagedSelect, columns: tuple[str, ...], base: str, page: int, per_page: int) -> CollectionPage:
    offset = (page - 1) * per_page
    rows = paged.offset_page(columns, offset, per_page)
    meta = build_meta(paged, rows, page, per_page)
    window = Page(rows, has_before=offset > 0, has_after=page < meta.total_pages)
    links = cursor_links if offset >= CURSOR_THRESHOLD and rows else offset_links
    return CollectionPage(rows, meta, links(window, base, meta))


def build_meta(paged: PagedSelect, rows: Sequence[AnyRow], page: int, per_page: int) -> CollectionMeta:
    """How many there are, which the rows know, too. 404 where there is no such collection."""
    total = rows[0].total if rows else total_or_404(paged)
    return CollectionMeta(page, per_page, -(-total // per_page), total)


def offset_links(window: Page, base: str, meta: CollectionMeta) -> PageLinks:
    last = min(meta.page - 1, meta.total_pages)
    return PageLinks(
        page_url(base, meta, meta.page),
        page_url(base, meta, meta.page + 1) if window.has_after else None,
        page_url(base, meta, last) if last else None,
        *first_and_last_urls(base, meta),
    )


def cursor_links(window: Page, base: str, meta: CollectionMeta) -> PageLinks:
    """Links with positions: those of the outermost rows, or where there are none, the end that was reached."""
    after_last = encode_cursor(window.rows[-1].cursor) if window.rows else ''
    before_first = encode_cursor(window.rows[0].cursor) if window.rows else ''
    return PageLinks(
        page_url(base, meta, meta.page),
        page_url(base, meta, meta.page + 1) + f'&after={after_last}' if window.has_after else None,
        page_url(base, meta, max(1, meta.page - 1)) + f'&before={before_first}' if window.has_before else None,
        *first_and_last_urls(base, meta),
    )


def first_and_last_urls(base: str, meta: CollectionMeta) -> tuple[str, str]:
    """The first and the last page."""
    return page_url(base, meta, 1), page_url(base, meta, max(1, meta.total_pages))


def page_url(base: str, meta: CollectionMeta, page: int) -> str:
    return f'{base}page={page}&per_page={meta.per_page}'
