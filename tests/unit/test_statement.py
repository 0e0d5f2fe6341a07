"""Selects that are executed as text, on the driver's cursor, return the rows that SQLAlchemy returns."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import QueuePool, bindparam, create_engine, insert, select, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from api.db.engine import autocommit_engine, configure_engine
from api.db.read_connection import current_read_connection
from api.db.session import db
from api.db.statement import Statement, execute
from api.http.unit_of_work import read_only
from api.models import User
from api.queries.users import get_user
from tests.support.rows import add_users

LATE = datetime(2021, 6, 20, 15, 4, 27, tzinfo=UTC)


@pytest.fixture
def checked_out(app: Flask) -> Callable[[], int]:
    """Return a function that returns how many connections of the pool are in use."""
    with app.app_context():
        return cast(QueuePool, db.engine.pool).checkedout


def test_rows_equal_those_of_sqlalchemy(app: Flask) -> None:
    ids = add_users(app, 3)
    users = User.__table__
    query = select(*users.columns, (users.c.id == ids[0]).label('first')).where(
        users.c.id.in_(ids), users.c.created_at < bindparam('late'), users.c.id != bindparam('id')
    )
    fixed = query.where(users.c.username != 'unknown').order_by(users.c.id)
    with app.app_context(), autocommit_engine(db.engine).connect() as connection:
        arguments: dict[str, Any] = {'late': datetime(2100, 1, 1, tzinfo=UTC), 'id': ids[1]}
        expected = connection.execute(fixed, arguments).all()
        found = Statement(fixed, connection.dialect).rows(connection, arguments)
    assert [row._asdict() for row in found] == [row._asdict() for row in expected]
    assert [row.first for row in found] == [True, False]


def test_unnamed_columns_get_a_name(app: Flask) -> None:
    with app.app_context(), autocommit_engine(db.engine).connect() as connection:
        ((number, text),) = Statement(select(db.literal(7), db.literal('x')), connection.dialect).rows(connection, {})
    assert (number, text) == (7, 'x')


def test_connection_is_usable_after_an_error(app: Flask, checked_out: Callable[[], int]) -> None:
    with app.app_context(), autocommit_engine(db.engine).connect() as connection, read_only():
        for source in (connection, current_read_connection.get()):
            for _ in range(2):
                with pytest.raises(DBAPIError):
                    execute(source, 'SELECT nothing FROM nowhere', [])
                assert [tuple(row) for row in execute(source, 'SELECT 1', [])] == [(1,)]
        assert checked_out() == 2
    assert checked_out() == 0


def test_reads_reconnect_after_a_lost_connection(app: Flask, checked_out: Callable[[], int]) -> None:
    with app.app_context(), read_only():
        reads = current_read_connection.get()
        assert reads
        if reads.dialect.name == 'sqlite':
            pytest.skip('SQLite is not a server')
        ((process,),) = execute(reads, 'SELECT pg_backend_pid()', [])
        with db.engine.connect() as other:
            other.execute(text('SELECT pg_terminate_backend(:process)'), {'process': process})
        with pytest.raises(OperationalError) as error:
            execute(reads, 'SELECT 1', [])
        assert error.value.connection_invalidated
        assert execute(reads, 'SELECT 1', []) == [(1,)]
        assert checked_out() == 1
    assert checked_out() == 0


def test_programming_errors_are_not_outages(tmp_path: Path) -> None:
    file = tmp_path / 'text.sqlite'
    file.write_text('There is no database in this file. ' * 100)
    engine = create_engine(f'sqlite:///{file}')
    configure_engine(engine)
    with read_only(engine), pytest.raises(DatabaseError) as error:
        get_user(1).first()
    assert not isinstance(error.value, OperationalError)


def test_transaction_reads_its_own_writes(app: Flask) -> None:
    with app.app_context():
        values = {'username': 'new', 'email': 'new@example.com', 'password_hash': '', 'created_at': LATE}
        db.session.execute(insert(User).values(values))
        names = select(User.username, User.created_at, User.last_seen)
        connection = db.session.connection()
        assert list(map(tuple, Statement(names, connection.dialect).rows(connection, {}))) == [('new', LATE, None)]
        db.session.rollback()


def test_handwritten_timestamp_is_parsed(app: Flask, make_user) -> None:
    make_user('ana')
    with app.app_context():
        db.session.execute(text("UPDATE users SET last_seen = '2000-01-01'"))
        connection = db.session.connection()
        (row,) = Statement(select(User.last_seen), connection.dialect).rows(connection, {})
        assert row.last_seen == datetime(2000, 1, 1, tzinfo=UTC)
        db.session.rollback()
