"""Engine options and connection behaviour, as similar as possible on SQLite and PostgreSQL."""

import sqlite3
from functools import cache
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    Connection,
    Dialect,
    Engine,
    event,
    make_url,
)

T = TypeVar('T')


CONNECT_TIMEOUT = 3  # seconds


LOCK_TIMEOUT = 5  # seconds


STATEMENT_TIMEOUT = 10  # seconds


COMMAND_CACHE_KIB = 512 * 1024


def engine_options(url: str, pool_size: int) -> dict[str, Any]:
    """Return the arguments of `create_engine` for a database and a number of connections. Every wait has a timeout."""
    options: dict[str, Any] = {
        'hide_parameters': True,  # Error messages would include them, and logs the messages.
        'pool_timeout': CONNECT_TIMEOUT,
        'pool_size': pool_size,
        'max_overflow': 0,
        # No reset on return: transactions end explicitly and reads autocommit.
        'pool_reset_on_return': None,
    }
    if make_url(url).get_backend_name() == 'sqlite':
        # isolation_level=None: the driver starts no transaction, `begin_transaction` does.
        options['connect_args'] = {'isolation_level': None, 'timeout': LOCK_TIMEOUT}
    else:
        options['connect_args'] = {
            'connect_timeout': CONNECT_TIMEOUT,
            'application_name': 'microblog',
            'autocommit': True,  # As isolation_level=None for SQLite.
            # Use generic plans. Otherwise PostgreSQL plans a query with a LIMIT again for each set of values. For
            # values that match few rows, it would collect and sort these. An index returns them in order, and is also
            # fast for values that match many rows.
            'options': f'-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT}s'
            f' -c lock_timeout={LOCK_TIMEOUT}s'
            ' -c plan_cache_mode=force_generic_plan -c enable_bitmapscan=off',
        }
    return options


def configure_engine(engine: Engine) -> None:
    """Register the event listeners of an engine.

    Transactions begin explicitly. SQLite enforces foreign keys and does not block readers. Connections to PostgreSQL
    have a client-side timeout.
    """
    event.listen(engine, 'begin', begin_transaction)
    if engine.dialect.name == 'sqlite':
        event.listen(engine, 'connect', set_pragmas)
    else:
        event.listen(engine, 'do_connect', connect_with_timeout)


def set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    for pragma in ('journal_mode=WAL', 'foreign_keys=ON', 'synchronous=NORMAL'):
        connection.execute(f'PRAGMA {pragma}').close()


def begin_transaction(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get('no_transaction'):
        return
    if connection.dialect.name == 'sqlite':
        begin_immediate(connection)
    else:
        connection.exec_driver_sql(f'BEGIN ISOLATION LEVEL {options.get("level", "READ COMMITTED")}')


def begin_immediate(connection: Connection) -> None:
    """Take the write lock at once. A transaction that takes it after a read fails if another one wrote in between."""
    connection.exec_driver_sql('BEGIN IMMEDIATE')


class TimeoutConnection(psycopg.Connection[Any]):
    """A connection with a client-side timeout, slightly longer than the statement timeout of PostgreSQL.

    A server that is frozen or unreachable cannot enforce its own timeout. timeout: in seconds; None for no timeout.
    """

    timeout: float | None = STATEMENT_TIMEOUT + 1

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.timeout if timeout is None else timeout)
        except psycopg.OperationalError:
            # ACTIVE means that the server has not responded. Any response, even an error, ends the statement.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def connect_with_timeout(dialect: Dialect, record: object, arguments: list[str], options: dict[str, Any]) -> object:
    return TimeoutConnection.connect(*arguments, **options)


def disable_timeouts(connection: Connection) -> None:
    """Disable the timeouts of a connection for a command, and enlarge the page cache of SQLite.

    The connection leaves the pool, so that it is closed after use. The default page cache of SQLite is 2 MB: with
    millions of rows, nearly every row would cause it to read and write index pages again.
    """
    if connection.dialect.name == 'postgresql':
        cast(TimeoutConnection, connection.connection.dbapi_connection).timeout = None
        setting = 'SET statement_timeout = 0'
    else:
        setting = f'PRAGMA cache_size = -{COMMAND_CACHE_KIB}'
    connection.detach()
    connection.exec_driver_sql(setting)


@cache
def autocommit_engine(engine: Engine) -> Engine:
    """Return an engine with the same pool for reads, in which each statement runs without BEGIN and COMMIT."""
    return engine.execution_options(no_transaction=True)


@cache
def snapshot_engine(engine: Engine) -> Engine:
    """Return an engine with the same pool whose transactions read a snapshot (on SQLite they always do)."""
    return engine.execution_options(level='REPEATABLE READ')
