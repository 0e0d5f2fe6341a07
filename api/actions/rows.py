"""Rows that are there once or not at all, and those that are locked first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import delete, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from api.db.base import Base
from api.db.session import db
from api.errors import UnauthorizedError
from api.models import User

INSERT_BY_DIALECT = {'postgresql': postgresql.insert, 'sqlite': sqlite.insert}


@contextmanager
def best_effort() -> Iterator[None]:
    """For a statement of its own that may be left undone: a full disk, or a lock, is no reason to refuse a request."""
    try:
        yield
    except OperationalError as error:
        if error.connection_invalidated:
            raise


def insert_if_absent(model: type[Base], **values: Any) -> bool:
    """Whether the row really came: it does not where a constraint says that it is there already."""
    insert: Any = INSERT_BY_DIALECT[db.engine.dialect.name](model)
    statement = insert.values(values).on_conflict_do_nothing().returning(literal(1))
    return db.session.scalar(statement) is not None


def delete_if_present(model: type[Base], **values: Any) -> bool:
    """Whether the row really went."""
    return db.session.connection().execute(delete(model).filter_by(**values)).rowcount > 0


def lock_user(actor: int, credentials_version: int | None = None) -> None:
    """Locks the caller's row. 401 where the account has gone or, if a version is given, its credentials have ended."""
    user = select(User.id).where(User.id == actor, User.disabled_at.is_(None))
    if credentials_version is not None:
        user = user.where(User.credentials_version == credentials_version)
    if db.session.scalar(user.with_for_update(key_share=True)) is None:
        raise UnauthorizedError
