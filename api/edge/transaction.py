"""Where transactions begin and end.

What a request reads with a safe method it reads without a transaction. What it writes with another method is committed
here, once, when the view has returned; whatever is raised rolls it back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from api.database import reader_of
from api.extensions import db

SAFE_METHODS = {'GET', 'HEAD', 'OPTIONS'}


class TransactionalFlask(Flask):
    """A Flask whose views run in the request's transaction."""

    def dispatch_request(self) -> ResponseReturnValue:
        read_only = request.method in SAFE_METHODS
        db.session.info['read_only'] = read_only
        answer = super().dispatch_request()
        if not read_only:
            db.session.commit()
        return answer


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection outside of the request's transaction.

    Credentials are looked up here: while a password is being checked nobody waits for a lock.
    """
    if request.method in SAFE_METHODS:
        yield db.session.connection()
    else:
        with reader_of(db.engine).connect() as connection:
            yield connection
