"""Selects that are made once and run often.

A query is written as a function that returns a select. `@query` calls it a single time, with a bind parameter for each
argument; from then on a call of the function only pairs that select with the arguments. What an answer needs of it
(these columns, this page) is derived from the select once, too.
"""

import inspect
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, cast

from sqlalchemy import ColumnElement, Dialect, Integer, UnaryExpression, bindparam, literal, literal_column, true
from sqlalchemy.orm import InstrumentedAttribute

from api.database import Reads, current_reads
from api.extensions import db
from api.queries.statement import AnyRow as AnyRow
from api.queries.statement import AnySelect as AnySelect
from api.queries.statement import Statement

NO_COLUMN = literal(1).label('no_column')

# Clients choose members, and there are many ways to choose.
MOST_DERIVED = 256

Order = ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(eq=False)
class Prepared:
    """A select whose values are bind parameters, its text for each dialect, and what was derived from it."""

    select: AnySelect
    _derived: dict[Hashable, 'Prepared'] = field(default_factory=dict)
    _statements: dict[str, Statement] = field(default_factory=dict)

    def rows(self, arguments: dict[str, Any]) -> Sequence[AnyRow]:
        """What it finds now, in the transaction or outside, or found when it was read along with something else."""
        reads = current_reads.get()
        if reads and self in reads.foreseen and reads.foreseen[self][0] == arguments:
            return reads.foreseen.pop(self)[1]
        source = reads or db.session.connection()
        return self.statement(source.dialect).rows(source, arguments)

    def statement(self, dialect: Dialect) -> Statement:
        statement = self._statements.get(dialect.name)
        if statement is None:
            statement = self._statements[dialect.name] = Statement(self.select, dialect)
        return statement

    def derive(self, key: Hashable, make: Callable[[AnySelect], AnySelect]) -> 'Prepared':
        """`make(select)`, prepared; made once for each key, as long as there are not very many."""
        derived = self._derived.get(key)
        if derived is None:
            if len(self._derived) >= MOST_DERIVED:
                self._derived.clear()
            derived = self._derived[key] = Prepared(make(self.select))
        return derived

    def only(self, members: tuple[str, ...]) -> 'Prepared':
        """The same rows with just these members, as far as the select has them."""
        return self.derive(members, lambda select: narrow(select, members))


@dataclass(eq=False, slots=True)
class Query:
    """A prepared select with its arguments."""

    prepared: Prepared
    arguments: dict[str, Any]

    def only(self, members: tuple[str, ...]) -> 'Query':
        """The same rows with just these members."""
        return Query(self.prepared.only(members), self.arguments)

    def first(self) -> AnyRow | None:
        """The first row, or None where there is none."""
        return next(iter(self.all()), None)

    def first_along(self, other: 'Query') -> AnyRow | None:
        """The same, outside of any transaction, by a statement that reads a row of another query, too.

        Whoever asks next for that query has it. Both have their own arguments, and the other has at most one row.
        """
        if self.arguments.keys() & other.arguments.keys():
            raise ValueError(f'{list(self.arguments)} and {list(other.arguments)} are not to share an argument')
        both = self.prepared.derive(('along', other.prepared), lambda select: along(select, other.prepared.select))
        row = next(iter(both.rows(self.arguments | other.arguments)), None)
        if row is not None:
            reads = cast(Reads, current_reads.get())
            kind = other.prepared.statement(reads.dialect).row
            found = [kind._make(row[-1 - len(kind._fields) : -1])] if row[-1] else []
            reads.foreseen[other.prepared] = other.arguments, found
        return row

    def all(self) -> Sequence[AnyRow]:
        return self.prepared.rows(self.arguments)

    def scalar(self) -> Any:
        """The first column of the first row, or None where there is none."""
        row = self.first()
        return row and row[0]


