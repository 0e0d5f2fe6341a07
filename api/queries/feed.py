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

from api.db.selects import AnyRow, AnySelect, PagedSelect, inline_int, paged_select, select_columns
from api.db.session import db
from api.models import Follow, Post, User
from api.queries.posts import posts_for

CURSOR: Any = bindparam('_cursor')
VIEWER: Any = bindparam('viewer')
MAX_POST_ID = 2**63 - 1
CANDIDATES_PER_FOLLOWED = 2


class FeedSelect(PagedSelect):
    """A listing whose rows are found in a way of their own."""

    def keyset_page(
        self, columns: tuple[str, ...], cursor: int | None, limit: int, *, reverse: bool = False
    ) -> Sequence[AnyRow]:
        lateral = db.engine.dialect.name == 'postgresql'
        prepared = self.rows.prepared.derive(
            ('feed', columns, limit, cursor is None, reverse, lateral),
            lambda select: feed_page(select, columns, KeysetRange(limit, cursor is None, reverse), lateral),
        )
        rows = prepared.rows(self.rows.arguments | {'_cursor': cursor})
        return rows[::-1] if reverse else rows


@paged_select(order=Post.id.desc(), paged_class=FeedSelect)
def feed_for(viewer: Any) -> AnySelect:
    return posts_for(viewer)


def feed_page(posts: AnySelect, columns: tuple[str, ...], keyset: 'KeysetRange', lateral: bool) -> AnySelect:
    ids = feed_ids(keyset, lateral)
    posts = select_columns(posts, columns).add_columns(Post.id.label('cursor')).join(ids, ids.c.id == Post.id)
    return posts.order_by(keyset.order(Post.id))


class KeysetRange:
    """So many posts from a position on, to older ones or, backward, to newer ones."""

    def __init__(self, limit: int, first_page: bool, reverse: bool):
        self.limit: Any = inline_int(limit)
        self.first_page, self.reverse = first_page, reverse
        self.farthest: Any = func.max if reverse else func.min

    def after_cursor(self, id: Any) -> Any:
        if self.first_page:
            return true()
        return id > CURSOR if self.reverse else id < CURSOR

    def up_to(self, id: Any, last: Any) -> Any:
        return id <= last if self.reverse else id >= last

    def order(self, id: Any) -> Any:
        return id.asc() if self.reverse else id.desc()


def feed_ids(keyset: KeysetRange, lateral: bool) -> Subquery:
    """The ids of the posts of a page."""
    recent = recent_post_ids(keyset)
    found = select(func.count()).select_from(recent).scalar_subquery()
    by_author = post_ids_by_author(keyset, lateral, found < keyset.limit)
    return union_all(select(recent.c.id).where(found == keyset.limit), select(by_author.c.id)).subquery()


def recent_post_ids(keyset: KeysetRange) -> CTE:
    """Those among the posts that are nearest of all."""
    following = select(User.following_count).where(User.id == VIEWER).scalar_subquery()
    candidate_limit = CANDIDATES_PER_FOLLOWED * func.coalesce(following, 0)
    nearest = (
        select(Post.id, Post.author_id)
        .where(keyset.after_cursor(Post.id))
        .order_by(keyset.order(Post.id))
        .limit(candidate_limit)
        .subquery('nearest')
    )
    followed = select(Follow.followed_id).where(Follow.follower_id == VIEWER)
    return (
        select(nearest.c.id)
        .where(or_(nearest.c.author_id == VIEWER, nearest.c.author_id.in_(followed)))
        .order_by(keyset.order(nearest.c.id))
        .limit(keyset.limit)
        .cte('recent')
    )


def post_ids_by_author(keyset: KeysetRange, lateral: bool, needed: Any) -> Subquery:
    """Those of the authors who can be on the page. needed: a condition without which nobody is looked up."""
    authors = nearest_authors(keyset, needed)
    post = aliased(Post)
    author_posts = (
        select(post.id.label('id'))
        .where(
            post.author_id == authors.c.author_id,
            keyset.after_cursor(post.id),
            keyset.up_to(post.id, author_cutoff(authors, keyset)),
        )
        .order_by(keyset.order(post.id))
        .limit(keyset.limit)
        .correlate(authors)
    )
    if lateral:
        found: Any = author_posts.lateral().c
        ids = select(found.id).select_from(authors).join(found.id.table, true())
    else:
        found = aliased(Post)
        ids = select(found.id).select_from(authors).join(found, found.id.in_(author_posts))
    return ids.order_by(keyset.order(found.id)).limit(keyset.limit).subquery()


def nearest_authors(keyset: KeysetRange, needed: Any) -> CTE:
    """The authors of the nearest posts, each with the id of their nearest: no other can be on the page."""
    followed = select(Follow.followed_id.label('author_id')).where(Follow.follower_id == VIEWER, needed)
    sources = followed.union_all(select(VIEWER).where(needed)).cte('sources')
    nearest = (
        select(Post.id)
        .where(Post.author_id == sources.c.author_id, keyset.after_cursor(Post.id))
        .order_by(keyset.order(Post.id))
        .limit(inline_int(1))
        .scalar_subquery()
    )
    # Else PostgreSQL looks each author's post up twice, for the condition and again for the order.
    candidates = select(sources.c.author_id, nearest.label('nearest')).cte('candidates').prefix_with('MATERIALIZED')
    return (
        select(candidates)
        .where(candidates.c.nearest.is_not(None))
        .order_by(keyset.order(candidates.c.nearest))
        .limit(keyset.limit)
        .cte('authors')
    )


def author_cutoff(authors: CTE, keyset: KeysetRange) -> Any:
    """How far to look: where there are as many authors as posts on a page, their nearest ones would do."""
    endless = literal(MAX_POST_ID if keyset.reverse else 0)
    farthest = keyset.farthest(authors.c.nearest)
    return select(case((func.count() == keyset.limit, farthest), else_=endless)).select_from(authors).scalar_subquery()
