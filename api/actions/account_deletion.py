"""How accounts end, and everything of theirs with them.

An account is closed at once. What it has goes in steps of a bounded size, each a transaction that leaves every counter
exact: a small account in the first, with which it is closed; the worker goes on with a large one. Each step locks what
it touches before it changes anything, in the order that all writers keep: posts, then users, each by their ids.
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

BATCH_SIZE = 500  # rows of each kind


class DeletionBatch(NamedTuple):
    """Ids of posts, not more of each kind than one step handles: own ones, liked ones, and replies to own ones."""

    own: list[int]
    liked: list[int]
    replies: list[int]


def delete_account(*, actor: int, credentials_version: int) -> None:
    """Ends the actor's account, as long as it has the credentials that were checked."""
    batch, follow_ids = lock_posts(actor), lock_users(actor)
    if not disable_account(actor, credentials_version):
        raise UnauthorizedError
    if not delete_rows(actor, batch, follow_ids):
        enqueue(DELETE_ACCOUNT, user_id=actor)


def disable_account(user_id: int, credentials_version: int | None = None) -> bool:
    """Ends all credentials of an account: whether it is there, and with these credentials where a version is given."""
    statement = update(User).where(User.id == user_id)
    if credentials_version is not None:
        statement = statement.where(User.credentials_version == credentials_version, User.disabled_at.is_(None))
    statement = statement.values(disabled_at=utcnow(), credentials_version=User.credentials_version + 1)
    is_closed = db.session.connection().execute(statement).rowcount > 0
    revoke_user_tokens(user_id)
    return is_closed


def enable_account(user_id: int) -> bool:
    """Lets a user in again whose account was closed; whether that can be: not while it is being erased."""
    pending_deletion = exists().where(Job.type == DELETE_ACCOUNT, Job.user_id == user_id)
    statement = update(User).where(User.id == user_id, ~pending_deletion).values(disabled_at=None)
    return db.session.connection().execute(statement).rowcount > 0


def delete_batch(user_id: int) -> bool:
    """One step for a closed account. Whether it was the last."""
    return delete_rows(user_id, lock_posts(user_id), lock_users(user_id))


def lock_posts(user_id: int) -> DeletionBatch:
    """Locks the posts that the next step touches, before any user."""
    own = batch_ids(select(Post.id).where(Post.author_id == user_id).order_by(Post.id))
    liked = batch_ids(select(Like.post_id).where(Like.user_id == user_id).order_by(Like.id))
    replies = batch_ids(select(Post.id).where(Post.reply_to_id.in_(own)).order_by(Post.id))
    parents = batch_ids(select(Post.reply_to_id).where(Post.id.in_(own), Post.reply_to_id.is_not(None)))
    lock_rows(Post, {*own, *liked, *replies, *parents})
    return DeletionBatch(own, liked, replies)


def lock_users(user_id: int) -> list[int]:
    """Locks the user and those of the follows that the next step handles; the ids of these."""
    follow_ids = batch_ids(select(Follow.id).where(or_(Follow.follower_id == user_id, Follow.followed_id == user_id)))
    pairs = db.session.execute(select(Follow.follower_id, Follow.followed_id).where(Follow.id.in_(follow_ids))).all()
    lock_rows(User, {user_id, *(id for pair in pairs for id in pair)})
    return follow_ids


def delete_rows(user_id: int, posts: DeletionBatch, follow_ids: list[int]) -> bool:
    """Erases what one step handles, and the account if nothing is left. Whether that was so."""
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
    """Whether there is more to erase. What comes from the account waits for its row, and then finds it closed."""
    conditions = (Post.author_id == user_id, Like.user_id == user_id, Follow.follower_id == user_id)
    remaining = [exists().where(owned) for owned in (*conditions, Follow.followed_id == user_id)]
    return bool(db.session.scalar(select(or_(*remaining))))


def delete_likes(*conditions: Any) -> int:
    """Takes likes back and returns how many there were."""
    posts = db.session.scalars(delete(Like).where(*conditions).returning(Like.post_id)).all()
    decrement(Post.like_count, Counter(posts))
    return len(posts)


def detach_replies(replies: list[int]) -> None:
    """Makes replies answer nothing any more."""
    parents: Any = db.session.scalars(
        select(Post.reply_to_id).where(Post.id.in_(replies), Post.reply_to_id.is_not(None))
    )
    decrement(Post.reply_count, Counter(parents))
    db.session.execute(update(Post).where(Post.id.in_(replies)).values(reply_to_id=None))


def delete_posts(user_id: int, own: list[int], *, without_references: bool) -> None:
    """Erases these posts. bare_only: those that still have likes or replies wait for the next step."""
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
    # A mail that was asked for by address alone may still wait.
    email = select(func.lower(User.email)).where(User.id == user_id).scalar_subquery()
    db.session.execute(delete(Job).where(func.lower(Job.recipient) == email))
    deleted = db.session.connection().execute(delete(User).where(User.id == user_id)).rowcount
    # Last, because the whole server's registrations wait for this row until the transaction ends.
    db.session.execute(
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count - deleted)
    )


def batch_ids(select: Any) -> list[int]:
    """The first of them, not more than one step handles."""
    return list(db.session.scalars(select.limit(BATCH_SIZE)))


def lock_rows(model: Any, ids_to_lock: Iterable[int]) -> None:
    rows = select(model.id).where(model.id.in_(list(ids_to_lock))).order_by(model.id)
    db.session.execute(rows.with_for_update(key_share=True)).all()


def decrement(counter: Any, counts: Counter[int]) -> None:
    """Makes the counter of each row as much less as the counts say."""
    if counts:
        model = counter.class_
        statement = update(model.__table__).where(model.id == bindparam('_id'))
        statement = statement.values({counter.key: counter - bindparam('_less')})
        db.session.connection().execute(statement, [{'_id': id, '_less': number} for id, number in counts.items()])
