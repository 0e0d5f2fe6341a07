"""Rows that are there once or not at all."""

from typing import Any

from sqlalchemy import delete, literal
from sqlalchemy.dialects import postgresql, sqlite

from api.database import Base
from api.extensions import db

INSERTS = {'postgresql': postgresql.insert, 'sqlite': sqlite.insert}


def insert_once(model: type[Base], **values: Any) -> bool:
    """Whether the row really came: it does not where a constraint says that it is there already."""
    insert: Any = INSERTS[db.engine.dialect.name](model)
    inserted = insert.values(values).on_conflict_do_nothing().returning(literal(1))
    return db.session.scalar(inserted) is not None


def delete_once(model: type[Base], **values: Any) -> bool:
    """Whether the row really went."""
    return db.session.connection().execute(delete(model).filter_by(**values)).rowcount > 0
