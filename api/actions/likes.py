"""Who likes what. The post is locked first, so that whoever deletes it meanwhile comes before or after.

Then the user is, so that the ids of their likes are given out in the order of the commits: whoever polls what they like
misses nothing.
"""

from sqlalchemy import select, update

from api.actions.rows import delete_once, insert_once, lock_user
from api.clock import utcnow
from api.errors import NotFoundError
from api.extensions import db
from api.models import Like, Post


def like_post(*, actor: int, id: int) -> None:
    """Makes the actor like a post. Does nothing where they do already."""
    lock(id)
    lock_user(actor)
    if insert_once(Like, user_id=actor, post_id=id, created_at=utcnow()):
        count(id, 1)


def unlike_post(*, actor: int, id: int) -> None:
    """Makes the actor not like a post. Does nothing where they do not."""
    lock(id)
    if delete_once(Like, user_id=actor, post_id=id):
        count(id, -1)


def lock(id: int) -> None:
    if db.session.scalar(select(Post.id).where(Post.id == id).with_for_update(key_share=True)) is None:
        raise NotFoundError


def count(id: int, step: int) -> None:
    db.session.execute(update(Post).where(Post.id == id).values(like_count=Post.like_count + step))
