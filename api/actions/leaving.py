"""How accounts end, and everything of theirs with them.

An account is closed at once. What it has goes in steps of a bounded size, each a transaction that leaves every counter
exact: a small account in the first, with which it is closed; the worker goes on with a large one. Each step locks what
it touches before it changes anything, in the order that all writers keep: posts, then users, each by their ids.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, or_, select, update

from api.actions.outbox import ERASE_ACCOUNT, post_message
from api.actions.tokens import revoke_tokens_of
from api.clock import utcnow
from api.errors import UnauthorizedError
from api.extensions import db
from api.models import Follow, Like, Message, Post, Total, User

STEP = 500  # rows of each kind


class Posts(NamedTuple):
    """Ids of posts, not more of each kind than one step handles: own ones, liked ones, and replies to own ones."""

    own: list[int]
    liked: list[int]
    replies: list[int]


def leave(*, actor: int, credentials_version: int) -> None:
    """Ends the actor's account, as long as it has the credentials that were checked."""
    posts, follows = lock_posts(actor), lock_users(actor)
    if not close_account(actor, credentials_version):
        raise UnauthorizedError
    if not erase(actor, posts, follows):
        post_message(ERASE_ACCOUNT, user_id=actor)


def close_account(user_id: int, credentials_version: int | None = None) -> bool:
    """Ends all credentials of an account: whether it is there, and with these credentials where a version is given."""
    account = update(User).where(User.id == user_id)
    if credentials_version is not None:
        account = account.where(User.credentials_version == credentials_version, User.disabled_at.is_(None))
    closed = account.values(disabled_at=utcnow(), credentials_version=User.credentials_version + 1)
    is_closed = db.session.connection().execute(closed).rowcount > 0
    revoke_tokens_of(user_id)
    return is_closed


def open_account(user_id: int) -> bool:
    """Lets a user in again whose account was closed; whether that can be: not while it is being erased."""
    erased = exists().where(Message.topic == ERASE_ACCOUNT, Message.user_id == user_id)
    opened = update(User).where(User.id == user_id, ~erased).values(disabled_at=None)
    return db.session.connection().execute(opened).rowcount > 0


def erase_some(user_id: int) -> bool:
    """One step for a closed account. Whether it was the last."""
    return erase(user_id, lock_posts(user_id), lock_users(user_id))


def lock_posts(user_id: int) -> Posts:
    """Locks the posts that the next step touches, before any user."""
    own = ids(select(Post.id).where(Post.author_id == user_id).order_by(Post.id))
    liked = ids(select(Like.post_id).where(Like.user_id == user_id).order_by(Like.id))
    replies = ids(select(Post.id).where(Post.reply_to_id.in_(own)).order_by(Post.id))
    answered = ids(select(Post.reply_to_id).where(Post.id.in_(own), Post.reply_to_id.is_not(None)))
    lock(Post, {*own, *liked, *replies, *answered})
    return Posts(own, liked, replies)


def lock_users(user_id: int) -> list[int]:
    """Locks the user and those of the follows that the next step handles; the ids of these."""
    follows = ids(select(Follow.id).where(or_(Follow.follower_id == user_id, Follow.followed_id == user_id)))
    pairs = db.session.execute(select(Follow.follower_id, Follow.followed_id).where(Follow.id.in_(follows))).all()
    lock(User, {user_id, *(id for pair in pairs for id in pair)})
    return follows


def erase(user_id: int, posts: Posts, follows: list[int]) -> bool:
    """Erases what one step handles, and the account if nothing is left. Whether that was so."""
    take_likes(Like.user_id == user_id, Like.post_id.in_(posts.liked))
    given = take_likes(Like.id.in_(ids(select(Like.id).where(Like.post_id.in_(posts.own)).order_by(Like.id))))
    detach(posts.replies)
    erase_posts(user_id, posts.own, bare_only=STEP in (given, len(posts.replies)))
    erase_follows(follows)
    if has_anything(user_id):
        return False
    erase_user(user_id)
    return True


def has_anything(user_id: int) -> bool:
    """Whether there is more to erase. What comes from the account waits for its row, and then finds it closed."""
    mine = (Post.author_id == user_id, Like.user_id == user_id, Follow.follower_id == user_id)
    kinds = [exists().where(owned) for owned in (*mine, Follow.followed_id == user_id)]
    return bool(db.session.scalar(select(or_(*kinds))))


def take_likes(*which: Any) -> int:
    """Takes likes back and returns how many there were."""
    posts = db.session.scalars(delete(Like).where(*which).returning(Like.post_id)).all()
    subtract(Post.like_count, Counter(posts))
    return len(posts)


def detach(replies: list[int]) -> None:
    """Makes replies answer nothing any more."""
    answered: Any = db.session.scalars(
        select(Post.reply_to_id).where(Post.id.in_(replies), Post.reply_to_id.is_not(None))
    )
    subtract(Post.reply_count, Counter(answered))
    db.session.execute(update(Post).where(Post.id.in_(replies)).values(reply_to_id=None))


def erase_posts(user_id: int, own: list[int], *, bare_only: bool) -> None:
    """Erases these posts. bare_only: those that still have likes or replies wait for the next step."""
    erased = delete(Post).where(Post.id.in_(own))
    if bare_only:
        erased = erased.where(Post.like_count == 0, Post.reply_count == 0)
    answered = db.session.scalars(erased.returning(Post.reply_to_id)).all()
    subtract(Post.reply_count, Counter(id for id in answered if id is not None))
    subtract(User.post_count, Counter({user_id: len(answered)}))


def erase_follows(follows: list[int]) -> None:
    erased = delete(Follow).where(Follow.id.in_(follows)).returning(Follow.follower_id, Follow.followed_id)
    pairs = db.session.execute(erased).all()
    subtract(User.following_count, Counter(follower for follower, _ in pairs))
    subtract(User.follower_count, Counter(followed for _, followed in pairs))


def erase_user(user_id: int) -> None:
    # A mail that was asked for by address alone may still wait.
    email = select(func.lower(User.email)).where(User.id == user_id).scalar_subquery()
    db.session.execute(delete(Message).where(func.lower(Message.recipient) == email))
    went = db.session.connection().execute(delete(User).where(User.id == user_id)).rowcount
    # Last, because the whole server's registrations wait for this row until the transaction ends.
    db.session.execute(update(Total).where(Total.name == 'users').values(value=Total.value - went))


def ids(select: Any) -> list[int]:
    """The first of them, not more than one step handles."""
    return list(db.session.scalars(select.limit(STEP)))


def lock(model: Any, wanted: Iterable[int]) -> None:
    rows = select(model.id).where(model.id.in_(list(wanted))).order_by(model.id)
    db.session.execute(rows.with_for_update(key_share=True)).all()


def subtract(counter: Any, counts: Counter[int]) -> None:
    """Makes the counter of each row as much less as the counts say."""
    if counts:
        model = counter.class_
        less = update(model.__table__).where(model.id == bindparam('_id'))
        less = less.values({counter.key: counter - bindparam('_less')})
        db.session.connection().execute(less, [{'_id': id, '_less': number} for id, number in counts.items()])
