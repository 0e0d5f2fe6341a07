"""Which reads go to a replica: those of collections and timelines, for whoever has not written anything just now.

Whoever has reads on the primary until the replica has it for certain, and for longer than clocks differ. What the
replica does not give, the primary does.
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
    """What `read` gives where there is a replica for it, else on the primary."""
    replica: Replica | None = current_app.extensions['replica']
    if replica is None or has_recent_write() or not replica.is_fresh():
        return read()
    try:
        with read_only(replica.engine):
            return read()
    except NotFoundError:
        return read()  # what is there since a moment ago may be on the primary alone
    except SQLAlchemyError as error:
        replica.mark_down(error)
        return read()


def has_recent_write() -> bool:
    """Whether the caller did."""
    last_write_at = g.flask_httpauth_user.last_write_at
    return last_write_at is not None and utcnow() - last_write_at < READ_YOUR_WRITES_WINDOW
