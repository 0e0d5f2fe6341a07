"""The feed: the newest posts of whom one follows, and one's own.

However many posts there are, few are looked at. Of each author only the nearest post is looked up in the index of
authors; the `limit` nearest of those tell which authors can be on the page at all, and beyond the last of them nothing
can be. Of these authors `limit` posts at most are looked at, no farther than that.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Subquery, bindparam, case, func, literal, select, true
from sqlalchemy.orm import aliased

from api.extensions import db
from api.models import Follow, Post
from api.queries.posts import posts_for
from api.queries.query import AnyRow, AnySelect, Listing, listing, narrow

POSITION: Any = bindparam('_position')
LIMIT: Any = bindparam('_limit')
LAST_ID = 2**63 - 1


class Feed(Listing):
    """A listing whose rows are found in a way of their own."""

    def beside(
        self, members: tuple[str, ...], position: int | None, limit: int, *, backward: bool = False
    ) -> Sequence[AnyRow]:
        lateral = db.engine.dialect.name == 'postgresql'
        prepared = self.rows.prepared.derive(
            ('feed', members, position is None, backward, lateral),
            lambda select: page(select, members, position is None, backward, lateral),
        )
        rows = prepared.rows(self.rows.arguments | {'_position': position, '_limit': limit})
        return rows[::-1] if backward else rows


@listing(order=Post.id.desc(), kind=Feed)
def feed_of(viewer: Any) -> AnySelect:
    return posts_for(viewer)


def page(posts: AnySelect, members: tuple[str, ...], outermost: bool, backward: bool, lateral: bool) -> AnySelect:
    ids = feed_ids(Direction(outermost, backward), lateral)
    order = Post.id if backward else Post.id.desc()
    return narrow(posts, members).add_columns(Post.id.label('position')).join(ids, ids.c.id == Post.id).order_by(order)


class Direction:
    """From a position to older posts or, backward, to newer ones."""

    def __init__(self, outermost: bool, backward: bool):
        self.outermost, self.backward = outermost, backward
        self.farthest: Any = func.max if backward else func.min

    def beyond_position(self, id: Any) -> Any:
        if self.outermost:
            return true()
        return id > POSITION if self.backward else id < POSITION

    def not_beyond(self, id: Any, last: Any) -> Any:
        return id <= last if self.backward else id >= last

    def ordered(self, id: Any) -> Any:
        return id.asc() if self.backward else id.desc()


def feed_ids(direction: Direction, lateral: bool) -> Subquery:
    """The ids of the posts of a page."""
    authors = nearest_authors(direction)
    post = aliased(Post)
    theirs = (
        select(post.id.label('id'))
        .where(
            post.author_id == authors.c.author_id,
            direction.beyond_position(post.id),
            direction.not_beyond(post.id, last_of(authors, direction)),
        )
        .order_by(direction.ordered(post.id))
        .limit(LIMIT)
        .correlate(authors)
    )
    if lateral:
        found: Any = theirs.lateral().c
        ids = select(found.id).select_from(authors).join(found.id.table, true())
    else:
        found = aliased(Post)
        ids = select(found.id).select_from(authors).join(found, found.id.in_(theirs))
    return ids.order_by(direction.ordered(found.id)).limit(LIMIT).subquery()


def nearest_authors(direction: Direction) -> CTE:
    """The authors of the nearest posts, each with the id of their nearest: no other can be on the page."""
    viewer: Any = bindparam('viewer')
    followed = select(Follow.followed_id.label('author_id')).where(Follow.follower_id == viewer)
    sources = followed.union_all(select(viewer)).cte('sources')
    nearest = (
        select(Post.id)
        .where(Post.author_id == sources.c.author_id, direction.beyond_position(Post.id))
        .order_by(direction.ordered(Post.id))
        .limit(1)
        .scalar_subquery()
    )
    # Else PostgreSQL looks each author's post up twice, for the condition and again for the order.
    candidates = select(sources.c.author_id, nearest.label('nearest')).cte('candidates').prefix_with('MATERIALIZED')
    return (
        select(candidates)
        .where(candidates.c.nearest.is_not(None))
        .order_by(direction.ordered(candidates.c.nearest))
        .limit(LIMIT)
        .cte('authors')
    )


def last_of(authors: CTE, direction: Direction) -> Any:
    """How far to look: where there are as many authors as posts on a page, their nearest ones would do."""
    endless = literal(LAST_ID if direction.backward else 0)
    farthest = direction.farthest(authors.c.nearest)
    return select(case((func.count() == LIMIT, farthest), else_=endless)).select_from(authors).scalar_subquery()
