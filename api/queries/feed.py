"""The feed: the newest posts of whom one follows, and one's own.

Two ways lead to the ids of a page, and both look at few posts however many there are. Who follows many finds a page
among the posts that were written last, or nearest to the position: twice as many of these are looked at as one follows
people. Where that is not enough, authors are asked. Of each author only the nearest post is looked up in the index of
authors; the `limit` nearest of those tell which authors can be on the page at all, and beyond the last of them nothing
can be. Of these authors `limit` posts at most are looked at, no farther than that.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Subquery, bindparam, case, func, literal, or_, select, true, union_all
from sqlalchemy.orm import aliased

from api.extensions import db
from api.models import Follow, Post, User
from api.queries.posts import posts_for
from api.queries.query import AnyRow, AnySelect, Listing, listing, narrow

POSITION: Any = bindparam('_position')
LIMIT: Any = bindparam('_limit')
VIEWER: Any = bindparam('viewer')
LAST_ID = 2**63 - 1
RECENT_FOR_EACH = 2


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
    recent = recent_ids(direction)
    found = select(func.count()).select_from(recent).scalar_subquery()
    asked = ids_by_authors(direction, lateral, found < LIMIT)
    return union_all(select(recent.c.id).where(found == LIMIT), select(asked.c.id)).subquery()


def recent_ids(direction: Direction) -> CTE:
    """Those among the posts that are nearest of all."""
    following = select(User.following_count).where(User.id == VIEWER).scalar_subquery()
    looked_at = RECENT_FOR_EACH * func.coalesce(following, 0)
    nearest = (
        select(Post.id, Post.author_id)
        .where(direction.beyond_position(Post.id))
        .order_by(direction.ordered(Post.id))
        .limit(looked_at)
        .subquery('nearest')
    )
    followed = select(Follow.followed_id).where(Follow.follower_id == VIEWER)
    return (
        select(nearest.c.id)
        .where(or_(nearest.c.author_id == VIEWER, nearest.c.author_id.in_(followed)))
        .order_by(direction.ordered(nearest.c.id))
        .limit(LIMIT)
        .cte('recent')
    )


def ids_by_authors(direction: Direction, lateral: bool, needed: Any) -> Subquery:
    """Those of the authors who can be on the page. needed: a condition without which nobody is looked up."""
    authors = nearest_authors(direction, needed)
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


def nearest_authors(direction: Direction, needed: Any) -> CTE:
    """The authors of the nearest posts, each with the id of their nearest: no other can be on the page."""
    followed = select(Follow.followed_id.label('author_id')).where(Follow.follower_id == VIEWER, needed)
    sources = followed.union_all(select(VIEWER).where(needed)).cte('sources')
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
