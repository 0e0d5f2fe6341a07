"""`flask counters repair` finds and repairs every counter."""

import threading
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import delete, select, update

from api.actions.posts import INSERT_POST
from api.cli.counters import COUNTERS
from api.clock import utcnow
from api.db.session import db
from api.models import Post, TableCount, User


@pytest.fixture
def recount(app: Flask) -> Callable[[], Result]:
    runner = app.test_cli_runner()
    seeded = runner.invoke(args=['seed', '--users', '9', '--follows', '20', '--posts', '30', '--likes', '60'])
    assert seeded.exit_code == 0, seeded.output
    return lambda: runner.invoke(args=['counters', 'repair'])


def counters(app: Flask) -> list[tuple[object, ...]]:
    with app.app_context():
        users = select(User.id, User.post_count, User.follower_count, User.following_count).order_by(User.id)
        posts = select(Post.id, Post.like_count, Post.reply_count).order_by(Post.id)
        table_counts = select(TableCount.table_name, TableCount.row_count)
        return [tuple(row) for statement in (users, posts, table_counts) for row in db.session.execute(statement)]


def tamper(app: Flask, *changes: object) -> None:
    with app.app_context():
        for change in changes:
            assert db.session.connection().execute(change).rowcount > 0
        db.session.commit()


def test_correct_counters_stay_unchanged(app, recount):
    before = counters(app)
    response = recount()
    assert (response.exit_code, response.output) == (0, 'all counters are correct\n')
    assert counters(app) == before


@pytest.mark.parametrize('counter', [counter for counters in COUNTERS.values() for counter in counters], ids=str)
@pytest.mark.parametrize('wrong', [0, 1_000])
def test_off_by_one_counters_are_repaired(app, recount, counter, wrong):
    before = counters(app)
    with app.app_context():
        expected = len(db.session.scalars(select(counter).where(counter != wrong)).all())
    tamper(app, update(counter.class_).values({counter: wrong}))
    response = recount()
    assert (response.exit_code, response.output) == (0, f'{expected} wrong counters repaired\n')
    assert counters(app) == before
    assert recount().output == 'all counters are correct\n'


@pytest.mark.parametrize('wrong', [0, 8, 10])
def test_wrong_user_count_is_repaired(app, recount, wrong):
    before = counters(app)
    tamper(app, update(TableCount).where(TableCount.table_name == 'users').values(row_count=wrong))
    assert '1 wrong counters' in recount().output
    assert counters(app) == before


def test_missing_user_count_is_created(app, recount):
    before = counters(app)
    tamper(app, delete(TableCount))
    assert recount().output == '1 wrong counters repaired\n'
    assert counters(app) == before
    assert recount().output == 'all counters are correct\n'


def test_every_counter_is_covered():
    counted = {counter.key for counters in COUNTERS.values() for counter in counters}
    assert counted == {
        column.name for model in COUNTERS for column in model.__table__.c if column.name.endswith('_count')
    }


def test_several_wrong_counters_are_repaired(app, recount):
    before = counters(app)
    tamper(
        app,
        update(User).where(User.id == 1).values(post_count=User.post_count + 1),
        update(User).where(User.id == 2).values(follower_count=User.follower_count + 1, following_count=777),
        update(Post).where(Post.id == 1).values(like_count=999, reply_count=999),
        update(TableCount).where(TableCount.table_name == 'users').values(row_count=3),
    )
    assert '6 wrong counters' in recount().output
    assert counters(app) == before


def test_repair_of_an_empty_database(app):
    assert app.test_cli_runner().invoke(args=['counters', 'repair']).output == 'all counters are correct\n'


def test_repair_does_not_wait_for_an_open_insert(app, login):
    ana = login('ana')
    responses = []
    counting = threading.Thread(
        target=lambda: responses.append(app.test_cli_runner().invoke(args=['counters', 'repair']))
    )
    with app.app_context():
        # In the order of `create_post`: the author first, then the post.
        counted = update(User).where(User.id == ana.id).values(post_count=User.post_count + 1)
        db.session.execute(counted, execution_options={'synchronize_session': False})
        counting.start()
        counting.join(0.5)  # it now waits for the lock or has finished
        values = {'author_id': ana.id, 'text': 'Hello!', 'reply_to_id': None, 'created_at': utcnow()}
        connection = db.session.connection()
        connection.execute(INSERT_POST[connection.dialect.name], values)
        db.session.commit()
    counting.join()
    assert responses[0].output == 'all counters are correct\n'
