"""Test databases: create, migrate, read, restore and empty them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from api.db.session import db

POSTGRESQL_URL = os.environ.get('TEST_POSTGRESQL_URL', 'postgresql+psycopg://postgres@127.0.0.1:5432/postgres')
REQUIRED = os.environ.get('TEST_REQUIRE', '').split(',')


def skip_unless_required(what: str, why: str) -> None:
    """Skip a test whose dependency is missing, or fail it if TEST_REQUIRE names the dependency."""
    if what in REQUIRED:
        pytest.fail(f'{what} is required but not available: {why}')
    pytest.skip(f'{what} is not available: {why}')


def sqlite(folder: Path, name: str) -> Iterator[str]:
    """Yield the URL of an SQLite file in the folder. The file is not created."""
    yield f'sqlite:///{folder}/{name}.sqlite'


def postgresql(name: str) -> Iterator[str]:
    """Yield the URL of a new database on the test server, and drop it afterwards."""
    engine = create_engine(POSTGRESQL_URL, isolation_level='AUTOCOMMIT', poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS {name} WITH (FORCE)'))
            connection.execute(text(f'CREATE DATABASE {name}'))
    except OperationalError as error:
        skip_unless_required('postgresql', str(error.orig))
    yield make_url(POSTGRESQL_URL).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE {name} WITH (FORCE)'))


def drop_schema(url: str) -> None:
    """Drop everything in a PostgreSQL database. That takes a tenth of the time of creating one."""
    engine = create_engine(url, isolation_level='AUTOCOMMIT', poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text('DROP SCHEMA public CASCADE'))
        connection.execute(text('CREATE SCHEMA public'))


def create_database(kind: str, folder: Path, name: str) -> Iterator[str]:
    """Yield the URL of an empty database without tables. kind: 'sqlite' or 'postgresql'."""
    return sqlite(folder, name) if kind == 'sqlite' else postgresql(f'microblog_{name}_{os.getpid()}')


def upgrade(url: str) -> None:
    """Run `flask db upgrade` in a subprocess."""
    environment = os.environ | {'DATABASE_URL': url, 'ENVIRONMENT': 'development'}
    command = [sys.executable, '-m', 'flask', '--app', 'main', 'db', 'upgrade']
    subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, check=True)


def migrate(app: Flask) -> None:
    """Run `flask db upgrade` in this process."""
    result = app.test_cli_runner().invoke(args=['db', 'upgrade'])
    assert result.exit_code == 0, result.output


Rows = dict[str, list[tuple[Any, ...]]]


@cache
def table_names() -> list[str]:
    """Return the names of all tables, those that others refer to first."""
    return [table.name for table in db.metadata.sorted_tables]


@contextmanager
def driver_cursor(app: Flask) -> Iterator[Any]:
    """Yield a cursor of the driver. SQLAlchemy would cost several times as much as the statements here."""
    with app.app_context():
        connection = db.engine.raw_connection()
    try:
        yield connection.cursor()
    finally:
        connection.close()


def rows_of(app: Flask) -> Rows:
    """Return all rows by the name of their table, as the driver gives them."""
    with driver_cursor(app) as cursor:
        return {name: cursor.execute(f'SELECT * FROM {name}').fetchall() for name in table_names()}


def dump_rows(app: Flask) -> str:
    """Return every value of every row as text, bytes in hex."""
    return as_text(rows_of(app))


def as_text(rows: Rows) -> str:
    return '\n'.join(
        str([value.hex() if isinstance(value, bytes) else value for value in row])
        for table_rows in rows.values()
        for row in table_rows
    )


def restore(app: Flask, rows: Rows) -> None:
    """Insert rows of `rows_of` into a database that is empty except for its table counts."""
    with driver_cursor(app) as cursor:
        placeholder = '?' if hasattr(cursor, 'executescript') else '%s'
        cursor.execute('BEGIN')
        cursor.execute('DELETE FROM table_counts')
        for name, values in rows.items():
            if values:
                placeholders = ', '.join([placeholder] * len(values[0]))
                cursor.executemany(f'INSERT INTO {name} VALUES ({placeholders})', values)
        cursor.execute('COMMIT')


def delete_all_rows(app: Flask, rows: Rows | None = None) -> None:
    """Delete all rows and set the table counts to zero. rows: the existing rows, if known."""
    filled = [name for name in reversed(table_names()) if name != 'table_counts' and (rows is None or rows[name])]
    statements = ['UPDATE table_counts SET row_count = 0', *(f'DELETE FROM {name}' for name in filled)]
    with driver_cursor(app) as cursor:
        if hasattr(cursor, 'executescript'):
            # The statistics that `flask seed` collects cause bad query plans in the next test.
            statements = ['BEGIN IMMEDIATE', *statements, 'DROP TABLE IF EXISTS sqlite_stat1', 'COMMIT']
            cursor.executescript(';'.join(statements))
        else:
            cursor.execute(';'.join(['BEGIN', *statements, 'COMMIT']), prepare=False)
