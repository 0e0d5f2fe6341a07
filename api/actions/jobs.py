"""What the worker is to do, and how far it is."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from api.clock import utcnow
from api.db.session import db
from api.models import Job

# Longer than sending one mail can take: whoever has not finished until then was killed, and another tries.
LEASE = timedelta(minutes=5)
MIN_BACKOFF, MAX_BACKOFF = timedelta(seconds=30), timedelta(hours=1)
MAX_ATTEMPTS = 20  # in 13 hours

VERIFY_EMAIL, RESET_PASSWORD = 'verify_email', 'reset_password'
PASSWORD_CHANGED, EMAIL_CHANGED = 'password_changed', 'email_changed'
DELETE_ACCOUNT = 'delete_account'


def enqueue(job_type: str, *, recipient: str | None = None, user_id: int | None = None) -> None:
    """Asks the worker for something, if the transaction is committed."""
    now = utcnow()
    values = {'type': job_type, 'recipient': recipient, 'user_id': user_id, 'created_at': now, 'due_at': now}
    db.session.execute(insert(Job).values(values))


def claim_job() -> Any:
    """The message that has been due for longest, or None. For as long as the lease lasts nobody else gets it."""
    now = utcnow()
    due = select(Job.id).where(Job.due_at <= now).order_by(Job.due_at, Job.id).limit(1)
    claimed = update(Job).where(Job.id == due.with_for_update(skip_locked=True).scalar_subquery())
    claimed = claimed.values(due_at=now + LEASE, attempts=Job.attempts + 1)
    return db.session.execute(claimed.returning(*Job.__table__.columns)).one_or_none()


def complete_job(id: int) -> None:
    db.session.execute(delete(Job).where(Job.id == id))


def requeue_job(id: int) -> None:
    """Makes it due again at once: there is more to do."""
    db.session.execute(update(Job).where(Job.id == id).values(due_at=utcnow(), attempts=0))


def reschedule_job(id: int, *, attempts: int, error: str, permanent: bool) -> None:
    """Makes it due again after a pause that doubles each time, or gives it up: for good reason or after too many."""
    due_at = None if permanent or attempts >= MAX_ATTEMPTS else utcnow() + backoff(attempts)
    db.session.execute(update(Job).where(Job.id == id).values(due_at=due_at, error=error[:255]))


def retry_failed_jobs() -> int:
    """Makes what was given up due again and returns how many they were."""
    failed = update(Job).where(Job.due_at.is_(None)).values(due_at=utcnow(), attempts=0)
    return db.session.connection().execute(failed).rowcount


def backoff(attempts: int) -> timedelta:
    doubled: timedelta = MIN_BACKOFF * 2 ** (attempts - 1)
    return min(MAX_BACKOFF, doubled)
