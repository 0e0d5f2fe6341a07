"""The requests that every contender gets, and their callers."""

import hashlib
import json
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, text, update

from api.cli.seed import draw_people
from api.clock import utcnow
from api.db.engine import autocommit_engine
from api.db.session import db
from api.models import Follow, Post, Token, User
from api.security.token_formats import token_digest
from benchmarks.peers import cursors

PER_PAGE = 25
TEXT = 'What a lovely day it is, said no one in particular to all who would hear it. Łódź! 🎉'


class Case(NamedTuple):
    """One request. key: its name for `--cases`."""

    key: str
    name: str
    method: str
    path: str
    viewer: int
    body: str | None = None

    @property
    def request(self) -> dict[str, Any]:
        """Return the request in the form that runners accept."""
        return {'method': self.method, 'path': self.path, 'token': token_of(self.viewer), 'body': self.body}

    @property
    def asked(self) -> str:
        """Return the key of the response for the contender that serves prebuilt responses."""
        return f'Bearer {token_of(self.viewer)} {self.path}' + ('' if '?' in self.path else '?')


def cases() -> list[Case]:
    """Return all cases for the database of the current application, which must be seeded and prepared by `prepare`."""
    people = draw_people(db.session.scalars(select(func.count()).select_from(User)).one())
    hub, normal, many = people[0], people[len(people) // 2], people[-1]
    ten, ten_busy = readers_of(10)
    followers = db.session.scalars(select(User.follower_count).where(User.id == hub)).one()
    last, before_last = -(-followers // PER_PAGE), -(-followers // PER_PAGE) - 1
    pages = f'/api/users/{hub}/followers?per_page={PER_PAGE}'
    feed = f'/api/feed?per_page={PER_PAGE}'
    followers = select(Follow.id).where(Follow.followed_id == hub).order_by(Follow.id.desc())
    position = db.session.scalars(followers.offset(before_last * PER_PAGE - 1).limit(1)).one()
    after = cursors.encode_cursor(f'/api/users/{hub}/followers', position)
    return [
        Case('user', 'one user', 'GET', f'/api/users/{normal}', ten),
        *(Case(f'users-{n}', f'users, {n} a page', 'GET', f'/api/users?per_page={n}', ten) for n in (10, 25, 100)),
        Case('followers-first', 'followers of the hub, first page', 'GET', pages, ten),
        Case('followers-last', 'the same, last page, by its number', 'GET', f'{pages}&page={last}', ten),
        Case('followers-linked', 'the same, by its link', 'GET', f'{pages}&page={last}&after={after}', ten),
        Case('feed-10', 'feed, 10 followees', 'GET', feed, ten),
        Case('feed-10-longest', 'feed, 10 followees, the longest', 'GET', feed, ten_busy),
        Case('feed-2000', 'feed, 2,000 followees', 'GET', feed, many),
        Case('post', 'a new post', 'POST', '/api/posts', writer(ten, ten_busy, many), json.dumps({'text': TEXT})),
    ]


def readers_of(followees: int) -> tuple[int, int]:
    """Return two users who follow that many: the median and the last by the number of posts of their followees."""
    following = select(Follow.follower_id).join(User, User.id == Follow.followed_id).group_by(Follow.follower_id)
    posts = func.sum(User.post_count)
    found = db.session.scalars(following.having(func.count() == followees).order_by(posts, Follow.follower_id)).all()
    return found[len(found) // 2], found[-1]


def token_of(viewer: int) -> str:
    return hashlib.sha256(f'benchmarks, {viewer}'.encode()).hexdigest()[:32]


def writer(*readers: int) -> int:
    """Return the author of the new posts: a user without posts whom none of the readers follows."""
    followed = select(Follow.followed_id).where(Follow.follower_id.in_(readers))
    silent = select(User.id).where(~select(Post.id).where(Post.author_id == User.id).exists(), User.id.not_in(followed))
    return db.session.scalars(silent.where(User.id.not_in(readers)).order_by(User.id.desc()).limit(1)).one()


def prepare(viewers: set[int]) -> None:
    """Issue tokens that are valid for a day."""
    now = utcnow()
    for viewer in viewers:
        digest = token_digest(token_of(viewer))
        db.session.execute(delete(Token).where(Token.digest == digest))
        moments = {'created_at': now, 'expires_at': now + timedelta(days=1)}
        db.session.execute(insert(Token).values(user_id=viewer, digest=digest, seed=secrets.token_bytes(16), **moments))
    db.session.commit()


def clean(author: int) -> None:
    """Delete the new posts and restore what they changed."""
    db.session.execute(delete(Post).where(Post.author_id == author))
    db.session.execute(update(User).where(User.id == author).values(post_count=0))
    db.session.commit()
    if db.engine.dialect.name == 'postgresql':
        with autocommit_engine(db.engine).connect() as connection:
            connection.execute(text('VACUUM posts, users, tokens'))
