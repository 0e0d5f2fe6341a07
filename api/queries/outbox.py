"""What waits for the worker."""

from sqlalchemy import func, select

from api.models import Message
from api.queries.query import AnySelect, query


@query
def count_waiting() -> AnySelect:
    return select(func.count()).select_from(Message).where(Message.due_at.is_not(None))


@query
def given_up() -> AnySelect:
    return select(*Message.__table__.columns).where(Message.due_at.is_(None)).order_by(Message.id)
