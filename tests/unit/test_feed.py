"""The optimized query of the feed returns the same posts as a plain query."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, or_, select, text, update

from api.clock import utcnow
from api.db.session import db
from api.models import Follow, Post, User
from api.queries.feed import feed_for

WORLDS = 2
STATES = 250
CASES = 4
LIMITS = (1, 2, 25, 101)
AUTHORS = 2_050
FOLLOW_COUNTS = (0, 1, 10, 2_000)
READERS_PER_COUNT = 3


class World:
    """Users, their follows and their posts, which each `step` changes."""

    def __init__(self, chance: random.Random):
        self.chance = chance
        self.posts: list[int] = []
        self.authors = self.make_users(AUTHORS)
        self.readers = self.make_users(READERS_PER_COUNT * len(FOLLOW_COUNTS))
        # The silent never write, the quiet wrote once, long ago, and the three busy ones write most posts.
        shuffled = chance.sample(self.authors, AUTHORS)
        self.silent, self.quiet, self.usual, self.busy = (
            shuffled[:500],
            shuffled[500:1500],
            shuffled[1500:-3],
            shuffled[-3:],
        )
        self.follow()
        self.write(self.quiet)
        self.write(chance.choices(self.usual + self.readers, k=1500))
        self.write(chance.choices(self.busy * 60 + self.usual, k=4000))
        self.delete(500)

    def make_users(self, count: int) -> list[int]:
        rows = [
            {'username': name, 'email': f'{name}@example.com', 'password_hash': '', 'created_at': utcnow()}
            for name in (f'user{self.chance.getrandbits(64)}' for _ in range(count))
        ]
        return list(db.session.scalars(insert(User.__table__).returning(User.id), rows))

    def follow(self) -> None:
        """Insert the follows. Readers who follow one author follow a busy, a quiet and a silent one, in this order."""
        kinds = [self.busy, self.quiet, self.silent]
        pairs = []
        for number, reader in enumerate(self.readers):
            count = FOLLOW_COUNTS[number % len(FOLLOW_COUNTS)]
            kind = kinds[number // len(FOLLOW_COUNTS)]
            followed = [self.chance.choice(kind)] if count == 1 else self.chance.sample(self.authors, count)
            if count == 10 and kind is not self.busy:
                inactive = [self.chance.choice(self.silent), self.chance.choice(kind)]
                followed = [*self.chance.sample(self.quiet, 8), *inactive]
            pairs += [(reader, author) for author in set(followed)]
        # Follows that must not change the readers' feeds.
        pairs += [(self.authors[0], reader) for reader in self.readers]
        self.insert_follows(pairs)
        follow_count = select(func.count()).where(Follow.follower_id == User.id).scalar_subquery()
        db.session.execute(update(User).values(following_count=follow_count))

    def insert_follows(self, pairs: list[tuple[int, int]]) -> None:
        rows = [{'follower_id': one, 'followed_id': other, 'created_at': utcnow()} for one, other in pairs]
        db.session.execute(insert(Follow.__table__), rows)

    def write(self, authors: Sequence[int]) -> None:
        rows = [{'author_id': author, 'text': 'hello', 'created_at': utcnow()} for author in authors]
        self.posts += sorted(db.session.scalars(insert(Post.__table__).returning(Post.id), rows))

    def delete(self, count: int) -> None:
        gone = {self.posts.pop(self.chance.randrange(len(self.posts))) for _ in range(count)}
        db.session.execute(delete(Post).where(Post.id.in_(gone)))

    def step(self) -> int:
        """Write and delete some posts, let a reader follow another author, and return the reader."""
        reader = self.chance.choice(self.readers)
        self.write(self.chance.choices([*self.authors, *self.busy * 300, reader], k=5))
        self.delete(5)
        followed = db.session.scalars(select(Follow.followed_id).where(Follow.follower_id == reader)).all()
        if followed:
            one = self.chance.choice(followed)
            other = self.chance.choice(sorted({*self.authors} - {*followed}))
            db.session.execute(delete(Follow).filter_by(follower_id=reader, followed_id=one))
            self.insert_follows([(reader, other)])
        return reader


class Place(NamedTuple):
    """The cursor, size and direction of a page."""

    cursor: int | None
    limit: int
    reverse: bool


def plain(reader: int) -> list[int]:
    """Return the ids of the whole feed, newest first, by a plain query."""
    followed = select(Follow.followed_id).where(Follow.follower_id == reader)
    ids = select(Post.id).where(or_(Post.author_id.in_(followed), Post.author_id == reader))
    # Not the session, which takes longer for the rows than the database does.
    return list(db.session.connection().scalars(ids.order_by(Post.id.desc())))


def part(ids: list[int], place: Place) -> list[int]:
    """Return the ids of the page at this place."""
    if place.cursor is not None:
        ids = [id for id in ids if (id > place.cursor if place.reverse else id < place.cursor)]
    return ids[-place.limit :] if place.reverse else ids[: place.limit]


def feed(reader: int, place: Place) -> list[int]:
    """Return the ids of the page by the query of the feed."""
    rows = feed_for(reader).keyset_page(('id', 'text'), place.cursor, place.limit, reverse=place.reverse)
    assert all(row.id == row.cursor for row in rows)
    return [row.id for row in rows]


def some_places(world: World, ids: list[int]) -> Iterator[Place]:
    """Yield places: half at or next to a post of the feed, the others anywhere or at an end of the feed."""
    chance = world.chance
    outer = world.posts[-1] + 3
    for _ in range(CASES // 2):
        near = part(ids, Place(chance.randrange(outer), 1, reverse=chance.random() < 0.5)) or [outer]
        for cursor in (near[0] + chance.choice((-1, 0, 1)), chance.choice((chance.randrange(outer), None, 0, outer))):
            yield Place(cursor, chance.choice(LIMITS), chance.random() < 0.5)


@pytest.fixture
def make_world(app: Flask) -> Iterator[Callable[[int], World]]:
    """Yield a function that creates the world of a number, in a transaction that is rolled back."""
    with app.app_context():

        def make(number: int) -> World:
            world = World(random.Random(f'world {number}'))
            if db.engine.dialect.name == 'postgresql':
                db.session.execute(text('ANALYZE users, follows, posts'))
            return world

        yield make
        db.session.rollback()


@pytest.mark.parametrize('number', range(WORLDS))
def test_feed_equals_a_plain_query(make_world: Callable[[int], World], number: int) -> None:
    world = make_world(number)
    filled = 0
    for state in range(STATES):
        reader = world.step()
        everything = plain(reader)
        for place in some_places(world, everything):
            expected = part(everything, place)
            assert feed(reader, place) == expected, (number, state, reader, place)
            filled += bool(expected)
    assert filled > STATES * CASES // 3


def iterate(reader: int, limit: int, *, reverse: bool) -> list[int]:
    """Return the ids of all pages, newest first; each page starts where the previous one ended."""
    ids: list[int] = []
    cursor = 0 if reverse else None
    while page := feed(reader, Place(cursor, limit, reverse)):
        assert len(page) <= limit
        ids = page + ids if reverse else ids + page
        cursor = page[0] if reverse else page[-1]
    return ids


@pytest.mark.parametrize('reverse', [False, True])
def test_iterating_the_feed_finds_each_post_once(make_world: Callable[[int], World], reverse: bool) -> None:
    world = make_world(WORLDS)
    lengths = set()
    for reader in world.readers:
        everything = plain(reader)
        lengths.add(len(everything))
        for limit in LIMITS:
            if len(everything) / limit < 100:
                assert iterate(reader, limit, reverse=reverse) == everything
    assert min(lengths) < 3
    assert max(lengths) > 4_000


def test_feed_without_follows_and_posts_is_empty(app: Flask, login: Any) -> None:
    ana = login('ana')
    login('ben').post('/api/posts', json={'text': 'hello'})
    page = ana.get('/api/feed').json
    assert page['items'] == []
    assert ana.get(page['_links']['prev']).json['items'] == []
    mine = ana.post('/api/posts', json={'text': 'hello'}).json
    assert [post['id'] for post in ana.get(page['_links']['prev']).json['items']] == [mine['id']]
