"""Column types."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Integer,
)
from sqlalchemy.types import TypeDecorator

# Every integer of SQLite has 64 bits, but only an INTEGER primary key is assigned automatically.
BigId = BigInteger().with_variant(Integer, 'sqlite')


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: aware in Python, `timestamptz` on PostgreSQL, UTC without offset on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    # PostgreSQL needs no conversion: it accepts aware datetimes, and its sessions are set to UTC.

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        return super().bind_processor(dialect) if dialect.name == 'sqlite' else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        return parse_utc if dialect.name == 'sqlite' else None


def parse_utc(value: str | None) -> datetime | None:
    """Return an aware datetime for the text that SQLite stores, or None."""
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)
