"""Pages of a collection: the rows of the requested page, and the links to other pages.

A page is requested by number (an offset) or by cursor. Numbers allow jumps, and are cheap below an offset of
CURSOR_THRESHOLD rows. From there on, and if the request has a cursor, links have cursors and all pages cost the same.
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
    """Decorate a view that returns a PagedSelect: respond with the page that the query string requests.

    One statement counts and reads the rows, with only the columns of the item schema or of `fields`. If there are no
    rows, a second statement checks whether the collection exists, and raises 404 if not.

    query_schema: may have more fields than PageRequestSchema; they are passed to the view as arguments.
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
    """Return the page after or before a cursor, else the page with this number. `after` wins over `before`."""
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
    """Return the page with this number. Its links have cursors from CURSOR_THRESHOLD rows on."""
    offset = (page - 1) * per_page
    rows = paged.offset_page(columns, offset, per_page)
    meta = build_meta(paged, rows, page, per_page)
    window = Page(rows, has_before=offset > 0, has_after=page < meta.total_pages)
    links = cursor_links if offset >= CURSOR_THRESHOLD and rows else offset_links
    return CollectionPage(rows, meta, links(window, base, meta))


def build_meta(paged: PagedSelect, rows: Sequence[AnyRow], page: int, per_page: int) -> CollectionMeta:
    """Return the `_meta` of a page. Each row has the total; without rows, query it, and raise 404 if there is none."""
    total = rows[0].total if rows else total_or_404(paged)
    return CollectionMeta(page, per_page, -(-total // per_page), total)


def offset_links(window: Page, base: str, meta: CollectionMeta) -> PageLinks:
    """Return links with page numbers only. Past the end, `prev` is the last page."""
    last = min(meta.page - 1, meta.total_pages)
    return PageLinks(
        page_url(base, meta, meta.page),
        page_url(base, meta, meta.page + 1) if window.has_after else None,
        page_url(base, meta, last) if last else None,
        *first_and_last_urls(base, meta),
    )


def cursor_links(window: Page, base: str, meta: CollectionMeta) -> PageLinks:
    """Return links with the cursors of the first and last row; for an empty page, with empty cursors."""
    after_last = encode_cursor(window.rows[-1].cursor) if window.rows else ''
    before_first = encode_cursor(window.rows[0].cursor) if window.rows else ''
    return PageLinks(
        page_url(base, meta, meta.page),
        page_url(base, meta, meta.page + 1) + f'&after={after_last}' if window.has_after else None,
        page_url(base, meta, max(1, meta.page - 1)) + f'&before={before_first}' if window.has_before else None,
        *first_and_last_urls(base, meta),
    )


def first_and_last_urls(base: str, meta: CollectionMeta) -> tuple[str, str]:
    """Return the URLs of the first and the last page."""
    return page_url(base, meta, 1), page_url(base, meta, max(1, meta.total_pages))


def page_url(base: str, meta: CollectionMeta, page: int) -> str:
    return f'{base}page={page}&per_page={meta.per_page}'
