"""Liking and unliking posts.

The post is locked first, so that a concurrent deletion happens entirely before or after. Then the user is locked, so
that the ids of their likes are assigned in commit order: a client that polls a user's likes misses none.
"""

from sqlalchemy import select, update

from api.actions.rows import delete_if_present, insert_if_absent, lock_user
from api.clock import utcnow
from api.db.session import db
from api.errors import NotFoundError
from api.models import Like, Post


def like_post(*, actor: int, id: int) -> None:
    """Make the actor like a post. Do nothing if they already do."""
    lock_post(id)
    lock_user(actor)
    if insert_if_absent(Like, user_id=actor, post_id=id, created_at=utcnow()):
        adjust_like_count(id, 1)


def unlike_post(*, actor: int, id: int) -> None:
    """Make the actor unlike a post. Do nothing if they do not like it."""
    lock_post(id)
    if delete_if_present(Like, user_id=actor, post_id=id):
        adjust_like_count(id, -1)


def lock_post(id: int) -> None:
    if db.session.scalar(select(Post.id).where(Post.id == id).with_for_update(key_share=True)) is None:
        raise NotFoundError


def adjust_like_count(id: int, delta: int) -> None:
    db.session.execute(update(Post).where(Post.id == id).values(like_count=Post.like_count + delta))
