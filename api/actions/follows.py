"""Following and unfollowing users.

Both user rows are locked first, in id order. Otherwise two users who follow each other at the same time could deadlock.
"""

from sqlalchemy import select, update

from api.actions.rows import delete_if_present, insert_if_absent
from api.clock import utcnow
from api.db.session import db
from api.errors import ApiError, NotFoundError, UnauthorizedError
from api.models import Follow, User
from api.problems import CANNOT_FOLLOW_SELF


def follow_user(*, actor: int, id: int) -> None:
    """Make the actor follow a user. Do nothing if they already do."""
    lock_both(actor, id)
    if insert_if_absent(Follow, follower_id=actor, followed_id=id, created_at=utcnow()):
        adjust_follow_counts(actor, id, 1)


def unfollow_user(*, actor: int, id: int) -> None:
    """Make the actor unfollow a user. Do nothing if they do not follow them."""
    lock_both(actor, id)
    if delete_if_present(Follow, follower_id=actor, followed_id=id):
        adjust_follow_counts(actor, id, -1)


def lock_both(actor: int, id: int) -> None:
    """Lock both user rows.

    Raise ApiError (400) if the user is the actor, UnauthorizedError if the actor's account is deleted or disabled, and
    NotFoundError if the user does not exist.
    """
    if actor == id:
        raise ApiError(CANNOT_FOLLOW_SELF)
    users = select(User.id, User.disabled_at).where(User.id.in_([actor, id])).order_by(User.id)
    rows = {user.id: user for user in db.session.execute(users.with_for_update(key_share=True))}
    if actor not in rows or rows[actor].disabled_at:
        raise UnauthorizedError
    if id not in rows:
        raise NotFoundError


def adjust_follow_counts(follower: int, followed: int, delta: int) -> None:
    following = update(User).where(User.id == follower)
    db.session.execute(following.values(following_count=User.following_count + delta))
    db.session.execute(update(User).where(User.id == followed).values(follower_count=User.follower_count + delta))
