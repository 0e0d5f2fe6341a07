"""Posts, their likes and their versions.

viewer: the id of the caller, which determines the column `liked`.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from api.db.selects import AnySelect, bound_select, paged_select
from api.models import Like, Post, PostVersion, User
from api.queries.users import ALL_COLUMNS


def posts_for(viewer: Any) -> AnySelect:
    """Return a select of posts with their authors and whether the viewer likes them."""
    viewer_like = aliased(Like)
    like = select(viewer_like.id).where(viewer_like.user_id == viewer, viewer_like.post_id == Post.id)
    return select(
        *Post.__table__.columns,
        User.username.label('author_username'),
        User.email.label('author_email'),
        # For EXISTS, PostgreSQL would build a hash table of all posts that the viewer likes.
        like.scalar_subquery().is_not(None).label('liked'),
    ).join(User, User.id == Post.author_id)


@bound_select
def get_post(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.id == id)


@bound_select
def get_post_author(id: Any) -> AnySelect:
    """Select the author of a post; no row if the post does not exist."""
    return select(Post.author_id).where(Post.id == id)


@bound_select
def count_post_likes(id: Any) -> AnySelect:
    return select(Post.like_count).where(Post.id == id)


@bound_select
def get_like(id: Any, viewer: Any) -> AnySelect:
    return select(Like.id).where(Like.post_id == id, Like.user_id == viewer)


@bound_select
def count_user_posts(id: Any) -> AnySelect:
    """Select the number of posts of a user; no row if the user does not exist."""
    return select(User.post_count).where(User.id == id)


@paged_select(order=Post.id.desc())
def list_posts(viewer: Any) -> AnySelect:
    return posts_for(viewer)


@paged_select(order=Post.id.desc(), exists_query=count_user_posts)
def list_user_posts(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.author_id == id)


@paged_select(order=Post.id, exists_query=get_post_author)
def list_replies(id: Any, viewer: Any) -> AnySelect:
    return posts_for(viewer).where(Post.reply_to_id == id)


@paged_select(order=Post.id, exists_query=get_post_author)
def list_thread(id: Any, viewer: Any) -> AnySelect:
    """Select the chain of parents of a post, from the first one, and then the post itself."""
    thread = select(Post.id, Post.reply_to_id).where(Post.id == id).cte('thread', recursive=True)
    thread = thread.union_all(select(Post.id, Post.reply_to_id).where(Post.id == thread.c.reply_to_id))
    return posts_for(viewer).where(Post.id.in_(select(thread.c.id)))


@paged_select(order=PostVersion.id.desc(), exists_query=get_post_author)
def list_post_versions(id: Any) -> AnySelect:
    """Select the previous versions of a post, newest first."""
    return select(PostVersion.text, PostVersion.written_at).where(PostVersion.post_id == id)


@paged_select(order=Like.id.desc(), count_query=count_post_likes)
def list_likers(id: Any) -> AnySelect:
    return select(*ALL_COLUMNS).join(Like, Like.user_id == User.id).where(Like.post_id == id)


@paged_select(order=Like.id.desc(), exists_query=count_user_posts)
def list_liked_posts(id: Any, viewer: Any) -> AnySelect:
    """Select the posts that a user likes, newest like first."""
    return posts_for(viewer).join(Like, Like.post_id == Post.id).where(Like.user_id == id)
