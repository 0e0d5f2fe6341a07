"""The declarative base, the column types, and how connections behave, the same on SQLite and PostgreSQL."""

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    PoolProxiedConnection,
    event,
    make_url,
)
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.types import TypeDecorator

T = TypeVar('T')

SECONDS_TO_WAIT_FOR_A_CONNECTION = 3
SECONDS_TO_WAIT_FOR_A_LOCK = 5
SECONDS_FOR_A_STATEMENT = 10
KIBIBYTES_FOR_A_COMMAND = 512 * 1024

# SQLite counts 64 bits in every integer, but only an INTEGER primary key counts up by itself.
BigId = BigInteger().with_variant(Integer, 'sqlite')


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, `timestamptz` on PostgreSQL, UTC without offset on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    # PostgreSQL takes moments as they are, and its sessions, which are set to UTC, give them so.

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        return super().bind_processor(dialect) if dialect.name == 'sqlite' else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        return in_utc if dialect.name == 'sqlite' else None


def in_utc(value: str | None) -> datetime | None:
    """What SQLite keeps as text."""
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)


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
        # Whoever begins a transaction ends it, and reads have none: nothing is left to be rolled back.
        'pool_reset_on_return': None,
    }
    if make_url(url).get_backend_name() == 'sqlite':
        # isolation_level=None: the driver begins no transaction by itself, `begin` does.
        options['connect_args'] = {'isolation_level': None, 'timeout': SECONDS_TO_WAIT_FOR_A_LOCK}
    else:
        options['connect_args'] = {
            'connect_timeout': SECONDS_TO_WAIT_FOR_A_CONNECTION,
            'application_name': 'microblog',
            'autocommit': True,  # for the same reason
            # Planned once: PostgreSQL would plan what has a LIMIT anew each time, for the values that it is given. For
            # values that are like most it would collect and sort the few rows; an index has them in their order, for
            # those of whom there are many, too.
            'options': f'-c timezone=UTC -c statement_timeout={SECONDS_FOR_A_STATEMENT}s'
            f' -c lock_timeout={SECONDS_TO_WAIT_FOR_A_LOCK}s'
            ' -c plan_cache_mode=force_generic_plan -c enable_bitmapscan=off',
        }
    return options


def prepare_engine(engine: Engine) -> None:
    """Makes transactions begin where we say, SQLite keep foreign keys and not block readers, and PostgreSQL answer."""
    event.listen(engine, 'begin', begin)
    if engine.dialect.name == 'sqlite':
        event.listen(engine, 'connect', set_pragmas)
    else:
        event.listen(engine, 'do_connect', connect_with_patience)


def set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    for pragma in ('journal_mode=WAL', 'foreign_keys=ON', 'synchronous=NORMAL'):
        connection.execute(f'PRAGMA {pragma}').close()


def begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get('alone'):
        return
    if connection.dialect.name == 'sqlite':
        begin_immediate(connection)
    else:
        connection.exec_driver_sql(f'BEGIN ISOLATION LEVEL {options.get("level", "READ COMMITTED")}')


def begin_immediate(connection: Connection) -> None:
    """Takes the write lock: who reads first and asks for it later can only fail where another wrote in between."""
    connection.exec_driver_sql('BEGIN IMMEDIATE')


class PatientConnection(psycopg.Connection[Any]):
    """One that gives up soon after PostgreSQL should have: a server that is frozen or cut off bounds nothing itself."""

    patience: float | None = SECONDS_FOR_A_STATEMENT + 1

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            # Whatever was answered, with an error or without, has ended the statement.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def connect_with_patience(dialect: Dialect, record: object, arguments: list[str], options: dict[str, Any]) -> object:
    return PatientConnection.connect(*arguments, **options)


def take_time(connection: Connection) -> None:
    """Lets a command take the time that it wants, and SQLite the memory. The connection is closed afterwards.

    By itself SQLite takes 2 MB for pages, so that among millions of rows nearly each would have it read and write pages
    of an index again.
    """
    if connection.dialect.name == 'postgresql':
        cast(PatientConnection, connection.connection.dbapi_connection).patience = None
        setting = 'SET statement_timeout = 0'
    else:
        setting = f'PRAGMA cache_size = -{KIBIBYTES_FOR_A_COMMAND}'
    connection.detach()
    connection.exec_driver_sql(setting)


@cache
def reader_of(engine: Engine) -> Engine:
    """The same pool, for reads: each statement alone, without BEGIN and COMMIT around it."""
    return engine.execution_options(alone=True)


@cache
def snapshot_of(engine: Engine) -> Engine:
    """The same pool, for transactions that see the database as it was when they began (SQLite's always do)."""
    return engine.execution_options(level='REPEATABLE READ')


class Reads:
    """For statements outside of any transaction: they share a connection, which the first of them takes.

    foreseen: by query, the arguments and the rows of what was read before anybody asked.
    """

    def __init__(self, engine: Engine):
        self.foreseen: dict[Hashable, tuple[dict[str, Any], Sequence[Any]]] = {}
        self.dialect = engine.dialect
        self._engine = engine
        self._pooled: PoolProxiedConnection | None = None
        self._connection: Connection | None = None

    @property
    def pooled(self) -> PoolProxiedConnection:
        """The driver's connection, from the pool."""
        if self._connection is not None:
            return self._connection.connection  # another one where the first was lost
        if self._pooled is None:
            try:
                self._pooled = self._engine.raw_connection()
            except self.dialect.loaded_dbapi.Error as error:
                Connection._handle_dbapi_exception_noconnection(error, self.dialect, self._engine)
        return self._pooled

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's around it, which costs as much as all the pool does: for other statements than our texts."""
        if self._connection is None:
            self._connection = Connection(reader_of(self._engine), self.pooled)
        return self._connection

    def __enter__(self) -> None:
        self._token = current_reads.set(self)

    def __exit__(self, *error: object) -> None:
        current_reads.reset(self._token)
        if opened := self._connection or self._pooled:
            opened.close()


current_reads: ContextVar[Reads | None] = ContextVar('current_reads', default=None)
