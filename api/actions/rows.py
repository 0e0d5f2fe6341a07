"""Helpers to insert, delete and lock single rows."""

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
    """Suppress operational errors of an optional statement: a full disk or a lock timeout must not fail the request.

    Raise the error if the connection is lost. The statement must not be part of a transaction.
    """
    try:
        yield
    except OperationalError as error:
        if error.connection_invalidated:
            raise


def insert_if_absent(model: type[Base], **values: Any) -> bool:
    """Insert a row unless a constraint says that it exists. Return whether it was inserted."""
    insert: Any = INSERT_BY_DIALECT[db.engine.dialect.name](model)
    statement = insert.values(values).on_conflict_do_nothing().returning(literal(1))
    return db.session.scalar(statement) is not None


def delete_if_present(model: type[Base], **values: Any) -> bool:
    """Delete the row with these values. Return whether it existed."""
    return db.session.connection().execute(delete(model).filter_by(**values)).rowcount > 0


def lock_user(actor: int, credentials_version: int | None = None) -> None:
    """Lock the caller's row.

    Raise UnauthorizedError if the account is deleted or disabled, or if its credentials do not have the given version.
    """
    user = select(User.id).where(User.id == actor, User.disabled_at.is_(None))
    if credentials_version is not None:
        user = user.where(User.credentials_version == credentials_version)
    if db.session.scalar(user.with_for_update(key_share=True)) is None:
        raise UnauthorizedError
