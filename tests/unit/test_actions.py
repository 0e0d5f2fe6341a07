import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from api.actions.posts import delete_post, edit_post
from api.actions.rows import if_possible
from api.actions.users import note_seen, refuse_taken
from api.edge.transaction import reading
from api.errors import ApiError
from api.extensions import current_connection, db
from api.models import User


def test_only_uniqueness_is_about_what_is_taken(app: Flask, make_user) -> None:
    make_user('ana')
    with app.app_context(), pytest.raises(IntegrityError, match='post_count'), refuse_taken(username='ben'):
        db.session.execute(update(User).values(post_count=-1))


@pytest.mark.parametrize('change', [delete_post, edit_post])
def test_a_post_that_has_gone_meanwhile_is_not_found(app: Flask, change) -> None:
    with app.app_context(), pytest.raises(ApiError) as error:
        change(id=1)
    assert error.value.status == 404


def test_who_cannot_be_noted_is_served_all_the_same(app: Flask, make_user) -> None:
    ana = make_user('ana')['id']
    with app.app_context(), db.engine.connect() as writer, reading():
        reader = current_connection()
        is_sqlite = reader.dialect.name == 'sqlite'
        reader.execute(text('PRAGMA busy_timeout = 10' if is_sqlite else 'SET lock_timeout = 10'))
        writer.execute(update(User).values(about_me='locked'))
        note_seen(ana, None)
        assert reader.scalar(text('SELECT last_seen FROM users')) is None
        reader.invalidate()  # the next to have it would not wait long enough


def test_a_connection_that_is_lost_meanwhile_is_no_small_matter() -> None:
    with pytest.raises(OperationalError), if_possible():
        raise OperationalError('UPDATE', {}, Exception(), connection_invalidated=True)
