"""Pages of a collection: which rows a request asks for, and the links that lead on.

A page is asked for by number or by a position in the order of the collection. A position is the value of the column
that orders it, signed for the path, so that nothing but what was given out is taken. Numbers are for jumping, and cost
little below an offset of DEEP rows. From there on, and wherever the client came by a position, links carry positions,
and every page costs the same.
"""

import base64
import hmac
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from apifairy import arguments
from apifairy import response as apifairy_response
from flask import request

from api.errors import ApiError
from api.extensions import keyring
from api.queries.query import AnyRow, Listing
from api.schemas.collections import CollectionSchema, PageRequestSchema

DEEP = 1000
PURPOSE = 'position'
MAC_BYTES = 8


class Meta(NamedTuple):
    page: int
    per_page: int
    total_pages: int
    total_items: int


class Links(NamedTuple):
    self: str
    next: str | None
    prev: str | None


class Collection(NamedTuple):
    items: Sequence[AnyRow]
    meta: Meta
    links: Links


class Page(NamedTuple):
    """Rows, and whether there are others on either side of them."""

    rows: Sequence[AnyRow]
    more_before: bool
    more_behind: bool


def paginated(collection: type[CollectionSchema]) -> Callable[[Callable[..., Listing]], Callable[..., Any]]:
    """For views that return a listing: answers with the page that the query string asks for.

    Two statements: one counts, and finds out whether the collection exists (404); one reads the rows, just the members
    that the item's schema has.
    """
    instance = collection()
    members = cast(Any, instance.fields['items']).schema.members

    def decorate(view: Callable[..., Listing]) -> Callable[..., Any]:
        @wraps(view)
        def page(asked: dict[str, Any], **kwargs: Any) -> tuple[Collection, int]:
            return collect(view(**kwargs), members, **asked), 200

        return cast(Callable[..., Any], arguments(PageRequestSchema)(apifairy_response(instance)(page)))

    return decorate


def collect(
    listing: Listing,
    members: tuple[str, ...],
    page: int,
    per_page: int,
    after: str | None = None,
    before: str | None = None,
) -> Collection:
    total = listing.total.scalar()
    if total is None:
        raise ApiError(404)
    meta = Meta(page, per_page, -(-total // per_page), total)
    if after is not None:
        found = behind(listing, members, per_page, after)
    elif before is not None:
        found = ahead(listing, members, per_page, before)
    else:
        return Collection(*numbered(listing, members, meta))
    return Collection(found.rows, meta, walked_links(found, meta))


def numbered(listing: Listing, members: tuple[str, ...], meta: Meta) -> tuple[Sequence[AnyRow], Meta, Links]:
    offset = (meta.page - 1) * meta.per_page
    rows = listing.by_number(members, offset, meta.per_page) if offset < meta.total_items else []
    found = Page(rows, more_before=offset > 0, more_behind=meta.page < meta.total_pages)
    if offset >= DEEP and rows:
        return rows, meta, walked_links(found, meta)
    return rows, meta, numbered_links(found, meta)


def behind(listing: Listing, members: tuple[str, ...], limit: int, after: str) -> Page:
    position = opened(after)
    rows = listing.beside(members, position, limit + 1)
    return Page(rows[:limit], more_before=position is not None, more_behind=len(rows) > limit)


def ahead(listing: Listing, members: tuple[str, ...], limit: int, before: str) -> Page:
    position = opened(before)
    rows = listing.beside(members, position, limit + 1, backward=True)
    return Page(rows[-limit:], more_before=len(rows) > limit, more_behind=position is not None)


def numbered_links(found: Page, meta: Meta) -> Links:
    last = min(meta.page - 1, meta.total_pages)
    return Links(
        url(meta.page, meta),
        url(meta.page + 1, meta) if found.more_behind else None,
        url(last, meta) if last else None,
    )


def walked_links(found: Page, meta: Meta) -> Links:
    """Links with positions: those of the outermost rows, or where there are none, the end that was reached."""
    behind_last = sealed(found.rows[-1].position) if found.rows else ''
    before_first = sealed(found.rows[0].position) if found.rows else ''
    return Links(
        url(meta.page, meta),
        url(meta.page + 1, meta, after=behind_last) if found.more_behind else None,
        url(max(1, meta.page - 1), meta, before=before_first) if found.more_before else None,
    )


def url(page: int, meta: Meta, **position: str) -> str:
    pairs = [('page', page), ('per_page', meta.per_page), *position.items()]
    return quote(request.path) + '?' + '&'.join(f'{name}={value}' for name, value in pairs)


def sealed(position: int) -> str:
    """The position as clients see it."""
    value = position.to_bytes(8, 'big')
    return encode(value + next(signatures(value)))


def opened(text: str) -> int | None:
    """The position that was sealed; None for the empty text. 400 for what was never given out for this path."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + '==', altchars='-_', validate=True)
    except ValueError:
        raw = b''
    value, signature = raw[:8], raw[8:]
    # Base64 has several ways to write some bytes, of which one was given out.
    if encode(raw) == text and any(hmac.compare_digest(signature, each) for each in signatures(value)):
        return int.from_bytes(value, 'big')
    raise ApiError(400, 'this position was never given out for this collection')


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def signatures(value: bytes) -> Iterator[bytes]:
    """With the current key, then with those before it."""
    return (mac[:MAC_BYTES] for mac in keyring.derive_all(PURPOSE, request.path.encode() + value))
