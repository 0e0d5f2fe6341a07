"""`flask recount` finds and repairs every counter."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, update

from api.extensions import db
from api.models import Total, User


@pytest.fixture
def recount(app: Flask) -> Callable[[], Result]:
    runner = app.test_cli_runner()
    seeded = runner.invoke(args=['seed', '--users', '9', '--follows', '20', '--posts', '30'])
    assert seeded.exit_code == 0, seeded.output
    return lambda: runner.invoke(args=['recount'])


def counters(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        users = select(User.id, User.post_count, User.follower_count, User.following_count).order_by(User.id)
        rows = [*db.session.execute(users), *db.session.execute(select(Total.name, Total.value))]
        return [tuple(row) for row in rows]


def tamper(app: Flask, *changes: object) -> None:
    with app.app_context():
        for change in changes:
            assert db.session.connection().execute(change).rowcount > 0
        db.session.commit()


def test_all_right(app, recount):
    before = counters(app)
    answer = recount()
    assert (answer.exit_code, answer.output) == (0, 'all counters are right\n')
    assert counters(app) == before


@pytest.mark.parametrize('counter', ['post_count', 'follower_count', 'following_count'])
@pytest.mark.parametrize('wrong', [0, 1_000])
def test_one_wrong_everywhere(app, recount, counter, wrong):
    before = counters(app)
    column = getattr(User, counter)
    with app.app_context():
        right_by_chance = len(db.session.scalars(select(User.id).where(column == wrong)).all())
    tamper(app, update(User).values({counter: wrong}))
    answer = recount()
    assert (answer.exit_code, answer.output) == (0, f'{9 - right_by_chance} counters were wrong and are repaired\n')
    assert counters(app) == before
    assert recount().output == 'all counters are right\n'


@pytest.mark.parametrize('wrong', [0, 8, 10])
def test_wrong_total(app, recount, wrong):
    before = counters(app)
    tamper(app, update(Total).where(Total.name == 'users').values(value=wrong))
    assert '1 counters were wrong' in recount().output
    assert counters(app) == before


def test_several_wrong_at_once(app, recount):
    before = counters(app)
    tamper(
        app,
        update(User).where(User.id == 1).values(post_count=User.post_count + 1),
        update(User).where(User.id == 2).values(follower_count=User.follower_count + 1, following_count=777),
        update(Total).where(Total.name == 'users').values(value=3),
    )
    assert '4 counters were wrong' in recount().output
    assert counters(app) == before


def test_without_any_row(app):
    assert app.test_cli_runner().invoke(args=['recount']).output == 'all counters are right\n'
