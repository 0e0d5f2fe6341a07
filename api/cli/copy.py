"""`flask copy`: copy all rows to another database, between SQLite and PostgreSQL in any combination.

The source is read from one snapshot, so it can be in use meanwhile. The target is written in one transaction and read
back before the commit. If the copy is interrupted, the target has no rows.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError
from sqlalchemy import Connection, Engine, String, Table, collate, create_engine, delete, exists, select, text

from api.cli.errors import report_errors
from api.cli.loading import BATCH_SIZE, write_rows
from api.cli.migrations import require_head, upgrade_empty
from api.db.base import Base
from api.db.engine import autocommit_engine, configure_engine, disable_timeouts, engine_options, snapshot_engine
from api.db.session import db
from api.models import TableCount
from config import normalize_database_url


def parse_url(context: click.Context, parameter: click.Parameter, url: str) -> str:
    try:
        return normalize_database_url(url)
    except ValidationError as error:
        raise click.BadParameter(str(error)) from error


@click.command('copy')
@click.argument('target_url', callback=parse_url)
@with_appcontext
def copy_command(target_url: str) -> None:
    """Copy all rows to another, empty database and verify the copy.

    All users of a machine can see its command lines: leave the password out of the URL and set it in PGPASSWORD or
    ~/.pgpass.
    """
    with report_errors(), snapshot(db.engine) as source:
        require_head(source, 'the database')
        upgrade_empty(target_url)
        with target_transaction(target_url) as target:
            for table in Base.metadata.sorted_tables:
                click.echo(copy_table(source, target, table))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that reads one snapshot of the database. It has no timeouts.

    Writers are not blocked.
    """
    is_sqlite = engine.dialect.name == 'sqlite'
    with (autocommit_engine if is_sqlite else snapshot_engine)(engine).connect() as connection:
        if is_sqlite:
            connection.execute(text('BEGIN'))
        disable_timeouts(connection)
        yield connection


@contextmanager
def target_transaction(url: str) -> Iterator[Connection]:
    """Yield a connection in a transaction on an empty database that no other client can write to."""
    engine = create_engine(url, **engine_options(url, pool_size=1))
    configure_engine(engine)
    try:
        with engine.begin() as connection:
            lock_empty(connection)
            yield connection
    finally:
        engine.dispose()


def lock_empty(connection: Connection) -> None:
    """Block other writers. Raise ClickException if a table has rows."""
    disable_timeouts(connection)
    tables = Base.metadata.sorted_tables
    if connection.dialect.name == 'sqlite':
        connection.execute(text('PRAGMA defer_foreign_keys = ON'))  # lasts until the end of the transaction
    else:
        names = ', '.join(table.name for table in tables)
        connection.execute(text(f'LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE'))
    connection.execute(delete(TableCount))  # the migrations insert a count of 0 users
    not_empty = [table.name for table in tables if connection.scalar(select(exists(select(table.c[0]))))]
    if not_empty:
        raise click.ClickException(f'the target must be empty, but has rows in {", ".join(not_empty)}')


def copy_table(source: Connection, target: Connection, table: Table) -> str:
    """Copy a table and return a line with its row count and digest. Raise ClickException if the copy differs."""
    source_digest, target_digest = RowDigest(), RowDigest()
    write_rows(target, table, table.columns.keys(), source_digest.track(iter_rows(source, table)))
    if table.autoincrement_column is not None:
        restart_sequence(target, table.name, last_id(source, table.name))
    for _ in target_digest.track(iter_rows(target, table)):
        pass
    if str(source_digest) != str(target_digest):
        raise click.ClickException(f'the copy of {table.name} differs: expected {source_digest}, got {target_digest}')
    target.execute(text(f'ANALYZE {table.name}'))
    return f'{table.name}: {source_digest}'


def iter_rows(connection: Connection, table: Table) -> Iterator[Any]:
    """Return an iterator over all rows, ordered by primary key. Text keys are ordered by bytes on both databases."""
    binary = 'BINARY' if connection.dialect.name == 'sqlite' else 'C'
    key = (collate(column, binary) if isinstance(column.type, String) else column for column in table.primary_key)
    return iter(connection.execute(select(table).order_by(*key).execution_options(yield_per=BATCH_SIZE)))


class RowDigest:
    """The number of rows and a SHA-256 of their values. It distinguishes 1 from True and a datetime from its text."""

    def __init__(self) -> None:
        self.count, self.hash = 0, sha256()

    def track(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Yield the rows unchanged and add each to the digest."""
        for row in rows:
            self.count += 1
            self.hash.update(repr(row).encode())
            yield row

    def __str__(self) -> str:
        return f'{self.count} rows, sha256 {self.hash.hexdigest()}'


def last_id(connection: Connection, table: str) -> int | None:
    """Return the last id that the table assigned, even if its row was deleted, so that no id is assigned twice."""
    if connection.dialect.name == 'sqlite':
        statement = text('SELECT seq FROM sqlite_sequence WHERE name = :table')
    else:
        statement = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, 'id'))")
    return connection.execute(statement, {'table': table}).scalar()


def restart_sequence(connection: Connection, table: str, last: int | None) -> None:
    """Let the ids of a table continue after the last one."""
    if not last:  # None or 0: no id was assigned (SQLite reports 0 for a rebuilt table)
        return
    values = {'table': table, 'last': last}
    if connection.dialect.name == 'sqlite':
        connection.execute(text('DELETE FROM sqlite_sequence WHERE name = :table'), values)
        connection.execute(text('INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)'), values)
    else:
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"), values)
