"""Where transactions begin and end.

What a request reads with a safe method it reads without a transaction. What it writes with another method is committed
here, once, when the view has returned; whatever is raised rolls it back, and so does `Prefer: dry-run`.
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
# A preference is a word, perhaps with a value or parameters (RFC 7240).
DRY_RUN_PATTERN = re.compile(r'(^|,)\s*dry-run\s*($|[,;=])', re.IGNORECASE)
NO_OP = nullcontext()

T = TypeVar('T')


def unit_of_work(view: Callable[[], T]) -> T:
    """Runs a view, and ends the transaction of what it wrote."""
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
    """Writes down that the caller has written, before they are told so: they read it where it is, not on the replica.

    Not in their transaction: it could fail where others change the caller's row, too.
    """
    if caller := g.get('flask_httpauth_user'):
        with read_only():
            touch_last_write(caller.id, caller.last_write_at)


def is_dry_run() -> bool:
    """Whether a write is to be tried out only: everything is done, and nothing kept."""
    return prefers_dry_run(request)


def prefers_dry_run(request: Request) -> bool:
    if 'HTTP_PREFER' not in request.environ or request.method in SAFE_METHODS:
        return False
    return DRY_RUN_PATTERN.search(request.environ['HTTP_PREFER']) is not None


def add_preference_applied(request: Request, response: Response) -> None:
    if prefers_dry_run(request):
        response.headers['Preference-Applied'] = DRY_RUN


def read_only(engine: Engine | None = None) -> AbstractContextManager[None]:
    """What is read meanwhile is read outside of any transaction; where an engine is given, there.

    Credentials are looked up so, too: while a password is being checked nobody waits for a lock.
    """
    return NO_OP if engine is None and current_read_connection.get() else ReadConnection(engine or db.engine)
