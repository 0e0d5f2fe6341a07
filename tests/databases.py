"""The databases that the suite runs on, empty and migrated."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from api.extensions import db

POSTGRESQL = os.environ.get('TEST_POSTGRESQL_URL', 'postgresql+psycopg://postgres@127.0.0.1:5432/postgres')
REQUIRED = os.environ.get('TEST_REQUIRE', '').split(',')


def skip_unless_required(what: str, why: str) -> None:
    """Skips a test whose surroundings are not there, or fails it where TEST_REQUIRE names them."""
    if what in REQUIRED:
        pytest.fail(f'{what} is required and not there: {why}')
    pytest.skip(f'no {what} here: {why}')


def sqlite(folder: Path, name: str) -> Iterator[str]:
    yield f'sqlite:///{folder}/{name}.sqlite'


def postgresql(name: str) -> Iterator[str]:
    """A database of its own on the server, dropped afterwards."""
    engine = create_engine(POSTGRESQL, isolation_level='AUTOCOMMIT', poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS {name} WITH (FORCE)'))
            connection.execute(text(f'CREATE DATABASE {name}'))
    except OperationalError as error:
        skip_unless_required('postgresql', str(error.orig))
    yield make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE {name} WITH (FORCE)'))


def of_kind(kind: str, folder: Path, name: str) -> Iterator[str]:
    """Either of them: 'sqlite' or 'postgresql', with nothing in it at all."""
    return sqlite(folder, name) if kind == 'sqlite' else postgresql(f'microblog_{name}_{os.getpid()}')


def upgrade(url: str) -> None:
    """`flask db upgrade` in a process of its own."""
    environment = os.environ | {'DATABASE_URL': url, 'ENVIRONMENT': 'development'}
    command = [sys.executable, '-m', 'flask', '--app', 'main', 'db', 'upgrade']
    subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, check=True)


def migrate(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=['db', 'upgrade'])
    assert result.exit_code == 0, result.output


def dump(app: Flask) -> str:
    """Every value of every row, as text; bytes in hex.

    As the driver gives them: most tests look two or three times, and to build the selects took longer than to run them.
    """
    with app.app_context():
        connection = db.session.connection()
        read = (connection.exec_driver_sql(f'SELECT * FROM {table.name}') for table in db.metadata.sorted_tables)
        rows = [tuple(row) for result in read for row in result]
    return '\n'.join(str([value.hex() if isinstance(value, bytes) else value for value in row]) for row in rows)


def rows_of(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, by the name of their table, as the driver gives them."""
    with app.app_context():
        connection = db.session.connection()
        return {
            table.name: [tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM {table.name}')]
            for table in db.metadata.sorted_tables
        }


def restore(app: Flask, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """Put rows of `rows_of` into a database that is empty but for its totals."""
    with app.app_context():
        connection = db.session.connection()
        placeholder = '?' if db.engine.dialect.name == 'sqlite' else '%s'
        connection.exec_driver_sql('DELETE FROM totals')
        for name, values in rows.items():
            if values:
                placeholders = ', '.join([placeholder] * len(values[0]))
                connection.exec_driver_sql(f'INSERT INTO {name} VALUES ({placeholders})', values)
        db.session.commit()


def empty(app: Flask) -> None:
    """Deletes all rows and sets the totals to zero."""
    with app.app_context():
        connection = db.session.connection()
        for table in reversed(db.metadata.sorted_tables):
            change = 'UPDATE totals SET value = 0' if table.name == 'totals' else f'DELETE FROM {table.name}'
            connection.exec_driver_sql(change)
        if db.engine.dialect.name == 'sqlite':
            # What `flask seed` found out of its rows makes a bad plan for those of the next test.
            connection.exec_driver_sql('DROP TABLE IF EXISTS sqlite_stat1')
        db.session.commit()
