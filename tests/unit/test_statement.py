"""Selects as text: what SQLAlchemy would have done, on the driver's cursor."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError

from api.database import reader_of
from api.extensions import db
from api.models import User
from api.queries.statement import Statement, execute
from tests.routes.rows import add_users

LATE = datetime(2021, 6, 20, 15, 4, 27, tzinfo=UTC)


def test_rows_are_those_of_sqlalchemy(app: Flask) -> None:
    ids = add_users(app, 3)
    users = User.__table__
    query = select(*users.columns, (users.c.id == ids[0]).label('first')).where(
        users.c.id.in_(ids), users.c.created_at < bindparam('late'), users.c.id != bindparam('id')
    )
    fixed = query.where(users.c.username != 'nobody').order_by(users.c.id)
    with app.app_context(), reader_of(db.engine).connect() as connection:
        arguments: dict[str, Any] = {'late': datetime(2100, 1, 1, tzinfo=UTC), 'id': ids[1]}
        expected = connection.execute(fixed, arguments).all()
        found = Statement(fixed, connection.dialect).rows(connection, arguments)
    assert [row._asdict() for row in found] == [row._asdict() for row in expected]
    assert [row.first for row in found] == [True, False]


def test_what_has_no_name_gets_one(app: Flask) -> None:
    with app.app_context(), reader_of(db.engine).connect() as connection:
        ((number, text),) = Statement(select(db.literal(7), db.literal('x')), connection.dialect).rows(connection, {})
    assert (number, text) == (7, 'x')


def test_after_a_failure_the_connection_reads_on(app: Flask) -> None:
    with app.app_context(), reader_of(db.engine).connect() as connection:
        for _ in range(2):
            with pytest.raises(DBAPIError):
                execute(connection, 'SELECT nothing FROM nowhere', [])
            assert [tuple(row) for row in execute(connection, 'SELECT 1', [])] == [(1,)]


def test_a_transaction_reads_what_it_wrote(app: Flask) -> None:
    with app.app_context():
        values = {'username': 'new', 'email': 'new@example.com', 'password_hash': '', 'created_at': LATE}
        db.session.execute(insert(User).values(values))
        names = select(User.username, User.created_at, User.last_seen)
        connection = db.session.connection()
        assert list(map(tuple, Statement(names, connection.dialect).rows(connection, {}))) == [('new', LATE, None)]
        db.session.rollback()


def test_a_moment_that_somebody_wrote_by_hand_is_one(app: Flask, make_user) -> None:
    make_user('ana')
    with app.app_context():
        db.session.execute(text("UPDATE users SET last_seen = '2000-01-01'"))
        connection = db.session.connection()
        (row,) = Statement(select(User.last_seen), connection.dialect).rows(connection, {})
        assert row.last_seen == datetime(2000, 1, 1, tzinfo=UTC)
        db.session.rollback()
