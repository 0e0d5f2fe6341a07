import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from api.actions.posts import delete_post, edit_post
from api.actions.users import refuse_taken
from api.errors import ApiError
from api.extensions import db
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
