"""Reads of collections and timelines from a replica.

A user who has just written reads from the primary for READ_YOUR_WRITES_WINDOW: longer than the replica may lag, plus a
margin for clock differences. If a read from the replica fails or finds nothing, it is repeated on the primary.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from flask import current_app, g
from sqlalchemy.exc import SQLAlchemyError

from api.clock import utcnow
from api.db.replica import Replica
from api.errors import NotFoundError
from api.http.unit_of_work import read_only

T = TypeVar('T')

READ_YOUR_WRITES_WINDOW = timedelta(seconds=60)


def read_from_replica(read: Callable[[], T]) -> T:
    """Return the result of `read`, run on the replica if it is fresh and the caller has no recent write."""
    replica: Replica | None = current_app.extensions['replica']
    if replica is None or has_recent_write() or not replica.is_fresh():
        return read()
    try:
        with read_only(replica.engine):
            return read()
    except NotFoundError:
        return read()  # a new resource may not have reached the replica yet
    except SQLAlchemyError as error:
        replica.mark_down(error)
        return read()


def has_recent_write() -> bool:
    """Return whether the caller wrote within READ_YOUR_WRITES_WINDOW."""
    last_write_at = g.flask_httpauth_user.last_write_at
    return last_write_at is not None and utcnow() - last_write_at < READ_YOUR_WRITES_WINDOW
