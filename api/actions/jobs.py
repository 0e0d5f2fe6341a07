"""The queue of background jobs, stored in the database."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from api.clock import utcnow
from api.db.session import db
from api.models import Job

# Longer than sending one mail can take. A worker that has not finished by then was killed, and another one retries.
LEASE = timedelta(minutes=5)
MIN_BACKOFF, MAX_BACKOFF = timedelta(seconds=30), timedelta(hours=1)
MAX_ATTEMPTS = 20  # over 13 hours

VERIFY_EMAIL, RESET_PASSWORD = 'verify_email', 'reset_password'
PASSWORD_CHANGED, EMAIL_CHANGED = 'password_changed', 'email_changed'
DELETE_ACCOUNT = 'delete_account'


def enqueue(job_type: str, *, recipient: str | None = None, user_id: int | None = None) -> None:
    """Add a job for the worker. It becomes visible when the transaction is committed."""
    now = utcnow()
    values = {'type': job_type, 'recipient': recipient, 'user_id': user_id, 'created_at': now, 'due_at': now}
    db.session.execute(insert(Job).values(values))


def claim_job() -> Any:
    """Return the job that has been due longest, or None. No other worker gets it until the lease expires."""
    now = utcnow()
    due = select(Job.id).where(Job.due_at <= now).order_by(Job.due_at, Job.id).limit(1)
    claimed = update(Job).where(Job.id == due.with_for_update(skip_locked=True).scalar_subquery())
    claimed = claimed.values(due_at=now + LEASE, attempts=Job.attempts + 1)
    return db.session.execute(claimed.returning(*Job.__table__.columns)).one_or_none()


def complete_job(id: int) -> None:
    db.session.execute(delete(Job).where(Job.id == id))


def requeue_job(id: int) -> None:
    """Make an unfinished job due again at once and reset its attempts."""
    db.session.execute(update(Job).where(Job.id == id).values(due_at=utcnow(), attempts=0))


def reschedule_job(id: int, *, attempts: int, error: str, permanent: bool) -> None:
    """Make a failed job due again after a delay that doubles with each attempt.

    Mark it as failed if the error is permanent or there were MAX_ATTEMPTS attempts.
    """
    due_at = None if permanent or attempts >= MAX_ATTEMPTS else utcnow() + backoff(attempts)
    db.session.execute(update(Job).where(Job.id == id).values(due_at=due_at, error=error[:255]))


def retry_failed_jobs() -> int:
    """Make all failed jobs due again and return their number."""
    failed = update(Job).where(Job.due_at.is_(None)).values(due_at=utcnow(), attempts=0)
    return db.session.connection().execute(failed).rowcount


def backoff(attempts: int) -> timedelta:
    doubled: timedelta = MIN_BACKOFF * 2 ** (attempts - 1)
    return min(MAX_BACKOFF, doubled)
