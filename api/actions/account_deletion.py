"""Account deletion, including all rows that belong to the account.

The account is disabled at once. Its rows are deleted in batches of bounded size, each in a transaction that leaves
every counter exact. A small account is deleted in the transaction that disables it; the worker deletes the rest of a
large one. To avoid deadlocks, each batch locks the rows it changes before it changes any, in the order that all writers
use: posts before users, each in id order.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, or_, select, update

from api.actions.jobs import DELETE_ACCOUNT, enqueue
from api.actions.tokens import revoke_user_tokens
from api.clock import utcnow
from api.db.session import db
from api.errors import UnauthorizedError
from api.models import Follow, Job, Like, Post, TableCount, User

BATCH_SIZE = 500  # rows per table


class DeletionBatch(NamedTuple):
    """Post ids of one batch, at most BATCH_SIZE per list: own posts, liked posts and replies to own posts."""

    own: list[int]
    liked: list[int]
    replies: list[int]


def delete_account(*, actor: int, credentials_version: int) -> None:
    """Disable the actor's account and delete it, in the background if it is large.

    Raise UnauthorizedError if the account is disabled or its credentials have changed since they were checked.
    """
    batch, follow_ids = lock_posts(actor), lock_users(actor)
    if not disable_account(actor, credentials_version):
        raise UnauthorizedError
    if not delete_rows(actor, batch, follow_ids):
        enqueue(DELETE_ACCOUNT, user_id=actor)


def disable_account(user_id: int, credentials_version: int | None = None) -> bool:
    """Disable an account, revoke its credentials and return whether it was found.

    If a credentials version is given, the account is found only if it has that version and is not disabled.
    """
    statement = update(User).where(User.id == user_id)
    if credentials_version is not None:
        statement = statement.where(User.credentials_version == credentials_version, User.disabled_at.is_(None))
    statement = statement.values(disabled_at=utcnow(), credentials_version=User.credentials_version + 1)
    is_closed = db.session.connection().execute(statement).rowcount > 0
    revoke_user_tokens(user_id)
    return is_closed


def enable_account(user_id: int) -> bool:
    """Enable a disabled account. Return False if it does not exist or its deletion is pending."""
    pending_deletion = exists().where(Job.type == DELETE_ACCOUNT, Job.user_id == user_id)
    statement = update(User).where(User.id == user_id, ~pending_deletion).values(disabled_at=None)
    return db.session.connection().execute(statement).rowcount > 0


def delete_batch(user_id: int) -> bool:
    """Delete one batch of a disabled account. Return True if it was the last."""
    return delete_rows(user_id, lock_posts(user_id), lock_users(user_id))


def lock_posts(user_id: int) -> DeletionBatch:
    """Lock the posts that the next batch changes and return their ids. Call it before `lock_users`."""
    own = batch_ids(select(Post.id).where(Post.author_id == user_id).order_by(Post.id))
    liked = batch_ids(select(Like.post_id).where(Like.user_id == user_id).order_by(Like.id))
    replies = batch_ids(select(Post.id).where(Post.reply_to_id.in_(own)).order_by(Post.id))
    parents = batch_ids(select(Post.reply_to_id).where(Post.id.in_(own), Post.reply_to_id.is_not(None)))
    lock_rows(Post, {*own, *liked, *replies, *parents})
    return DeletionBatch(own, liked, replies)


def lock_users(user_id: int) -> list[int]:
    """Lock the user and both users of each follow in the next batch. Return the ids of these follows."""
    follow_ids = batch_ids(select(Follow.id).where(or_(Follow.follower_id == user_id, Follow.followed_id == user_id)))
    pairs = db.session.execute(select(Follow.follower_id, Follow.followed_id).where(Follow.id.in_(follow_ids))).all()
    lock_rows(User, {user_id, *(id for pair in pairs for id in pair)})
    return follow_ids


def delete_rows(user_id: int, posts: DeletionBatch, follow_ids: list[int]) -> bool:
    """Delete one batch, and the account if no other row is left. Return True if the account was deleted."""
    delete_likes(Like.user_id == user_id, Like.post_id.in_(posts.liked))
    deleted_likes = delete_likes(
        Like.id.in_(batch_ids(select(Like.id).where(Like.post_id.in_(posts.own)).order_by(Like.id)))
    )
    detach_replies(posts.replies)
    delete_posts(user_id, posts.own, without_references=BATCH_SIZE in (deleted_likes, len(posts.replies)))
    delete_follows(follow_ids)
    if has_remaining_rows(user_id):
        return False
    delete_user(user_id)
    return True


def has_remaining_rows(user_id: int) -> bool:
    """Return whether the account still owns rows.

    It cannot add any: its writes wait for the lock on the user row and then find the account disabled.
    """
    conditions = (Post.author_id == user_id, Like.user_id == user_id, Follow.follower_id == user_id)
    remaining = [exists().where(owned) for owned in (*conditions, Follow.followed_id == user_id)]
    return bool(db.session.scalar(select(or_(*remaining))))


def delete_likes(*conditions: Any) -> int:
    """Delete the matching likes and return their number."""
    posts = db.session.scalars(delete(Like).where(*conditions).returning(Like.post_id)).all()
    decrement(Post.like_count, Counter(posts))
    return len(posts)


def detach_replies(replies: list[int]) -> None:
    """Set `reply_to_id` of these replies to NULL and update the reply counts."""
    parents: Any = db.session.scalars(
        select(Post.reply_to_id).where(Post.id.in_(replies), Post.reply_to_id.is_not(None))
    )
    decrement(Post.reply_count, Counter(parents))
    db.session.execute(update(Post).where(Post.id.in_(replies)).values(reply_to_id=None))


def delete_posts(user_id: int, own: list[int], *, without_references: bool) -> None:
    """Delete these posts. without_references: skip posts with likes or replies, which the next batch deletes."""
    statement = delete(Post).where(Post.id.in_(own))
    if without_references:
        statement = statement.where(Post.like_count == 0, Post.reply_count == 0)
    parents = db.session.scalars(statement.returning(Post.reply_to_id)).all()
    decrement(Post.reply_count, Counter(id for id in parents if id is not None))
    decrement(User.post_count, Counter({user_id: len(parents)}))


def delete_follows(follow_ids: list[int]) -> None:
    statement = delete(Follow).where(Follow.id.in_(follow_ids)).returning(Follow.follower_id, Follow.followed_id)
    pairs = db.session.execute(statement).all()
    decrement(User.following_count, Counter(follower for follower, _ in pairs))
    decrement(User.follower_count, Counter(followed for _, followed in pairs))


def delete_user(user_id: int) -> None:
    # Jobs for a password reset have an e-mail address but no user id, so they are not deleted with the user.
    email = select(func.lower(User.email)).where(User.id == user_id).scalar_subquery()
    db.session.execute(delete(Job).where(func.lower(Job.recipient) == email))
    deleted = db.session.connection().execute(delete(User).where(User.id == user_id)).rowcount
    # Last, because every registration on the server waits for this row until the transaction ends.
    db.session.execute(
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count - deleted)
    )


def batch_ids(select: Any) -> list[int]:
    """Return the first ids that the select finds, at most BATCH_SIZE."""
    return list(db.session.scalars(select.limit(BATCH_SIZE)))


def lock_rows(model: Any, ids_to_lock: Iterable[int]) -> None:
    rows = select(model.id).where(model.id.in_(list(ids_to_lock))).order_by(model.id)
    db.session.execute(rows.with_for_update(key_share=True)).all()


def decrement(counter: Any, counts: Counter[int]) -> None:
    """Decrement a counter column. counts: the amount for each row id."""
    if counts:
        model = counter.class_
        statement = update(model.__table__).where(model.id == bindparam('_id'))
        statement = statement.values({counter.key: counter - bindparam('_less')})
        db.session.connection().execute(statement, [{'_id': id, '_less': number} for id, number in counts.items()])
