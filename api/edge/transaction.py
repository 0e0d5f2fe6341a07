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

from api.actions.users import note_write
from api.database import Reads, current_reads
from api.extensions import db

SAFE_METHODS = {'GET', 'HEAD', 'OPTIONS'}
DRY_RUN = 'dry-run'
# A preference is a word, perhaps with a value or parameters (RFC 7240).
DRY_RUN_PREFERRED = re.compile(r'(^|,)\s*dry-run\s*($|[,;=])', re.IGNORECASE)
ALREADY = nullcontext()

T = TypeVar('T')


def transactional(view: Callable[[], T]) -> T:
    """Runs a view, and ends the transaction of what it wrote."""
    if request.method in SAFE_METHODS:
        with reading():
            return view()
    answer = view()
    if is_dry_run():
        db.session.rollback()
    else:
        db.session.commit()
        if current_app.extensions['replica']:
            note_caller()
    return answer


def note_caller() -> None:
    """Writes down that the caller has written, before they are told so: they read it where it is, not on the replica.

    Not in their transaction: it could fail where others change the caller's row, too.
    """
    if caller := g.get('flask_httpauth_user'):
        with reading():
            note_write(caller.id, caller.wrote_at)


def is_dry_run() -> bool:
    """Whether a write is to be tried out only: everything is done, and nothing kept."""
    return is_dry(request)


def is_dry(request: Request) -> bool:
    if 'HTTP_PREFER' not in request.environ or request.method in SAFE_METHODS:
        return False
    return DRY_RUN_PREFERRED.search(request.environ['HTTP_PREFER']) is not None


def confirm_dry_run(request: Request, answer: Response) -> None:
    if is_dry(request):
        answer.headers['Preference-Applied'] = DRY_RUN


def reading(engine: Engine | None = None) -> AbstractContextManager[None]:
    """What is read meanwhile is read outside of any transaction; where an engine is given, there.

    Credentials are looked up so, too: while a password is being checked nobody waits for a lock.
    """
    return ALREADY if engine is None and current_reads.get() else Reads(engine or db.engine)