@dataclass(frozen=True)
class Listing:
    """A collection: its rows, the column that orders them and never repeats, and the query that counts them.

    The count gives no row where the collection does not exist. A timeline, which nobody counts, has instead a query
    that gives some row where it does, or none at all where it always does.
    """

    rows: Query
    order: Order
    total: Query | None
    exists: Query | None

    @property
    def descending(self) -> bool:
        return isinstance(self.order, UnaryExpression)

    def by_number(self, members: tuple[str, ...], offset: int, limit: int) -> Sequence[AnyRow]:
        """`limit` rows from the offset on, with these members and two more: their `position` and the `total`."""
        prepared = self.rows.prepared.derive(
            ('by_number', members, limit), lambda select: self._by_number(select, members, limit)
        )
        return prepared.rows(self.rows.arguments | {'_offset': offset})

    def beside(
        self, members: tuple[str, ...], position: int | None, limit: int, *, backward: bool = False
    ) -> Sequence[AnyRow]:
        """`limit` rows behind the position, or the last `limit` before it, in order; None is the outermost position.

        They have these members, their `position` and, where the collection is counted, the `total`.
        """
        prepared = self.rows.prepared.derive(
            ('beside', members, limit, position is None, backward),
            lambda select: self._beside(select, members, limit, position is None, backward),
        )
        rows = prepared.rows(self.rows.arguments | {'_position': position})
        return rows[::-1] if backward else rows

    def _by_number(self, select: AnySelect, members: tuple[str, ...], limit: int) -> AnySelect:
        offset: Any = bindparam('_offset')
        # Else all rows would be walked over to find that there is none so far behind.
        return self._ordered(select, members, limit).where(self._total > offset).offset(offset)

    def _beside(
        self, select: AnySelect, members: tuple[str, ...], limit: int, outermost: bool, backward: bool
    ) -> AnySelect:
        select = self._ordered(select, members, limit, backward)
        if outermost:
            return select
        position: Any = bindparam('_position')
        column = self._column
        return select.where(column < position if self.descending != backward else column > position)

    def _ordered(self, select: AnySelect, members: tuple[str, ...], limit: int, backward: bool = False) -> AnySelect:
        column = self._column
        select = narrow(select, members).add_columns(column.label('position'))
        if self.total:
            select = select.add_columns(self._total.label('total'))
        return select.order_by(column.desc() if self.descending != backward else column).limit(in_words(limit))

    @property
    def _total(self) -> Any:
        return cast(Query, self.total).prepared.select.scalar_subquery()

    @property
    def _column(self) -> Any:
        return self.order.element if isinstance(self.order, UnaryExpression) else self.order


def query(function: Callable[..., AnySelect]) -> Callable[..., Query]:
    """Prepares the select that the function returns. Its arguments may only be compared with columns."""
    names = list(inspect.signature(function).parameters)
    prepared = Prepared(function(*(bindparam(name) for name in names)))

    @wraps(function)
    def bind(*values: Any) -> Query:
        return Query(prepared, dict(zip(names, values, strict=True)))

    return bind


def listing(
    order: Order,
    total: Callable[..., Query] | None = None,
    exists: Callable[..., Query] | None = None,
    kind: type[Listing] = Listing,
) -> Callable[[Callable[..., AnySelect]], Callable[..., Listing]]:
    """Like `query`, for collections: both queries take some of the same arguments, by their names."""
    count, look = by_names(total), by_names(exists)

    def decorate(function: Callable[..., AnySelect]) -> Callable[..., Listing]:
        bind_rows = query(function)

        @wraps(function)
        def bind(*values: Any) -> Listing:
            rows = bind_rows(*values)
            return kind(rows, order, count(rows.arguments), look(rows.arguments))

        return bind

    return decorate


def by_names(query: Callable[..., Query] | None) -> Callable[[dict[str, Any]], Query | None]:
    """The query as a function of arguments by name, of which it takes its own."""
    if query is None:
        return lambda arguments: None
    names = list(inspect.signature(query).parameters)
    return lambda arguments: query(*map(arguments.__getitem__, names))


def in_words(number: int) -> ColumnElement[int]:
    """A number as part of the text: PostgreSQL, which plans a text once, is to know how few rows are wanted of it."""
    return literal_column(str(number), Integer)


def along(select: AnySelect, other: AnySelect) -> AnySelect:
    """The rows of a select, each with that of the other or nulls, and last with 1 where there is one."""
    beside = other.add_columns(in_words(1).label('is_there')).subquery()
    return select.outerjoin(beside, true()).add_columns(*beside.columns)


def narrow(select: AnySelect, members: tuple[str, ...]) -> AnySelect:
    """The select with just these of its columns, in this order; where it has none of them, with as many rows."""
    columns = select.selected_columns
    return select.with_only_columns(*([columns[member] for member in members if member in columns] or [NO_COLUMN]))
