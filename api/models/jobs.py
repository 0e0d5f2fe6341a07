"""The table of background jobs."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class Job(Base):
    """A job for the worker, inserted in the transaction that requests it.

    It holds no secret: links are created when their mail is sent. due_at: the time of the next attempt; null if the job
    has failed and is not retried.
    """

    __tablename__ = 'jobs'

    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'), index=True)
    recipient: Mapped[str | None] = mapped_column(String(120))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(server_default='0')
    error: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = {'sqlite_autoincrement': True}
