"""Pending and failed jobs."""

from sqlalchemy import func, select

from api.db.selects import AnySelect, bound_select
from api.models import Job


@bound_select
def count_pending_jobs() -> AnySelect:
    return select(func.count()).select_from(Job).where(Job.due_at.is_not(None))


@bound_select
def list_failed_jobs() -> AnySelect:
    return select(*Job.__table__.columns).where(Job.due_at.is_(None)).order_by(Job.id)
