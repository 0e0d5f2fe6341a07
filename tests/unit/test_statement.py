"""Selects as text: what SQLAlchemy would have done, on the driver's cursor."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import QueuePool, bindparam, create_engine, insert, select, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from api.database import current_reads, prepare_engine, reader_of
from api.edge.transaction import reading
from api.extensions import db
from api.models import User
from api.queries.statement import Statement, execute
from api.queries.users import get_user
from tests.routes.rows import add_users

LATE = datetime(2021, 6, 20, 15, 4, 27, tzinfo=UTC)


@pytest.fixture
def checked_out(app: Flask) -> Callable[[], int]:
    """How many connections of the pool are in use."""
    with app.app_context():
        return cast(QueuePool, db.engine.pool).checkedout


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


def test_after_a_failure_the_connection_reads_on(app: Flask, checked_out: Callable[[], int]) -> None:
    with app.app_context(), reader_of(db.engine).connect() as connection, reading():
        for source in (connection, current_reads.get()):
            for _ in range(2):
                with pytest.raises(DBAPIError):
                    execute(source, 'SELECT nothing FROM nowhere', [])
                assert [tuple(row) for row in execute(source, 'SELECT 1', [])] == [(1,)]
        assert checked_out() == 2
    assert checked_out() == 0


def test_who_reads_goes_on_when_the_connection_was_lost(app: Flask, checked_out: Callable[[], int]) -> None:
    with app.app_context(), reading():
        reads = current_reads.get()
        assert reads
        if reads.dialect.name == 'sqlite':
            pytest.skip('which is no server')
        ((process,),) = execute(reads, 'SELECT pg_backend_pid()', [])
        with db.engine.connect() as other:
            other.execute(text('SELECT pg_terminate_backend(:process)'), {'process': process})
        with pytest.raises(OperationalError) as error:
            execute(reads, 'SELECT 1', [])
        assert error.value.connection_invalidated
        assert execute(reads, 'SELECT 1', []) == [(1,)]
        assert checked_out() == 1
    assert checked_out() == 0


def test_what_is_no_database_is_not_taken_for_one_that_is_away(tmp_path: Path) -> None:
    file = tmp_path / 'text.sqlite'
    file.write_text('There is no database in this file. ' * 100)
    engine = create_engine(f'sqlite:///{file}')
    prepare_engine(engine)
    with reading(engine), pytest.raises(DatabaseError) as error:
        get_user(1).first()
    assert not isinstance(error.value, OperationalError)


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
