"""Bulk loading of rows in constant memory: COPY in PostgreSQL, batches in SQLite."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, cast

import click
import psycopg
from sqlalchemy import Connection, Table, insert

BATCH_SIZE = 10_000


def write_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows whose values are in the order of the columns. Raise ClickException if PostgreSQL rejects a value."""
    if connection.dialect.name == 'postgresql':
        stream_rows(connection, table, columns, rows)
        return
    rows = iter(rows)
    while batch := list(islice(rows, BATCH_SIZE)):
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in batch])


def stream_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # One statement for all rows: foreign keys are checked when it ends, so a row may precede the one it references.
    statement = f'COPY {table.name} ({", ".join(columns)}) FROM STDIN'
    driver = cast(psycopg.Connection, connection.connection.dbapi_connection)
    with driver.cursor() as cursor, cursor.copy(statement) as stream:
        for row in rows:
            try:
                stream.write_row(row)
            except psycopg.DataError as error:
                raise click.ClickException(f'PostgreSQL rejects the row {row[0]} of {table.name}: {error}') from error
