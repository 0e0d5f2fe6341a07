"""The declarative base, the column types, and how connections behave, the same on SQLite and PostgreSQL."""

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


CONNECT_TIMEOUT = 3


LOCK_TIMEOUT = 5


STATEMENT_TIMEOUT = 10


COMMAND_CACHE_KIB = 512 * 1024


def engine_options(url: str, pool_size: int) -> dict[str, Any]:
    """The arguments of `create_engine` for a database and that many threads: every wait has a bound."""
    options: dict[str, Any] = {
        'hide_parameters': True,  # which are in messages otherwise, and those in logs
        'pool_timeout': CONNECT_TIMEOUT,
        'pool_size': pool_size,
        'max_overflow': 0,
        # Whoever begins a transaction ends it, and reads have none: nothing is left to be rolled back.
        'pool_reset_on_return': None,
    }
    if make_url(url).get_backend_name() == 'sqlite':
        # isolation_level=None: the driver begins no transaction by itself, `begin_transaction` does.
        options['connect_args'] = {'isolation_level': None, 'timeout': LOCK_TIMEOUT}
    else:
        options['connect_args'] = {
            'connect_timeout': CONNECT_TIMEOUT,
            'application_name': 'microblog',
            'autocommit': True,  # for the same reason
            # Planned once: PostgreSQL would plan what has a LIMIT anew each time, for the values that it is given. For
            # values that are like most it would collect and sort the few rows; an index has them in their order, for
            # those of whom there are many, too.
            'options': f'-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT}s'
            f' -c lock_timeout={LOCK_TIMEOUT}s'
            ' -c plan_cache_mode=force_generic_plan -c enable_bitmapscan=off',
        }
    return options


def configure_engine(engine: Engine) -> None:
    """Makes transactions begin where we say, SQLite keep foreign keys and not block readers, and PostgreSQL answer."""
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
    """Takes the write lock: who reads first and asks for it later can only fail where another wrote in between."""
    connection.exec_driver_sql('BEGIN IMMEDIATE')


class TimeoutConnection(psycopg.Connection[Any]):
    """One that gives up soon after PostgreSQL should have: a server that is frozen or cut off bounds nothing itself."""

    timeout: float | None = STATEMENT_TIMEOUT + 1

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.timeout if timeout is None else timeout)
        except psycopg.OperationalError:
            # Whatever was answered, with an error or without, has ended the statement.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def connect_with_timeout(dialect: Dialect, record: object, arguments: list[str], options: dict[str, Any]) -> object:
    return TimeoutConnection.connect(*arguments, **options)


def disable_timeouts(connection: Connection) -> None:
    """Lets a command take the time that it wants, and SQLite the memory. The connection is closed afterwards.

    By itself SQLite takes 2 MB for pages, so that among millions of rows nearly each would have it read and write pages
    of an index again.
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
    """The same pool, for reads: each statement alone, without BEGIN and COMMIT around it."""
    return engine.execution_options(no_transaction=True)


@cache
def snapshot_engine(engine: Engine) -> Engine:
    """The same pool, for transactions that see the database as it was when they began (SQLite's always do)."""
    return engine.execution_options(level='REPEATABLE READ')
