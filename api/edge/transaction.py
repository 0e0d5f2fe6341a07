"""Where transactions begin and end.

What a request reads with a safe method it reads without a transaction. What it writes with another method is committed
here, once, when the view has returned; whatever is raised rolls it back, and so does `Prefer: dry-run`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from flask.typing import ResponseReturnValue

from api.database import Reads
from api.extensions import current_reads, db

SAFE_METHODS = {'GET', 'HEAD', 'OPTIONS'}
DRY_RUN = 'dry-run'
NO_SESSION = NullSession()
# A preference is a word, perhaps with a value or parameters (RFC 7240).
DRY_RUN_PREFERRED = re.compile(r'(^|,)\s*dry-run\s*($|[,;=])', re.IGNORECASE)


class NoSessions(SessionInterface):
    """There are no cookies, so nothing is looked for in them."""

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION


class TransactionalFlask(Flask):
    """A Flask whose views run in the request's transaction."""

    session_interface = NoSessions()

    def dispatch_request(self) -> ResponseReturnValue:
        if request.method in SAFE_METHODS:
            with reading():
                return super().dispatch_request()
        answer = super().dispatch_request()
        if is_dry_run():
            db.session.rollback()
        else:
            db.session.commit()
        return answer


def is_dry_run() -> bool:
    """Whether a write is to be tried out only: everything is done, and nothing kept."""
    if request.method in SAFE_METHODS or 'HTTP_PREFER' not in request.environ:
        return False
    return DRY_RUN_PREFERRED.search(request.environ['HTTP_PREFER']) is not None


def confirm_dry_runs(app: Flask) -> None:
    app.after_request(confirm)


def confirm(answer: Response) -> Response:
    if is_dry_run():
        answer.headers['Preference-Applied'] = DRY_RUN
    return answer


@contextmanager
def reading() -> Iterator[None]:
    """What is read meanwhile is read outside of any transaction.

    Credentials are looked up so, too: while a password is being checked nobody waits for a lock.
    """
    if current_reads.get():
        yield
        return
    reads = Reads(db.engine)
    token = current_reads.set(reads)
    try:
        yield
    finally:
        current_reads.reset(token)
        reads.close()
