"""Connections for reads outside of transactions."""

from collections.abc import Hashable, Sequence
from contextvars import ContextVar
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    PoolProxiedConnection,
)

from api.db.engine import autocommit_engine


class ReadConnection:
    """A connection for statements outside of transactions, taken from the pool by the first statement.

    prefetched: for each prepared select, the arguments and the rows of a result that was read in advance.
    """

    def __init__(self, engine: Engine):
        self.prefetched: dict[Hashable, tuple[dict[str, Any], Sequence[Any]]] = {}
        self.dialect = engine.dialect
        self._engine = engine
        self._pooled_connection: PoolProxiedConnection | None = None
        self._connection: Connection | None = None

    @property
    def pooled_connection(self) -> PoolProxiedConnection:
        """Return the driver's connection, from the pool."""
        if self._connection is not None:
            return self._connection.connection  # A new one if the first was lost.
        if self._pooled_connection is None:
            try:
                self._pooled_connection = self._engine.raw_connection()
            except self.dialect.loaded_dbapi.Error as error:
                Connection._handle_dbapi_exception_noconnection(error, self.dialect, self._engine)
        return self._pooled_connection

    @property
    def connection(self) -> Connection:
        """Return an SQLAlchemy connection, for statements without prepared text. It costs as much as the whole pool."""
        if self._connection is None:
            self._connection = Connection(autocommit_engine(self._engine), self.pooled_connection)
        return self._connection

    def __enter__(self) -> None:
        self._token = current_read_connection.set(self)

    def __exit__(self, *error: object) -> None:
        current_read_connection.reset(self._token)
        if connection := self._connection or self._pooled_connection:
            connection.close()


current_read_connection: ContextVar[ReadConnection | None] = ContextVar('current_reads', default=None)
