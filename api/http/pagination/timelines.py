"""Pages of a timeline: a collection without numbers and totals, whose links are positions.

The link to what is newer is always there, so that a client can poll it; an empty answer has it again. Nothing gets an
id below one that could be seen before it (see `actions.posts.in_turn`), so polling misses nothing.
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
    """For views that return a listing: answers with the part that the query string asks for.

    One statement reads the rows; where there is none, another finds out whether the timeline exists (404).
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
    """What lies before `first` and behind `last` is not on the page, and nothing else is not.

    An empty page lies beyond the position that was asked for, whose own row is on its other side; or before the first
    id.
    """
    if page.rows:
        return page.rows[0].cursor, page.rows[-1].cursor
    if cursor is None:
        return FIRST_ID - 1, FIRST_ID - 1
    other_side = max(cursor + (1 if paged.descending == reverse else -1), FIRST_ID - 1)
    return (cursor, other_side) if reverse else (other_side, cursor)
