"""Actions whose rows are missing or locked, or that the database rejects."""

import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from api.actions.posts import delete_post, update_post
from api.actions.rows import best_effort
from api.actions.users import touch_last_seen, translate_unique_violation
from api.db.session import current_connection, db
from api.errors import ApiError
from api.http.unit_of_work import read_only
from api.models import User


def test_only_uniqueness_becomes_a_taken_message(app: Flask, make_user) -> None:
    make_user('ana')
    with (
        app.app_context(),
        pytest.raises(IntegrityError, match='post_count'),
        translate_unique_violation(username='ben'),
    ):
        db.session.execute(update(User).values(post_count=-1))


@pytest.mark.parametrize('change', [delete_post, update_post])
def test_deleted_post_is_not_found(app: Flask, change) -> None:
    with app.app_context(), pytest.raises(ApiError) as error:
        change(id=1)
    assert error.value.status == 404


def test_failed_last_seen_update_still_serves(app: Flask, make_user) -> None:
    ana = make_user('ana')['id']
    with app.app_context(), db.engine.connect() as writer, read_only():
        reader = current_connection()
        is_sqlite = reader.dialect.name == 'sqlite'
        reader.execute(text('PRAGMA busy_timeout = 10' if is_sqlite else 'SET lock_timeout = 10'))
        writer.execute(update(User).values(about_me='locked'))
        touch_last_seen(ana, None)
        assert reader.scalar(text('SELECT last_seen FROM users')) is None
        reader.invalidate()  # the short lock timeout must not return to the pool


def test_lost_connection_is_raised() -> None:
    with pytest.raises(OperationalError), best_effort():
        raise OperationalError('UPDATE', {}, Exception(), connection_invalidated=True)
