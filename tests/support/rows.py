"""Functions that insert rows directly, for tests that need more of them than they can create by requests."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from flask import Flask
from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from api.actions.likes import like_post
from api.actions.posts import create_post
from api.actions.tokens import issue_token
from api.clock import utcnow
from api.db.session import db
from api.models import Follow, TableCount, User
from api.security.passwords import passwords
from tests.support.client import PASSWORD, Client, issued_tokens

OLD_TIMESTAMP = datetime(2021, 6, 20, 15, 4, 27, tzinfo=UTC)


def add_users(app: Flask, number: int, prefix: str = 'user') -> list[int]:
    """Add users prefix0, prefix1, ... without a password. Return their ids in ascending order."""
    rows = [
        {
            'username': f'{prefix}{n}',
            'email': f'{prefix}{n}@example.com',
            'password_hash': '',
            'created_at': OLD_TIMESTAMP,
        }
        for n in range(number)
    ]
    with app.app_context():
        before = db.session.scalar(select(func.coalesce(func.max(User.id), 0)))
        db.session.execute(insert(User), rows)
        adjust_user_count(number)
        ids = list(db.session.scalars(select(User.id).where(User.id > before).order_by(User.id)))
        db.session.commit()
    return ids


@cache
def password_hash() -> str:
    return passwords.hash(PASSWORD)


def log_in(app: Flask, username: str) -> Client:
    """Add a user and return a client with their token, like the fixture `login`, with a cached password hash."""
    user = {'username': username, 'email': f'{username}@example.com', 'password_hash': password_hash()}
    client = app.test_client()
    with app.app_context():
        add = insert(User).values(**user, created_at=OLD_TIMESTAMP, last_seen=utcnow()).returning(User.id)
        client.id = db.session.scalars(add).one()
        adjust_user_count(1)
        client.token = issue_token(actor=client.id).token
        db.session.commit()
    issued_tokens.add(client.token)
    return client


def adjust_user_count(difference: int) -> None:
    db.session.execute(
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=TableCount.row_count + difference)
    )


def add_follows(app: Flask, pairs: Sequence[tuple[int, int]]) -> None:
    """Add follows, given as pairs of follower and followed id. The newest is last."""
    rows = [{'follower_id': one, 'followed_id': other, 'created_at': OLD_TIMESTAMP} for one, other in pairs]
    with app.app_context():
        db.session.execute(insert(Follow), rows)
        adjust_follow_counts(pairs, 1)
        db.session.commit()


def remove_follow(app: Flask, follower: int, followed: int) -> None:
    with app.app_context():
        db.session.execute(delete(Follow).where(Follow.follower_id == follower, Follow.followed_id == followed))
        adjust_follow_counts([(follower, followed)], -1)
        db.session.commit()


def adjust_follow_counts(pairs: Sequence[tuple[int, int]], difference: int) -> None:
    for counter, ids in (
        (User.following_count, Counter(follower for follower, _ in pairs)),
        (User.follower_count, Counter(followed for _, followed in pairs)),
    ):
        change = update(User.__table__).where(User.id == bindparam('user')).values({counter: counter + bindparam('n')})
        db.session.connection().execute(change, [{'user': id, 'n': n * difference} for id, n in ids.items()])


def remove_user(app: Flask, id: int) -> None:
    """Delete a user without followers and follows."""
    with app.app_context():
        assert not db.session.scalar(
            select(func.count()).select_from(Follow).where(or_(Follow.follower_id == id, Follow.followed_id == id))
        )
        db.session.execute(delete(User).where(User.id == id))
        adjust_user_count(-1)
        db.session.commit()


def set_last_seen(app: Flask, id: int, moment: datetime | None) -> None:
    with app.app_context():
        db.session.execute(update(User).where(User.id == id).values(last_seen=moment))
        db.session.commit()


def add_posts(app: Flask, author: int, number: int, text: str = 'post', reply_to: int | None = None) -> list[int]:
    """Add posts 'post 0', 'post 1', ... Return their ids, oldest first."""
    with app.app_context():
        ids = [create_post(actor=author, text=f'{text} {n}', reply_to_id=reply_to)['id'] for n in range(number)]
        db.session.commit()
    return ids


def add_likes(app: Flask, pairs: Sequence[tuple[int, int]]) -> None:
    """Add likes, given as pairs of user and post id. The newest is last."""
    with app.app_context():
        for user, post in pairs:
            like_post(actor=user, id=post)
        db.session.commit()
