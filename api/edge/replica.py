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
from api.edge.transaction import reading
from api.errors import NotFoundError
from api.replica import Replica

T = TypeVar('T')

OWN_WRITES_ARE_READ_FOR = timedelta(seconds=60)


def read_anywhere(read: Callable[[], T]) -> T:
    """What `read` gives where there is a replica for it, else on the primary."""
    replica: Replica | None = current_app.extensions['replica']
    if replica is None or wrote_lately() or not replica.is_near():
        return read()
    try:
        with reading(replica.engine):
            return read()
    except NotFoundError:
        return read()  # what is there since a moment ago may be on the primary alone
    except SQLAlchemyError as error:
        replica.leave(error)
        return read()


def wrote_lately() -> bool:
    """Whether the caller did."""
    wrote_at = g.flask_httpauth_user.wrote_at
    return wrote_at is not None and utcnow() - wrote_at < OWN_WRITES_ARE_READ_FOR
