"""`flask recount` finds and repairs every counter."""

import threading
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import delete, select, update

from api.actions.posts import INSERT_POST
from api.cli.data import COUNTERS
from api.clock import utcnow
from api.extensions import db
from api.models import Post, Total, User


@pytest.fixture
def recount(app: Flask) -> Callable[[], Result]:
    runner = app.test_cli_runner()
    seeded = runner.invoke(args=['seed', '--users', '9', '--follows', '20', '--posts', '30', '--likes', '60'])
    assert seeded.exit_code == 0, seeded.output
    return lambda: runner.invoke(args=['recount'])


def counters(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        users = select(User.id, User.post_count, User.follower_count, User.following_count).order_by(User.id)
        posts = select(Post.id, Post.like_count, Post.reply_count).order_by(Post.id)
        totals = select(Total.name, Total.value)
        return [tuple(row) for statement in (users, posts, totals) for row in db.session.execute(statement)]


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


@pytest.mark.parametrize('counter', [counter for counters in COUNTERS.values() for counter in counters], ids=str)
@pytest.mark.parametrize('wrong', [0, 1_000])
def test_one_wrong_everywhere(app, recount, counter, wrong):
    before = counters(app)
    with app.app_context():
        expected = len(db.session.scalars(select(counter).where(counter != wrong)).all())
    tamper(app, update(counter.class_).values({counter: wrong}))
    answer = recount()
    assert (answer.exit_code, answer.output) == (0, f'{expected} counters were wrong and are repaired\n')
    assert counters(app) == before
    assert recount().output == 'all counters are right\n'


@pytest.mark.parametrize('wrong', [0, 8, 10])
def test_wrong_total(app, recount, wrong):
    before = counters(app)
    tamper(app, update(Total).where(Total.name == 'users').values(value=wrong))
    assert '1 counters were wrong' in recount().output
    assert counters(app) == before


def test_missing_total(app, recount):
    before = counters(app)
    tamper(app, delete(Total))
    assert recount().output == '1 counters were wrong and are repaired\n'
    assert counters(app) == before
    assert recount().output == 'all counters are right\n'


def test_every_counter_is_counted():
    counted = {counter.key for counters in COUNTERS.values() for counter in counters}
    assert counted == {
        column.name for model in COUNTERS for column in model.__table__.c if column.name.endswith('_count')
    }


def test_several_wrong_at_once(app, recount):
    before = counters(app)
    tamper(
        app,
        update(User).where(User.id == 1).values(post_count=User.post_count + 1),
        update(User).where(User.id == 2).values(follower_count=User.follower_count + 1, following_count=777),
        update(Post).where(Post.id == 1).values(like_count=999, reply_count=999),
        update(Total).where(Total.name == 'users').values(value=3),
    )
    assert '6 counters were wrong' in recount().output
    assert counters(app) == before


def test_without_any_row(app):
    assert app.test_cli_runner().invoke(args=['recount']).output == 'all counters are right\n'


def test_a_post_that_is_being_written_is_not_in_its_way(app, login):
    ana = login('ana')
    answers = []
    counting = threading.Thread(target=lambda: answers.append(app.test_cli_runner().invoke(args=['recount'])))
    with app.app_context():
        # As `write_post` does it: the author first, then the post.
        counted = update(User).where(User.id == ana.id).values(post_count=User.post_count + 1)
        db.session.execute(counted, execution_options={'synchronize_session': False})
        counting.start()
        counting.join(0.5)  # it waits now, or is done
        values = {'author_id': ana.id, 'text': 'Hello!', 'reply_to_id': None, 'created_at': utcnow()}
        connection = db.session.connection()
        connection.execute(INSERT_POST[connection.dialect.name], values)
        db.session.commit()
    counting.join()
    assert answers[0].output == 'all counters are right\n'
