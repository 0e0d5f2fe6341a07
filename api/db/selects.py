"""Selects that are built once and run often.

A query is written as a function that returns a select. `@bound_select` calls it once, with a bind parameter for each
argument. After that, a call of the function only pairs the select with the arguments. Variants for a response (some
columns, one page) are also derived once.
"""

import inspect
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, cast

from sqlalchemy import ColumnElement, Dialect, Integer, UnaryExpression, bindparam, literal, literal_column, true
from sqlalchemy.orm import InstrumentedAttribute

from api.db.read_connection import ReadConnection, current_read_connection
from api.db.session import db
from api.db.statement import AnyRow as AnyRow
from api.db.statement import AnySelect as AnySelect
from api.db.statement import Statement

EMPTY_COLUMN = literal(1).label('no_column')

# Clients choose fields, and every combination would add an entry.
MAX_DERIVED = 256

Order = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(eq=False)
class PreparedSelect:
    """A select whose values are bind parameters, with its text for each dialect and the selects derived from it."""

    select: AnySelect
    _derived: dict[Hashable, 'PreparedSelect'] = field(default_factory=dict)
    _statements: dict[str, Statement] = field(default_factory=dict)

    def rows(self, arguments: dict[str, Any]) -> Sequence[AnyRow]:
        """Return the rows for these arguments, prefetched or read now.

        They are read with the current read connection if there is one, otherwise in the transaction.
        """
        read_connection = current_read_connection.get()
        if read_connection and self in read_connection.prefetched and read_connection.prefetched[self][0] == arguments:
            return read_connection.prefetched.pop(self)[1]
        source = read_connection or db.session.connection()
        return self.statement(source.dialect).rows(source, arguments)

    def statement(self, dialect: Dialect) -> Statement:
        statement = self._statements.get(dialect.name)
        if statement is None:
            statement = self._statements[dialect.name] = Statement(self.select, dialect)
        return statement

    def derive(self, key: Hashable, make: Callable[[AnySelect], AnySelect]) -> 'PreparedSelect':
        """Return `make(select)`, prepared and cached by key. The cache is cleared when it holds MAX_DERIVED selects."""
        derived = self._derived.get(key)
        if derived is None:
            if len(self._derived) >= MAX_DERIVED:
                self._derived.clear()
            derived = self._derived[key] = PreparedSelect(make(self.select))
        return derived

    def select_columns(self, columns: tuple[str, ...]) -> 'PreparedSelect':
        """Return a select of the same rows with only these columns. Columns that it does not have are ignored."""
        return self.derive(columns, lambda select: select_columns(select, columns))


@dataclass(eq=False, slots=True)
class BoundSelect:
    """A prepared select with its arguments."""

    prepared: PreparedSelect
    arguments: dict[str, Any]

    def select_columns(self, columns: tuple[str, ...]) -> 'BoundSelect':
        """Return a select of the same rows with only these columns."""
        return BoundSelect(self.prepared.select_columns(columns), self.arguments)

    def first(self) -> AnyRow | None:
        """Return the first row, or None."""
        return next(iter(self.all()), None)

    def first_with(self, other: 'BoundSelect') -> AnyRow | None:
        """Return the first row, or None, and prefetch the row of another select in the same statement.

        The next call of the other select returns the prefetched row. It must return at most one row. Call this outside
        of transactions. Raise ValueError if both selects have an argument of the same name.
        """
        if self.arguments.keys() & other.arguments.keys():
            raise ValueError(f'{list(self.arguments)} and {list(other.arguments)} must not share an argument')
        both = self.prepared.derive(
            ('with', other.prepared), lambda select: join_optional(select, other.prepared.select)
        )
        row = next(iter(both.rows(self.arguments | other.arguments)), None)
        if row is not None:
            read_connection = cast(ReadConnection, current_read_connection.get())
            row_type = other.prepared.statement(read_connection.dialect).row_type
            prefetched = [row_type._make(row[-1 - len(row_type._fields) : -1])] if row[-1] else []
            read_connection.prefetched[other.prepared] = other.arguments, prefetched
        return row

    def all(self) -> Sequence[AnyRow]:
        return self.prepared.rows(self.arguments)

    def scalar(self) -> Any:
        """Return the first column of the first row, or None if there is no row."""
        row = self.first()
        return row and row[0]


