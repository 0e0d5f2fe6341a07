"""Posts, as a viewer sees them, in all the orders in which they are read.

viewer: the id of the user who asks, for whom a post is liked or not.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from api.models import Like, Post, PostVersion, User
from api.queries.query import AnySelect, listing, query
from api.queries.users import EVERYTHING


def posts_for(viewer: Any) -> AnySelect:
    """Posts with their authors."""
    theirs = aliased(Like)
    like = select(theirs.id).where(theirs.user_id == viewer, theirs.post_id == Post.id)
    return select(
        *Post.__table__.columns,
        User.username.label('author_username'),
        User.email.label('author_email'),
        # Of EXISTS PostgreSQL makes a hash table of everything that the viewer likes.
        like.scalar_subquery().is_not(None).label('liked'),
    ).join(User, User.id == Post.author_id)


@query
def get_post(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.id == id)


@query
def author_of(id: Any) -> AnySelect:
    """Who wrote a post; no row where there is none."""
    return select(Post.author_id).where(Post.id == id)


@query
def like_total(id: Any) -> AnySelect:
    return select(Post.like_count).where(Post.id == id)


@query
def is_liked(id: Any, viewer: Any) -> AnySelect:
    return select(Like.id).where(Like.post_id == id, Like.user_id == viewer)


@query
def post_total(id: Any) -> AnySelect:
    """How many posts a user has; no row where there is no such user."""
    return select(User.post_count).where(User.id == id)


@listing(order=Post.id.desc())
def all_posts(viewer: Any) -> AnySelect:
    return posts_for(viewer)


@listing(order=Post.id.desc(), exists=post_total)
def posts_by(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.author_id == id)


@listing(order=Post.id, exists=author_of)
def replies_to(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.reply_to_id == id)


@listing(order=Post.id, exists=author_of)
def thread_of(id: Any, viewer: Any) -> AnySelect:
    """What a post answers, what that answers, and so on, from the first; then the post."""
    thread = select(Post.id, Post.reply_to_id).where(Post.id == id).cte('thread', recursive=True)
    thread = thread.union_all(select(Post.id, Post.reply_to_id).where(Post.id == thread.c.reply_to_id))
    return posts_for(viewer).where(Post.id.in_(select(thread.c.id)))


@listing(order=PostVersion.id.desc(), exists=author_of)
def versions_of(id: Any) -> AnySelect:
    """What a post said before, the latest first."""
    return select(PostVersion.text, PostVersion.written_at).where(PostVersion.post_id == id)


@listing(order=Like.id.desc(), total=like_total)
def who_likes(id: Any) -> AnySelect:
    return select(*EVERYTHING).join(Like, Like.user_id == User.id).where(Like.post_id == id)


@listing(order=Like.id.desc(), exists=post_total)
def liked_by(id: Any, viewer: Any) -> AnySelect:
    """What a user likes, the latest like first."""
    return posts_for(viewer).join(Like, Like.post_id == Post.id).where(Like.user_id == id)
