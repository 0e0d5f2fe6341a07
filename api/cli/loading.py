"""Rows on their way into a table, as fast as the database takes them, in memory that does not grow with them."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, cast

import click
import psycopg
from sqlalchemy import Connection, Table, insert

BATCH_SIZE = 10_000


def write_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes rows, whose values come in the order of the columns."""
    if connection.dialect.name == 'postgresql':
        stream_rows(connection, table, columns, rows)
        return
    rows = iter(rows)
    while batch := list(islice(rows, BATCH_SIZE)):
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in batch])


def stream_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # One statement for all: what a row refers to may come after it, because keys are looked at when it ends.
    statement = f'COPY {table.name} ({", ".join(columns)}) FROM STDIN'
    driver = cast(psycopg.Connection, connection.connection.dbapi_connection)
    with driver.cursor() as cursor, cursor.copy(statement) as stream:
        for row in rows:
            try:
                stream.write_row(row)
            except psycopg.DataError as error:
                raise click.ClickException(f'{table.name} {row[0]} is not for PostgreSQL: {error}') from error
