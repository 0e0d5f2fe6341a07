"""The feed: the newest posts of the viewer and of the users they follow.

Two strategies find the ids of a page. Both read few posts, however many exist.

1. Read the posts nearest to the cursor, or the newest ones: twice as many as the viewer follows users. A viewer who
   follows many users finds a full page there.
2. If that page is not full, search by author. For each author, look up only the nearest post, in the index on authors.
   The `limit` nearest of these posts determine which authors can be on the page, and no post beyond the last of them
   can be. For each of these authors, read at most `limit` posts, and none beyond that one.
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
    """A paged select with its own query for a keyset page."""

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
    """The range of `limit` posts after the cursor, to older posts or, in reverse, to newer ones."""

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
    """Return a subquery of the post ids of a page."""
    recent = recent_post_ids(keyset)
    found = select(func.count()).select_from(recent).scalar_subquery()
    by_author = post_ids_by_author(keyset, lateral, found < keyset.limit)
    return union_all(select(recent.c.id).where(found == keyset.limit), select(by_author.c.id)).subquery()


def recent_post_ids(keyset: KeysetRange) -> CTE:
    """Return a CTE of the ids that the first strategy finds: those among the posts nearest to the cursor."""
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
    """Return a subquery of the ids that the second strategy finds. needed: if false in SQL, no author is looked up."""
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
    """Return a CTE of the authors who can be on the page, each with the id of their nearest post."""
    followed = select(Follow.followed_id.label('author_id')).where(Follow.follower_id == VIEWER, needed)
    sources = followed.union_all(select(VIEWER).where(needed)).cte('sources')
    nearest = (
        select(Post.id)
        .where(Post.author_id == sources.c.author_id, keyset.after_cursor(Post.id))
        .order_by(keyset.order(Post.id))
        .limit(inline_int(1))
        .scalar_subquery()
    )
    # Otherwise PostgreSQL looks up the post of each author twice, for the condition and again for the order.
    candidates = select(sources.c.author_id, nearest.label('nearest')).cte('candidates').prefix_with('MATERIALIZED')
    return (
        select(candidates)
        .where(candidates.c.nearest.is_not(None))
        .order_by(keyset.order(candidates.c.nearest))
        .limit(keyset.limit)
        .cte('authors')
    )


def author_cutoff(authors: CTE, keyset: KeysetRange) -> Any:
    """Return a subquery of the last id that can be on the page.

    If there are `limit` authors, their nearest posts alone fill a page, so it is the farthest of these. Otherwise there
    is no bound.
    """
    endless = literal(MAX_POST_ID if keyset.reverse else 0)
    farthest = keyset.farthest(authors.c.nearest)
    return select(case((func.count() == keyset.limit, farthest), else_=endless)).select_from(authors).scalar_subquery()
