"""Pages of a timeline: a collection without numbers and totals, whose links are positions.

The link to what is newer is always there, so that a client can poll it; an empty answer has it again. Nothing gets an
id below one that could be seen before it (see `actions.posts.in_turn`), so polling misses nothing.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from flask import Response

from api.edge.pages import Links, Page, ahead, asking, base_url, behind, item_members, known, opened_in, respond_linked
from api.edge.positions import sealed
from api.edge.replica import read_anywhere
from api.edge.sparse import wanted
from api.edge.views import note
from api.queries.query import AnyRow, Listing
from api.schemas.collections import TimelineRequestSchema, TimelineSchema

FIRST_ID = 1


class Meta(NamedTuple):
    per_page: int


class Timeline(NamedTuple):
    items: Sequence[AnyRow]
    meta: Meta
    links: Links


def timeline(schema: type[TimelineSchema]) -> Callable[[Callable[..., Listing]], Callable[..., Any]]:
    """For views that return a listing: answers with the part that the query string asks for.

    One statement reads the rows; where there is none, another finds out whether the timeline exists (404).
    """
    instance = schema()

    def decorate(view: Callable[..., Listing]) -> Callable[..., Any]:
        note(view, response=instance, status_code=200, description=None, paged=True)

        @wraps(view)
        def page(asked: dict[str, Any], **kwargs: Any) -> Response:
            shape = wanted(instance)
            found = read_anywhere(lambda: read(view(**kwargs), item_members(shape), **asked))
            return respond_linked(shape, found)

        return asking(TimelineRequestSchema)(page)

    return decorate


def read(
    listing: Listing, members: tuple[str, ...], per_page: int, after: str | None = None, before: str | None = None
) -> Timeline:
    if before is not None and after is None:
        position = opened_in(listing, before)
        found = ahead(listing, members, per_page, position)
    else:
        position = opened_in(listing, after or '')
        found = behind(listing, members, per_page, position)
    if not found.rows:
        known(listing)
    first, last = bounds(listing, found, position, backward=before is not None and after is None)
    return Timeline(found.rows, Meta(per_page), links(listing, found, first, last, f'{base_url()}per_page={per_page}'))


def links(listing: Listing, found: Page, first: int, last: int, base: str) -> Links:
    more_behind = found.more_behind or not listing.descending
    more_before = found.more_before or listing.descending
    return Links(
        base,
        f'{base}&after={sealed(last)}' if more_behind else None,
        f'{base}&before={sealed(first)}' if more_before else None,
        base,
        f'{base}&before=',
    )


def bounds(listing: Listing, found: Page, position: int | None, *, backward: bool) -> tuple[int, int]:
    """What lies before `first` and behind `last` is not on the page, and nothing else is not.

    An empty page lies beyond the position that was asked for, whose own row is on its other side; or before the first
    id.
    """
    if found.rows:
        return found.rows[0].position, found.rows[-1].position
    if position is None:
        return FIRST_ID - 1, FIRST_ID - 1
    other_side = max(position + (1 if listing.descending == backward else -1), FIRST_ID - 1)
    return (position, other_side) if backward else (other_side, position)
