"""The table of likes."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base


class Like(Base):
    """A like of a post by a user. The newest has the highest id."""

    __tablename__ = 'likes'

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey('users.id', ondelete='CASCADE'))
    post_id: Mapped[int] = mapped_column(ForeignKey('posts.id', ondelete='CASCADE'))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint('user_id', 'post_id'),
        Index(None, 'user_id', 'id'),
        Index(None, 'post_id', 'id'),
        {'sqlite_autoincrement': True},
    )
