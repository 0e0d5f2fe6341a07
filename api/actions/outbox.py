"""What the worker is to do, and how far it is."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from api.clock import utcnow
from api.extensions import db
from api.models import Message

# Longer than sending one mail can take: whoever has not finished until then was killed, and another tries.
LEASE = timedelta(minutes=5)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
MOST_ATTEMPTS = 20  # in 13 hours

VERIFY_EMAIL, RESET_PASSWORD = 'verify_email', 'reset_password'
PASSWORD_CHANGED, EMAIL_CHANGED = 'password_changed', 'email_changed'
ERASE_ACCOUNT = 'erase_account'


def post_message(topic: str, *, recipient: str | None = None, user_id: int | None = None) -> None:
    """Asks the worker for something, if the transaction is committed."""
    now = utcnow()
    values = {'topic': topic, 'recipient': recipient, 'user_id': user_id, 'created_at': now, 'due_at': now}
    db.session.execute(insert(Message).values(values))


def claim_message() -> Any:
    """The message that has been due for longest, or None. For as long as the lease lasts nobody else gets it."""
    now = utcnow()
    due = select(Message.id).where(Message.due_at <= now).order_by(Message.due_at, Message.id).limit(1)
    claimed = update(Message).where(Message.id == due.with_for_update(skip_locked=True).scalar_subquery())
    claimed = claimed.values(due_at=now + LEASE, attempts=Message.attempts + 1)
    return db.session.execute(claimed.returning(*Message.__table__.columns)).one_or_none()


def finish_message(id: int) -> None:
    db.session.execute(delete(Message).where(Message.id == id))


def continue_message(id: int) -> None:
    """Makes it due again at once: there is more to do."""
    db.session.execute(update(Message).where(Message.id == id).values(due_at=utcnow(), attempts=0))


def postpone_message(id: int, *, attempts: int, error: str, final: bool) -> None:
    """Makes it due again after a pause that doubles each time, or gives it up: for good reason or after too many."""
    due_at = None if final or attempts >= MOST_ATTEMPTS else utcnow() + pause_after(attempts)
    db.session.execute(update(Message).where(Message.id == id).values(due_at=due_at, error=error[:255]))


def retry_messages() -> int:
    """Makes what was given up due again and returns how many they were."""
    given_up = update(Message).where(Message.due_at.is_(None)).values(due_at=utcnow(), attempts=0)
    return db.session.connection().execute(given_up).rowcount


def pause_after(attempts: int) -> timedelta:
    doubled: timedelta = FIRST_PAUSE * 2 ** (attempts - 1)
    return min(LONGEST_PAUSE, doubled)
