"""`flask copy`: everything into another database, from SQLite to PostgreSQL or any other way.

The source is read from one snapshot, so that it may be in use meanwhile. The target is written in one transaction, and
read back before that ends: until then, and wherever it is broken off, the target has no rows.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError
from sqlalchemy import Connection, Engine, String, Table, collate, create_engine, delete, exists, select, text

from api.cli.failures import told_in_a_line
from api.cli.loading import BATCH, write_rows
from api.cli.migrations import demand_newest, upgrade_empty
from api.database import Base, engine_options, prepare_engine, reader_of, snapshot_of, take_time
from api.extensions import db
from api.models import Total
from config import with_our_driver


def known_url(context: click.Context, parameter: click.Parameter, url: str) -> str:
    try:
        return with_our_driver(url)
    except ValidationError as error:
        raise click.BadParameter(str(error)) from error


@click.command('copy')
@click.argument('target_url', callback=known_url)
@with_appcontext
def copy_command(target_url: str) -> None:
    """Copy everything into another, empty database, and compare it there.

    Everybody on a machine sees its command lines: leave the password out of the URL, and put it into PGPASSWORD or
    ~/.pgpass.
    """
    with told_in_a_line(), snapshot(db.engine) as source:
        demand_newest(source, 'the database')
        upgrade_empty(target_url)
        with filling(target_url) as target:
            for table in Base.metadata.sorted_tables:
                click.echo(copy_table(source, target, table))


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees the database as it is now, however long it takes, and keeps nobody from writing."""
    is_sqlite = engine.dialect.name == 'sqlite'
    with (reader_of if is_sqlite else snapshot_of)(engine).connect() as connection:
        if is_sqlite:
            connection.execute(text('BEGIN'))
        take_time(connection)
        yield connection


@contextmanager
def filling(url: str) -> Iterator[Connection]:
    """A transaction on an empty database, in which nobody else writes."""
    engine = create_engine(url, **engine_options(url, connections=1))
    prepare_engine(engine)
    try:
        with engine.begin() as connection:
            lock_empty(connection)
            yield connection
    finally:
        engine.dispose()


def lock_empty(connection: Connection) -> None:
    take_time(connection)
    tables = Base.metadata.sorted_tables
    if connection.dialect.name == 'sqlite':
        connection.execute(text('PRAGMA defer_foreign_keys = ON'))  # until the end of the transaction
    else:
        names = ', '.join(table.name for table in tables)
        connection.execute(text(f'LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE'))
    connection.execute(delete(Total))  # that of no users, which the migrations write
    filled = [table.name for table in tables if connection.scalar(select(exists(select(table.c[0]))))]
    if filled:
        raise click.ClickException(f'the target has rows already, in {", ".join(filled)}: it has to be empty')


def copy_table(source: Connection, target: Connection, table: Table) -> str:
    """Copies a table, and tells how many rows are the same in both; raises ClickException where they are not."""
    sent, found = Digest(), Digest()
    write_rows(target, table, table.columns.keys(), sent.over(rows_of(source, table)))
    if table.autoincrement_column is not None:
        go_on_after(target, table.name, last_id(source, table.name))
    for _ in found.over(rows_of(target, table)):
        pass
    if str(sent) != str(found):
        raise click.ClickException(f'{table.name} did not arrive as it was sent: {sent}, but {found}')
    target.execute(text(f'ANALYZE {table.name}'))
    return f'{table.name}: {sent}'


def rows_of(connection: Connection, table: Table) -> Iterator[Any]:
    """All rows in the order of their keys, which is that of bytes where they are text."""
    binary = 'BINARY' if connection.dialect.name == 'sqlite' else 'C'
    key = (collate(column, binary) if isinstance(column.type, String) else column for column in table.primary_key)
    return iter(connection.execute(select(table).order_by(*key).execution_options(yield_per=BATCH)))


class Digest:
    """How many rows went by, and a digest of their values: of 1 and true, or of a moment and its spelling, another."""

    def __init__(self) -> None:
        self.count, self.hash = 0, sha256()

    def over(self, rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            self.count += 1
            self.hash.update(repr(row).encode())
            yield row

    def __str__(self) -> str:
        return f'{self.count} rows, sha256 {self.hash.hexdigest()}'


def last_id(connection: Connection, table: str) -> int | None:
    """The last id that the table gave out, maybe to a row that has gone since: none is given out twice."""
    if connection.dialect.name == 'sqlite':
        given = text('SELECT seq FROM sqlite_sequence WHERE name = :table')
    else:
        given = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, 'id'))")
    return connection.execute(given, {'table': table}).scalar()


def go_on_after(connection: Connection, table: str, last: int | None) -> None:
    if not last:  # SQLite says 0 of a table that was made anew
        return
    values = {'table': table, 'last': last}
    if connection.dialect.name == 'sqlite':
        connection.execute(text('DELETE FROM sqlite_sequence WHERE name = :table'), values)
        connection.execute(text('INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)'), values)
    else:
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"), values)
