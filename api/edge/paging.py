"""Pages of a collection: which rows a request asks for, and the links that lead on.

A page is asked for by number or by a position in the order of the collection. Numbers are for jumping, and cost little
below an offset of DEEP rows. From there on, and wherever the client came by a position, links carry positions, and
every page costs the same.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from flask import Response

from api.edge.pages import (
    Links,
    Page,
    ahead,
    asking,
    base_url,
    behind,
    item_members,
    known,
    opened_in,
    respond_linked,
)
from api.edge.positions import sealed
from api.edge.replica import read_anywhere
from api.edge.sparse import wanted
from api.edge.views import note
from api.queries.query import AnyRow, Listing
from api.schemas.collections import CollectionSchema, PageRequestSchema

DEEP = 1000
PLACE = ('page', 'per_page', 'after', 'before')


class Meta(NamedTuple):
    page: int
    per_page: int
    total_pages: int
    total_items: int


class Collection(NamedTuple):
    items: Sequence[AnyRow]
    meta: Meta
    links: Links


def paginated(
    collection: type[CollectionSchema], asked_by: type[PageRequestSchema] = PageRequestSchema
) -> Callable[[Callable[..., Listing]], Callable[..., Any]]:
    """For views that return a listing: answers with the page that the query string asks for.

    One statement counts and reads the rows, just the members that the item's schema has, or those of them that `fields`
    names; where there is none, another finds out whether the collection exists (404). asked_by: a schema with more
    members than a page's; the view is called with them.
    """
    instance = collection()

    def decorate(view: Callable[..., Listing]) -> Callable[..., Any]:
        note(view, response=instance, status_code=200, description=None, paged=True)

        @wraps(view)
        def page(asked: dict[str, Any], **kwargs: Any) -> Response:
            shape = wanted(instance)
            place = {name: asked.pop(name) for name in PLACE if name in asked}
            base = base_url(**asked)
            found = read_anywhere(lambda: collect(view(**asked, **kwargs), item_members(shape), base, **place))
            return respond_linked(shape, found)

        return asking(asked_by)(page)

    return decorate


def collect(
    listing: Listing,
    members: tuple[str, ...],
    base: str,
    page: int,
    per_page: int,
    after: str | None = None,
    before: str | None = None,
) -> Collection:
    if after is not None:
        found = behind(listing, members, per_page, opened_in(listing, after))
    elif before is not None:
        found = ahead(listing, members, per_page, opened_in(listing, before))
    else:
        return numbered(listing, members, base, page, per_page)
    meta = counted(listing, found.rows, page, per_page)
    first, last = ends(base, meta)
    links = walked_links(found, base, meta)._replace(first=f'{first}&after=', last=f'{last}&before=')
    return Collection(found.rows, meta, links)


def numbered(listing: Listing, members: tuple[str, ...], base: str, page: int, per_page: int) -> Collection:
    offset = (page - 1) * per_page
    rows = listing.by_number(members, offset, per_page)
    meta = counted(listing, rows, page, per_page)
    found = Page(rows, more_before=offset > 0, more_behind=page < meta.total_pages)
    links = walked_links if offset >= DEEP and rows else numbered_links
    return Collection(rows, meta, links(found, base, meta))


def counted(listing: Listing, rows: Sequence[AnyRow], page: int, per_page: int) -> Meta:
    """How many there are, which the rows know, too. 404 where there is no such collection."""
    total = rows[0].total if rows else known(listing)
    return Meta(page, per_page, -(-total // per_page), total)


def numbered_links(found: Page, base: str, meta: Meta) -> Links:
    last = min(meta.page - 1, meta.total_pages)
    return Links(
        url(base, meta, meta.page),
        url(base, meta, meta.page + 1) if found.more_behind else None,
        url(base, meta, last) if last else None,
        *ends(base, meta),
    )


def walked_links(found: Page, base: str, meta: Meta) -> Links:
    """Links with positions: those of the outermost rows, or where there are none, the end that was reached."""
    behind_last = sealed(found.rows[-1].position) if found.rows else ''
    before_first = sealed(found.rows[0].position) if found.rows else ''
    return Links(
        url(base, meta, meta.page),
        url(base, meta, meta.page + 1) + f'&after={behind_last}' if found.more_behind else None,
        url(base, meta, max(1, meta.page - 1)) + f'&before={before_first}' if found.more_before else None,
        *ends(base, meta),
    )


def ends(base: str, meta: Meta) -> tuple[str, str]:
    """The first and the last page."""
    return url(base, meta, 1), url(base, meta, max(1, meta.total_pages))


def url(base: str, meta: Meta, page: int) -> str:
    return f'{base}page={page}&per_page={meta.per_page}'
