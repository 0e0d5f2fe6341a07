"""The transaction of a request.

Requests with a safe method read without a transaction. For other methods the session is committed once, after the view
has returned. An exception rolls it back, and so does `Prefer: dry-run`.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from flask import Request, Response, current_app, g, request
from sqlalchemy import Engine

from api.actions.users import touch_last_write
from api.db.read_connection import ReadConnection, current_read_connection
from api.db.session import db

SAFE_METHODS = {'GET', 'HEAD', 'OPTIONS'}
DRY_RUN = 'dry-run'
# A preference is a token, optionally followed by a value or parameters (RFC 7240).
DRY_RUN_PATTERN = re.compile(r'(^|,)\s*dry-run\s*($|[,;=])', re.IGNORECASE)
NO_OP = nullcontext()

T = TypeVar('T')


def unit_of_work(view: Callable[[], T]) -> T:
    """Return the result of the view.

    With a safe method, run it without a transaction. Otherwise commit its transaction, or roll it back in a dry run.
    """
    if request.method in SAFE_METHODS:
        with read_only():
            return view()
    result = view()
    if is_dry_run():
        db.session.rollback()
    else:
        db.session.commit()
        if current_app.extensions['replica']:
            record_last_write()
    return result


def record_last_write() -> None:
    """Record the time of the caller's write before the response is sent, so that their next reads use the primary.

    This is not part of the request's transaction, which could fail if others change the caller's row at the same time.
    """
    if caller := g.get('flask_httpauth_user'):
        with read_only():
            touch_last_write(caller.id, caller.last_write_at)


def is_dry_run() -> bool:
    """Return whether the current request is a write with `Prefer: dry-run`: it is simulated and nothing is saved."""
    return prefers_dry_run(request)


def prefers_dry_run(request: Request) -> bool:
    """Return whether this request is a write with `Prefer: dry-run`."""
    if 'HTTP_PREFER' not in request.environ or request.method in SAFE_METHODS:
        return False
    return DRY_RUN_PATTERN.search(request.environ['HTTP_PREFER']) is not None


def add_preference_applied(request: Request, response: Response) -> None:
    """Add `Preference-Applied` to the response to a dry run. After-request hook."""
    if prefers_dry_run(request):
        response.headers['Preference-Applied'] = DRY_RUN


def read_only(engine: Engine | None = None) -> AbstractContextManager[None]:
    """Return a context manager in which statements run in autocommit mode, on one connection of `engine`.

    engine: default: the primary, or the engine of an enclosing `read_only` block, whose connection is then reused.
    Authentication uses it also in writes, so that no lock is held while a password is checked. Updates that run inside
    are committed immediately.
    """
    return NO_OP if engine is None and current_read_connection.get() else ReadConnection(engine or db.engine)
