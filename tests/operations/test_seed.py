"""`flask seed` creates the requested number of rows, with exact counters and a skewed, reproducible distribution."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.orm import aliased

from api.app import create_app
from api.clock import utcnow
from api.db.session import db
from api.models import Follow, Like, Post, TableCount, User
from api.schemas.users import UserCreateSchema
from config import Settings
from support import databases

OPTIONS = {'users': 400, 'follows': 3_000, 'posts': 5_000, 'likes': 6_000}


@pytest.fixture
def seed(app: Flask) -> Callable[..., Result]:
    return partial(run_seed, app)


@pytest.fixture
def seeded(seed: Callable[..., Result]) -> dict[str, str]:
    """Return the printed lines: {'a normal user': 'ana1', ..., 'password': '...'}."""
    return printed(seed())


class Sample(NamedTuple):
    app: Flask
    printed: dict[str, str]


@pytest.fixture(scope='module')
def sample(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """Yield a database of the kind that `app` uses, seeded once with OPTIONS. Tests only read it."""
    kind = make_url(settings.database_url).get_backend_name()
    for url in databases.create_database(kind, tmp_path_factory.mktemp('sample'), 'sample'):
        app = create_app(replace(settings, database_url=url))
        databases.migrate(app)
        yield Sample(app, printed(run_seed(app)))
        with app.app_context():
            db.engine.dispose()


def run_seed(app: Flask, **options: int) -> Result:
    """Run the command with OPTIONS, some of them replaced."""
    options = OPTIONS | options
    return app.test_cli_runner().invoke(args=['seed', *(f'--{name}={value}' for name, value in options.items())])


def printed(response: Result) -> dict[str, str]:
    assert response.exit_code == 0, response.output
    return dict(line.split(': ') for line in response.output.splitlines() if ': ' in line)


def rows(app: Flask, *columns: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.execute(select(*columns).order_by(columns[0])))


def numbers(app: Flask) -> list[int]:
    return [rows(app, func.count(model.id))[0][0] for model in (User, Follow, Post, Like)]


def user(app: Flask, name: str) -> Any:
    return next(row for row in rows(app, User.username, User.__table__) if row.username == name)


@pytest.mark.parametrize(
    ('users', 'follows', 'posts', 'likes'),
    [
        (400, 3_000, 5_000, 6_000),
        (1, 0, 0, 0),
        (1, 0, 3, 3),
        (2, 2, 1, 1),
        (3, 1, 0, 0),
        (30, 29 * 30, 10, 30 * 10),
        (2_100, 2_500, 0, 0),
    ],
)
def test_seed_creates_requested_rows_and_counts(app, seed, users, follows, posts, likes):
    printed(seed(users=users, follows=follows, posts=posts, likes=likes))
    assert numbers(app) == [users, follows, posts, likes]
    assert rows(app, TableCount.table_name, TableCount.row_count) == [('users', users)]
    reply = aliased(Post)
    assert rows(app, User.id, User.post_count, User.follower_count, User.following_count) == rows(
        app,
        User.id,
        select(func.count()).where(Post.author_id == User.id).scalar_subquery(),
        select(func.count()).where(Follow.followed_id == User.id).scalar_subquery(),
        select(func.count()).where(Follow.follower_id == User.id).scalar_subquery(),
    )
    assert rows(app, Post.id, Post.like_count, Post.reply_count) == rows(
        app,
        Post.id,
        select(func.count()).where(Like.post_id == Post.id).scalar_subquery(),
        select(func.count()).where(reply.reply_to_id == Post.id).scalar_subquery(),
    )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'users': 1, 'follows': 1}, '1 users can follow each other 0 times at most'),
        ({'users': 30, 'follows': 29 * 30 + 1}, '30 users can follow each other 870 times at most'),
        ({'users': 30, 'follows': 0, 'posts': 10, 'likes': 301}, '30 users can like 10 posts 300 times at most'),
    ],
)
def test_seed_rejects_impossible_sizes(app, seed, options, message):
    response = seed(**options)
    assert response.exit_code == 2
    assert message in response.output
    assert numbers(app) == [0, 0, 0, 0]


def test_seed_defaults_are_small(app):
    printed(app.test_cli_runner().invoke(args=['seed']))
    assert numbers(app) == [100, 1_000, 2_000, 5_000]


def test_seed_is_deterministic(app, seed):
    def everything():
        # Without the password hash, which is salted.
        users = [column for column in User.__table__.c if column.name != 'password_hash']
        return [rows(app, *columns) for columns in (users, Follow.__table__.c, Post.__table__.c, Like.__table__.c)]

    first_output, first = seed().output, everything()
    databases.delete_all_rows(app)
    assert seed().output == first_output
    assert everything() == first


def test_seed_has_a_hub_and_a_reader(sample):
    app = sample.app
    hub = user(app, sample.printed['followed by a quarter of all'])
    reader = user(app, sample.printed['follows 399'])
    followers = rows(app, User.follower_count)
    assert hub.follower_count == followers[-1].follower_count >= 100
    assert reader.following_count == 399
    assert reader.post_count == 0
    assert user(app, sample.printed['a normal user']).post_count > 0


def test_reader_follows_two_thousand(app, seed):
    reader = user(app, printed(seed(users=2_100, follows=6_000, posts=0, likes=0))['follows 2000'])
    assert reader.following_count == 2_000


def test_activity_follows_a_power_law(sample):
    app = sample.app
    for counter, share_of_first_tenth in (
        (User.post_count, 0.5),
        (User.follower_count, 0.25),
        (User.following_count, 0.25),
    ):
        counts = [row[0] for row in rows(app, counter)][::-1]
        assert sum(counts[:40]) > share_of_first_tenth * sum(counts)
        assert counts[0] > 10 * counts[200]
    assert rows(app, func.count(User.id).filter(User.post_count == 0))[0][0] >= 160


def test_one_post_in_five_is_a_reply(sample):
    app = sample.app
    replies = [row for row in rows(app, Post.id, Post.reply_to_id) if row.reply_to_id]
    assert 900 < len(replies) < 1_100
    assert all(row.reply_to_id < row.id for row in replies)
    assert sum(row.id - row.reply_to_id <= 10 for row in replies) > len(replies) / 2


def test_popular_posts_get_more_likes(sample):
    app = sample.app
    liked = [row.like_count for row in rows(app, Post.like_count)][::-1]
    assert liked[0] > 50
    assert sum(liked[:500]) > 3_000
    assert liked[-1_000] == 0
    likers = [row[0] for row in rows(app, func.count(Like.user_id.distinct()))]
    assert likers > [200]


def test_seeded_users_are_valid(sample):
    app = sample.app
    users = rows(app, User.id, User.username, User.email, User.about_me, User.last_seen)
    for user in users:
        entry = {'username': user.username, 'email': user.email, 'about_me': user.about_me}
        assert UserCreateSchema().validate(entry | {'password': sample.printed['password']}) == {}
        assert user.email == f'{user.username}@example.com'
    assert {user.about_me is None for user in users} == {True, False}
    assert len({row.password_hash for row in rows(app, User.id, User.password_hash)}) == 1


def test_seeded_texts_are_valid(sample):
    app = sample.app
    texts = [row.text for row in rows(app, Post.id, Post.text)]
    lengths = {len(text) for text in texts}
    assert min(lengths) == 1
    assert 270 < max(lengths) <= 280
    assert texts == [text.strip() for text in texts]
    assert 0.05 < sum(not text.isascii() for text in texts) / len(texts) < 0.95
    assert len(set(texts)) > 1_000


def test_seeded_times_are_ordered(sample):
    app = sample.app
    joined = dict(tuple(row) for row in rows(app, User.id, User.created_at))
    written = dict(tuple(row) for row in rows(app, Post.id, Post.created_at))
    assert all(written[row.post_id] <= row.created_at for row in rows(app, Like.post_id, Like.created_at))
    for model, user_id in (
        (Follow, Follow.follower_id),
        (Follow, Follow.followed_id),
        (Post, Post.author_id),
        (Like, Like.user_id),
    ):
        happened = rows(app, model.id, user_id, model.created_at)
        times = [row.created_at for row in happened]
        assert times == sorted(times)
        assert (times[-1] - times[0]).days > 1_000
        assert times[-1] < utcnow()
        assert all(joined[row[1]] <= row.created_at for row in happened)
    seen = [row.last_seen for row in rows(app, User.id, User.last_seen) if row.last_seen]
    assert max(times) <= min(seen)
    assert {row.user_id for row in rows(app, Like.user_id)} <= {
        row.id for row in rows(app, User.id, User.last_seen) if row.last_seen
    }
    assert max(seen) < utcnow()


def test_seed_requires_an_empty_database(app, seed, make_user):
    make_user('ana')
    before = databases.dump_rows(app)
    response = seed()
    assert (response.exit_code, response.output) == (
        1,
        'Error: the database has users; sample data needs an empty database\n',
    )
    assert databases.dump_rows(app) == before


def test_seed_runs_only_once(app, seed):
    printed(seed())
    assert seed().exit_code == 1
    assert numbers(app) == [400, 3_000, 5_000, 6_000]


def test_printed_credentials_log_in(app, anonymous, seeded):
    names = [seeded[role] for role in ('a normal user', 'followed by a quarter of all', 'follows 399')]
    assert len(set(names)) == 3
    for name in names:
        assert re.fullmatch('[0-9a-f]{32}', anonymous.ask_for_token(name, seeded['password']).json['token'])
        assert anonymous.ask_for_token(name, seeded['password'] + '?').status_code == 401


def test_ids_continue_after_the_seed(app, seeded, make_user):
    new = make_user('ana')['id']
    assert new > 400
    with app.app_context():
        post = insert(Post).values(author_id=new, text='Hello', created_at=utcnow())
        assert db.session.execute(post).inserted_primary_key[0] > 5_000
        follow = insert(Follow).values(follower_id=new, followed_id=1, created_at=utcnow())
        assert db.session.execute(follow).inserted_primary_key[0] > 3_000
        like = insert(Like).values(user_id=new, post_id=1, created_at=utcnow())
        assert db.session.execute(like).inserted_primary_key[0] > 6_000


def test_planner_statistics_exist_after_seed(sample):
    app = sample.app
    with app.app_context():
        if db.engine.dialect.name == 'postgresql':
            statistics = "SELECT reltuples FROM pg_class WHERE oid = 'posts'::regclass"
        else:
            statistics = "SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE tbl = 'posts'"
        assert db.session.scalar(text(statistics)) == 5_000