@dataclass(frozen=True)
class PagedSelect:
    """A collection: a select of its rows, the unique column that orders them, and the query that counts them.

    count_query: returns no row if the collection does not exist; None for a timeline, which is not counted.
    exists_query: for a timeline, returns a row if it exists; None if the timeline always exists.
    """

    rows: BoundSelect
    order: Order
    count_query: BoundSelect | None
    exists_query: BoundSelect | None

    @property
    def descending(self) -> bool:
        return isinstance(self.order, UnaryExpression)

    def offset_page(self, columns: tuple[str, ...], offset: int, limit: int) -> Sequence[AnyRow]:
        """Return at most `limit` rows from the offset on, with these columns and two more: `cursor` and `total`."""
        prepared = self.rows.prepared.derive(
            ('offset_page', columns, limit), lambda select: self._select_offset_page(select, columns, limit)
        )
        return prepared.rows(self.rows.arguments | {'_offset': offset})

    def keyset_page(
        self, columns: tuple[str, ...], cursor: int | None, limit: int, *, reverse: bool = False
    ) -> Sequence[AnyRow]:
        """Return at most `limit` rows after the cursor or, in reverse, the last `limit` before it, in the usual order.

        cursor: None for the first page or, in reverse, the last one. The rows have these columns, `cursor` and, if the
        collection is counted, `total`.
        """
        prepared = self.rows.prepared.derive(
            ('keyset_page', columns, limit, cursor is None, reverse),
            lambda select: self._select_keyset_page(select, columns, limit, cursor is None, reverse),
        )
        rows = prepared.rows(self.rows.arguments | {'_cursor': cursor})
        return rows[::-1] if reverse else rows

    def _select_offset_page(self, select: AnySelect, columns: tuple[str, ...], limit: int) -> AnySelect:
        offset: Any = bindparam('_offset')
        # Otherwise an offset past the end scans every row.
        return self._order_page(select, columns, limit).where(self._count_column > offset).offset(offset)

    def _select_keyset_page(
        self, select: AnySelect, columns: tuple[str, ...], limit: int, first_page: bool, reverse: bool
    ) -> AnySelect:
        select = self._order_page(select, columns, limit, reverse)
        if first_page:
            return select
        cursor: Any = bindparam('_cursor')
        column = self._order_column
        return select.where(column < cursor if self.descending != reverse else column > cursor)

    def _order_page(self, select: AnySelect, columns: tuple[str, ...], limit: int, reverse: bool = False) -> AnySelect:
        column = self._order_column
        select = select_columns(select, columns).add_columns(column.label('cursor'))
        if self.count_query:
            select = select.add_columns(self._count_column.label('total'))
        return select.order_by(column.desc() if self.descending != reverse else column).limit(inline_int(limit))

    @property
    def _count_column(self) -> Any:
        return cast(BoundSelect, self.count_query).prepared.select.scalar_subquery()

    @property
    def _order_column(self) -> Any:
        return self.order.element if isinstance(self.order, UnaryExpression) else self.order


def bound_select(function: Callable[..., AnySelect]) -> Callable[..., BoundSelect]:
    """Prepare the select that the function returns. The function may only compare its arguments with columns."""
    names = list(inspect.signature(function).parameters)
    prepared = PreparedSelect(function(*(bindparam(name) for name in names)))

    @wraps(function)
    def bind(*values: Any) -> BoundSelect:
        return BoundSelect(prepared, dict(zip(names, values, strict=True)))

    return bind


def paged_select(
    order: Order,
    count_query: Callable[..., BoundSelect] | None = None,
    exists_query: Callable[..., BoundSelect] | None = None,
    paged_class: type[PagedSelect] = PagedSelect,
) -> Callable[[Callable[..., AnySelect]], Callable[..., PagedSelect]]:
    """Like `bound_select`, for collections. Both queries take some of the function's arguments, by name."""
    bind_count, bind_exists = bind_by_name(count_query), bind_by_name(exists_query)

    def decorate(function: Callable[..., AnySelect]) -> Callable[..., PagedSelect]:
        bind_rows = bound_select(function)

        @wraps(function)
        def bind(*values: Any) -> PagedSelect:
            rows = bind_rows(*values)
            return paged_class(rows, order, bind_count(rows.arguments), bind_exists(rows.arguments))

        return bind

    return decorate


def bind_by_name(query: Callable[..., BoundSelect] | None) -> Callable[[dict[str, Any]], BoundSelect | None]:
    """Return a function that takes a dictionary of arguments and calls the query with its own ones."""
    if query is None:
        return lambda arguments: None
    names = list(inspect.signature(query).parameters)
    return lambda arguments: query(*map(arguments.__getitem__, names))


def inline_int(number: int) -> ColumnElement[int]:
    """Return a number as a literal in the SQL text. It tells a generic plan of PostgreSQL how few rows are needed."""
    return literal_column(str(number), Integer)


def join_optional(select: AnySelect, other: AnySelect) -> AnySelect:
    """Join the row of another select, or nulls, to each row. The last column is 1 if there is such a row, else null."""
    optional = other.add_columns(inline_int(1).label('is_there')).subquery()
    return select.outerjoin(optional, true()).add_columns(*optional.columns)


def select_columns(select: AnySelect, columns: tuple[str, ...]) -> AnySelect:
    """Return the select with only these columns, in this order. If it has none of them, it keeps its number of rows."""
    available = select.selected_columns
    return select.with_only_columns(
        *([available[member] for member in columns if member in available] or [EMPTY_COLUMN])
    )
