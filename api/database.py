"""The declarative base, the column types, and how connections behave, the same on SQLite and PostgreSQL."""

import sqlite3
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, DateTime, Dialect, Engine, Integer, MetaData, event, make_url
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.types import TypeDecorator

SECONDS_TO_WAIT_FOR_A_CONNECTION = 3
SECONDS_TO_WAIT_FOR_A_LOCK = 5
SECONDS_FOR_A_STATEMENT = 10

# SQLite counts 64 bits in every integer, but only an INTEGER primary key counts up by itself.
BigId = BigInteger().with_variant(Integer, 'sqlite')


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, `timestamptz` on PostgreSQL, UTC without offset on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == 'sqlite' else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC)  # PostgreSQL's sessions are set to UTC


class Base(DeclarativeBase):
    registry = registry(
        type_annotation_map={int: BigId, datetime: UTCDateTime},
        metadata=MetaData(
            naming_convention={
                'pk': 'pk_%(table_name)s',
                'fk': 'fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s',
                'uq': 'uq_%(table_name)s_%(column_0_N_name)s',
                'ix': 'ix_%(table_name)s_%(column_0_N_name)s',
                'ck': 'ck_%(table_name)s_%(constraint_name)s',
            }
        ),
    )


def engine_options(url: str, connections: int) -> dict[str, Any]:
    """The arguments of `create_engine` for a database and that many threads: every wait has a bound."""
    options: dict[str, Any] = {
        'hide_parameters': True,  # which are in messages otherwise, and those in logs
        'pool_timeout': SECONDS_TO_WAIT_FOR_A_CONNECTION,
        'pool_size': connections,
        'max_overflow': 0,
    }
    if make_url(url).get_backend_name() == 'sqlite':
        # isolation_level=None: the driver begins no transaction by itself, `begin_immediate` does.
        options['connect_args'] = {'isolation_level': None, 'timeout': SECONDS_TO_WAIT_FOR_A_LOCK}
    else:
        options['connect_args'] = {
            'connect_timeout': SECONDS_TO_WAIT_FOR_A_CONNECTION,
            'application_name': 'microblog',
            'options': f'-c timezone=UTC -c statement_timeout={SECONDS_FOR_A_STATEMENT}s'
            f' -c lock_timeout={SECONDS_TO_WAIT_FOR_A_LOCK}s',
        }
    return options


def prepare_engine(engine: Engine) -> None:
    """Makes SQLite's connections keep foreign keys, not block readers, and take the write lock at BEGIN."""
    if engine.dialect.name == 'sqlite':
        event.listen(engine, 'connect', set_pragmas)
        event.listen(engine, 'begin', begin_immediate)


def set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    for pragma in ('journal_mode=WAL', 'foreign_keys=ON', 'synchronous=NORMAL'):
        connection.execute(f'PRAGMA {pragma}').close()


def begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and asks for the write lock later can only fail where another wrote in between.
    if not connection.get_execution_options().get('read_only'):
        connection.exec_driver_sql('BEGIN IMMEDIATE')


@cache
def reader_of(engine: Engine) -> Engine:
    """The same pool, for reads: each statement on its own, without BEGIN and COMMIT around it."""
    if engine.dialect.name == 'sqlite':
        return engine.execution_options(read_only=True)
    return engine.execution_options(isolation_level='AUTOCOMMIT')


@cache
def snapshot_of(engine: Engine) -> Engine:
    """The same pool, for transactions that see the database as it was when they began (SQLite's always do)."""
    return engine if engine.dialect.name == 'sqlite' else engine.execution_options(isolation_level='REPEATABLE READ')
