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
from api.queries.query import AnyRow, AnySelect, Listing, in_words, listing, narrow

POSITION: Any = bindparam('_position')
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
            ('feed', members, limit, position is None, backward, lateral),
            lambda select: page(select, members, Stretch(limit, position is None, backward), lateral),
        )
        rows = prepared.rows(self.rows.arguments | {'_position': position})
        return rows[::-1] if backward else rows


@listing(order=Post.id.desc(), kind=Feed)
def feed_of(viewer: Any) -> AnySelect:
    return posts_for(viewer)


def page(posts: AnySelect, members: tuple[str, ...], stretch: 'Stretch', lateral: bool) -> AnySelect:
    ids = feed_ids(stretch, lateral)
    posts = narrow(posts, members).add_columns(Post.id.label('position')).join(ids, ids.c.id == Post.id)
    return posts.order_by(stretch.ordered(Post.id))


class Stretch:
    """So many posts from a position on, to older ones or, backward, to newer ones."""

    def __init__(self, limit: int, outermost: bool, backward: bool):
        self.limit: Any = in_words(limit)
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


def feed_ids(stretch: Stretch, lateral: bool) -> Subquery:
    """The ids of the posts of a page."""
    recent = recent_ids(stretch)
    found = select(func.count()).select_from(recent).scalar_subquery()
    asked = ids_by_authors(stretch, lateral, found < stretch.limit)
    return union_all(select(recent.c.id).where(found == stretch.limit), select(asked.c.id)).subquery()


def recent_ids(stretch: Stretch) -> CTE:
    """Those among the posts that are nearest of all."""
    following = select(User.following_count).where(User.id == VIEWER).scalar_subquery()
    looked_at = RECENT_FOR_EACH * func.coalesce(following, 0)
    nearest = (
        select(Post.id, Post.author_id)
        .where(stretch.beyond_position(Post.id))
        .order_by(stretch.ordered(Post.id))
        .limit(looked_at)
        .subquery('nearest')
    )
    followed = select(Follow.followed_id).where(Follow.follower_id == VIEWER)
    return (
        select(nearest.c.id)
        .where(or_(nearest.c.author_id == VIEWER, nearest.c.author_id.in_(followed)))
        .order_by(stretch.ordered(nearest.c.id))
        .limit(stretch.limit)
        .cte('recent')
    )


def ids_by_authors(stretch: Stretch, lateral: bool, needed: Any) -> Subquery:
    """Those of the authors who can be on the page. needed: a condition without which nobody is looked up."""
    authors = nearest_authors(stretch, needed)
    post = aliased(Post)
    theirs = (
        select(post.id.label('id'))
        .where(
            post.author_id == authors.c.author_id,
            stretch.beyond_position(post.id),
            stretch.not_beyond(post.id, last_of(authors, stretch)),
        )
        .order_by(stretch.ordered(post.id))
        .limit(stretch.limit)
        .correlate(authors)
    )
    if lateral:
        found: Any = theirs.lateral().c
        ids = select(found.id).select_from(authors).join(found.id.table, true())
    else:
        found = aliased(Post)
        ids = select(found.id).select_from(authors).join(found, found.id.in_(theirs))
    return ids.order_by(stretch.ordered(found.id)).limit(stretch.limit).subquery()


def nearest_authors(stretch: Stretch, needed: Any) -> CTE:
    """The authors of the nearest posts, each with the id of their nearest: no other can be on the page."""
    followed = select(Follow.followed_id.label('author_id')).where(Follow.follower_id == VIEWER, needed)
    sources = followed.union_all(select(VIEWER).where(needed)).cte('sources')
    nearest = (
        select(Post.id)
        .where(Post.author_id == sources.c.author_id, stretch.beyond_position(Post.id))
        .order_by(stretch.ordered(Post.id))
        .limit(in_words(1))
        .scalar_subquery()
    )
    # Else PostgreSQL looks each author's post up twice, for the condition and again for the order.
    candidates = select(sources.c.author_id, nearest.label('nearest')).cte('candidates').prefix_with('MATERIALIZED')
    return (
        select(candidates)
        .where(candidates.c.nearest.is_not(None))
        .order_by(stretch.ordered(candidates.c.nearest))
        .limit(stretch.limit)
        .cte('authors')
    )


def last_of(authors: CTE, stretch: Stretch) -> Any:
    """How far to look: where there are as many authors as posts on a page, their nearest ones would do."""
    endless = literal(LAST_ID if stretch.backward else 0)
    farthest = stretch.farthest(authors.c.nearest)
    return select(case((func.count() == stretch.limit, farthest), else_=endless)).select_from(authors).scalar_subquery()
