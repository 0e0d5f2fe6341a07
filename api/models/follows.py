"""The table of follows."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class Follow(Base):
    """A follow of one user by another. The newest has the highest id."""

    __tablename__ = 'follows'

    id: Mapped[int] = mapped_column(primary_key=True)
    follower_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'))
    followed_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint('follower_id', 'followed_id'),
        Index(None, 'follower_id', 'id'),
        Index(None, 'followed_id', 'id'),
        CheckConstraint('follower_id <> followed_id', name='not_oneself'),
        {'sqlite_autoincrement': True},
    )
