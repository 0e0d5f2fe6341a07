import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from api.actions.users import refuse_taken
from api.extensions import db
from api.models import User


def test_only_uniqueness_is_about_what_is_taken(app: Flask, make_user) -> None:
    make_user('ana')
    with app.app_context(), pytest.raises(IntegrityError, match='post_count'), refuse_taken(username='ben'):
        db.session.execute(update(User).values(post_count=-1))
