"""The table of users."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, false, func
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class User(Base):
    """An account. The statements that change the counted rows also update the counts."""

    __tablename__ = 'users'

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(120))
    email_verified: Mapped[bool] = mapped_column(server_default=false())
    password_hash: Mapped[str] = mapped_column(String(255))
    # Incremented to invalidate everything issued before: tokens, links in mails, log-ins in progress.
    credentials_version: Mapped[int] = mapped_column(server_default='0')
    disabled_at: Mapped[datetime | None]
    about_me: Mapped[str | None] = mapped_column(String(140))
    created_at: Mapped[datetime]
    last_seen: Mapped[datetime | None]
    # Accurate to ten seconds, and recorded only if a read replica is configured.
    last_write_at: Mapped[datetime | None]
    post_count: Mapped[int] = mapped_column(server_default='0')
    follower_count: Mapped[int] = mapped_column(server_default='0')
    following_count: Mapped[int] = mapped_column(server_default='0')

    __table_args__ = (
        # The schemas allow only ASCII in both, so lower() gives the same result on both databases.
        Index('uq_users_username', func.lower(username), unique=True),
        Index('uq_users_email', func.lower(email), unique=True),
        CheckConstraint('post_count >= 0', name='post_count'),
        CheckConstraint('follower_count >= 0', name='follower_count'),
        CheckConstraint('following_count >= 0', name='following_count'),
        # Without it, SQLite would reuse the id of a deleted account.
        {'sqlite_autoincrement': True},
    )
