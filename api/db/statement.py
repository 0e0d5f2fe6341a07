"""Selects compiled to text, which the driver runs directly."""

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Dialect, Select

from api.db.read_connection import ReadConnection

AnySelect = Select[*tuple[Any, ...]]
# A named tuple with the columns of the select.
AnyRow = Any
Convert = Callable[[Any], Any]
# A connection in a transaction, or one outside of transactions.
ReadSource = Connection | ReadConnection

# Binary results: the server formats no text, and the client parses none.
CURSOR_OPTIONS: dict[str, dict[str, bool]] = {'postgresql': {'binary': True}, 'sqlite': {}}


class Statement:
    """A select compiled for a dialect. The conversions of its values and rows are determined once."""

    def __init__(self, select: AnySelect, dialect: Dialect):
        compiled: Any = select.compile(dialect=dialect)
        self._select = select
        self._text = str(compiled)
        # With a list of values, the text depends on its length.
        self._is_fixed = not any(bind.expanding for bind in compiled.bind_names)
        self._order: Sequence[str] | None = compiled.positiontup
        self._defaults = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        self._conversions = {
            name: convert
            for bind, name in compiled.bind_names.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        columns = list(select.selected_columns)
        self.row_type: Any = namedtuple('Row', [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
        self._make = partial(tuple.__new__, self.row_type)  # As `_make`, without the length check.
        self._row_conversions = [
            (index, convert)
            for index, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def rows(self, source: ReadSource, arguments: dict[str, Any]) -> Sequence[AnyRow]:
        if not self._is_fixed:
            return connection_of(source).execute(self._select, arguments).all()
        rows = execute(source, self._text, self._values(arguments))
        return list(map(self._convert_row if self._row_conversions else self._make, rows))

    def _values(self, arguments: dict[str, Any]) -> dict[str, Any] | list[Any]:
        values = self._defaults | arguments
        for name, convert in self._conversions.items():
            values[name] = convert(values[name])
        return values if self._order is None else [values[name] for name in self._order]

    def _convert_row(self, row: tuple[Any, ...]) -> AnyRow:
        values = list(row)
        for index, convert in self._row_conversions:
            values[index] = convert(values[index])
        return self._make(values)


def execute(source: ReadSource, text: str, values: Any) -> Sequence[tuple[Any, ...]]:
    """Run a statement on the driver's cursor and return all rows. Each connection of the driver reuses one cursor."""
    pooled_connection = source.pooled_connection if isinstance(source, ReadConnection) else source.connection
    cursor = pooled_connection.info.get('cursor')
    if cursor is None:
        cursor = pooled_connection.info['cursor'] = pooled_connection.cursor(**CURSOR_OPTIONS[source.dialect.name])
    try:
        cursor.execute(text, values)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    except source.dialect.loaded_dbapi.Error as error:
        # As SQLAlchemy does: raise its own error, and discard connections to a lost server. The cursor is not passed,
        # because it would be closed.
        connection_of(source)._handle_dbapi_exception(error, text, None, None, None)
    return rows


def connection_of(source: ReadSource) -> Connection:
    return source.connection if isinstance(source, ReadConnection) else source
