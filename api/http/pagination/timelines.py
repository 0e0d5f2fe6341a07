"""Pages of a timeline: a collection without page numbers and counts, whose links have cursors.

The link to newer items is always present, even on an empty page, so that clients can poll it. A new post always has a
higher id than every post that was visible before it (see `actions.posts.serialized_insert`), so polling misses nothing.
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
from api.schemas.collections import TimelineRequestSchema, TimelineSchema

FIRST_ID = 1


class TimelineMeta(NamedTuple):
    per_page: int


class TimelinePage(NamedTuple):
    items: Sequence[AnyRow]
    meta: TimelineMeta
    links: PageLinks


def timeline(schema: type[TimelineSchema]) -> Callable[[Callable[..., PagedSelect]], Callable[..., Any]]:
    """Decorate a view that returns a PagedSelect: respond with the page that the query string requests.

    One statement reads the rows. If there are none, a second statement checks whether the timeline exists, and raises
    404 if not.
    """
    instance = schema()

    def decorate(view: Callable[..., PagedSelect]) -> Callable[..., Any]:
        annotate(view, response=instance, status_code=200, description=None, paged=True)

        @wraps(view)
        def page(arguments: dict[str, Any], **kwargs: Any) -> Response:
            requested = requested_schema(instance)
            result = read_from_replica(lambda: read_timeline(view(**kwargs), item_columns(requested), **arguments))
            return page_response(requested, result)

        return page_arguments(TimelineRequestSchema)(page)

    return decorate


def read_timeline(
    paged: PagedSelect, columns: tuple[str, ...], per_page: int, after: str | None = None, before: str | None = None
) -> TimelinePage:
    """Return the page after or before a cursor, else the first page. `after` wins over `before`."""
    if before is not None and after is None:
        cursor = decode_cursor_or_404(paged, before)
        page = page_before(paged, columns, per_page, cursor)
    else:
        cursor = decode_cursor_or_404(paged, after or '')
        page = page_after(paged, columns, per_page, cursor)
    if not page.rows:
        total_or_404(paged)
    first, last = page_bounds(paged, page, cursor, reverse=before is not None and after is None)
    return TimelinePage(
        page.rows, TimelineMeta(per_page), timeline_links(paged, page, first, last, f'{base_url()}per_page={per_page}')
    )


def timeline_links(paged: PagedSelect, page: Page, first: int, last: int, base: str) -> PageLinks:
    """Return the links of a page. The link to newer items is always present; the other only if there are more rows."""
    has_after = page.has_after or not paged.descending
    has_before = page.has_before or paged.descending
    return PageLinks(
        base,
        f'{base}&after={encode_cursor(last)}' if has_after else None,
        f'{base}&before={encode_cursor(first)}' if has_before else None,
        base,
        f'{base}&before=',
    )


def page_bounds(paged: PagedSelect, page: Page, cursor: int | None, *, reverse: bool) -> tuple[int, int]:
    """Return the cursors (first, last) of a page: every row outside of the page is before `first` or after `last`.

    An empty page has no rows on the far side of the requested cursor. The row of that cursor itself is on the near
    side, so the bound there is moved by one id to include it. Without a cursor both bounds are before the first id.
    """
    if page.rows:
        return page.rows[0].cursor, page.rows[-1].cursor
    if cursor is None:
        return FIRST_ID - 1, FIRST_ID - 1
    other_side = max(cursor + (1 if paged.descending == reverse else -1), FIRST_ID - 1)
    return (cursor, other_side) if reverse else (other_side, cursor)
