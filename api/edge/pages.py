"""What the pages of collections and of timelines have in common: how they are asked for, found, and answered."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, cast
from urllib.parse import quote

from flask import Response, request
from marshmallow import missing

from api.edge.answers import json_of
from api.edge.application import Answer
from api.edge.conditional import is_known, weak_tag
from api.edge.negotiation import demand_acceptable
from api.edge.positions import opened
from api.edge.sparse import asked_fields
from api.edge.views import note
from api.errors import ApiError, NotFoundError
from api.queries.query import AnyRow, Listing
from api.schemas.base import ResponseSchema, encode
from api.schemas.collections import TimelineRequestSchema


class Links(NamedTuple):
    """first and last are in the header `Link` only."""

    self: str
    next: str | None
    prev: str | None
    first: str
    last: str


class Page(NamedTuple):
    """Rows, and whether there are others on either side of them."""

    rows: Sequence[AnyRow]
    more_before: bool
    more_behind: bool


def asking(schema: type[TimelineRequestSchema]) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Like APIFairy's `arguments`, which costs as much as a statement, for a schema that never refuses anything."""
    instance = schema()

    def decorate(page: Callable[..., Response]) -> Callable[..., Response]:
        note(page, args=[(instance, 'query')])

        @wraps(page)
        def ask(**kwargs: Any) -> Response:
            sent, asked = request.args, {}
            for name, field in instance.load_fields.items():
                if name in sent:
                    asked[name] = field.deserialize(sent[name])
                elif field.load_default is not missing:
                    asked[name] = field.load_default
            return page(asked, **kwargs)

        return ask

    return decorate


def item_members(shape: ResponseSchema) -> tuple[str, ...]:
    """The members that the items of a collection need to be dumped whole."""
    return cast(tuple[str, ...], cast(Any, shape.fields['items']).schema.members)


def respond_linked(shape: ResponseSchema, found: Any) -> Response:
    """The answer for a page, with its links in a header, too (RFC 8288)."""
    demand_acceptable()
    tag = weak_tag(shape.only and sorted(shape.only), [*map(tuple, found.items)], tuple(found.meta), tuple(found.links))
    answer = Answer(status=304) if is_known(tag) else json_of(shape, encode(shape.compiled(found)))
    answer.add_unchecked(('ETag', tag))
    named = ((relation, getattr(found.links, relation)) for relation in ('first', 'prev', 'next', 'last'))
    answer.headers.add('Link', ', '.join(f'<{url}>; rel="{relation}"' for relation, url in named if url))
    return answer


def known(listing: Listing) -> Any:
    """What is known of a collection that has no rows to show: how many there are, if it is counted. 404 if nothing."""
    query = listing.total or listing.exists
    found = query.scalar() if query else 0
    if found is None:
        raise NotFoundError
    return found


def opened_in(listing: Listing, text: str) -> int | None:
    """The position that was sealed. A collection that is not there is 404 before a position that never was is 400."""
    try:
        return opened(text)
    except ApiError:
        known(listing)
        raise


def behind(listing: Listing, members: tuple[str, ...], limit: int, position: int | None) -> Page:
    rows = listing.beside(members, position, limit + 1)
    return Page(rows[:limit], more_before=position is not None, more_behind=len(rows) > limit)


def ahead(listing: Listing, members: tuple[str, ...], limit: int, position: int | None) -> Page:
    rows = listing.beside(members, position, limit + 1, backward=True)
    return Page(rows[-limit:], more_before=len(rows) > limit, more_behind=position is not None)


def base_url(**filters: str) -> str:
    """The URL of the request so far that something can be added to its query."""
    fields = asked_fields()
    if fields is not None:
        filters['fields'] = fields
    return quote(request.path) + '?' + ''.join(f'{name}={quote(value, ",")}&' for name, value in filters.items())
